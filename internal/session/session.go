// Package session keeps which sessions of the page were ended before their time, so that what is left of one, such as a
// copy of its cookie, is good for nothing at any gateway. It does not know cookies, nor HTTP, nor how a session begins.
package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/audit"
	"sluice/internal/scope"
	"sluice/internal/session/db"
)

//go:generate ../../.bin/sqlc generate

// Config is what a Store needs.
type Config struct {
	Pool *pgxpool.Pool // of a migrated database; stays the caller's to close
}

// Session is what is known of one: its cookie says it, so a copy does.
type Session struct {
	ID        string    // random, and nobody else's
	ExpiresAt time.Time // when it ends by itself, to the second
}

// Store keeps ended sessions in Postgres. Any number of goroutines may share it.
type Store struct{ pool *pgxpool.Pool }

// New returns the store of cfg.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil {
		return nil, errors.New("session: Pool is required")
	}
	return &Store{pool: cfg.Pool}, nil
}

// as returns the queries of a scope, each a transaction of its own.
func (s *Store) as(sc scope.Scope) *db.Queries { return db.New(scope.Over(s.pool, sc)) }

// End ends the tenant's session, once and for all. Ending it again changes nothing.
func (s *Store) End(ctx context.Context, tenant string, of Session) error {
	if err := s.as(scope.System).DropSessions(ctx); err != nil {
		return fmt.Errorf("drop ended sessions: %w", err)
	}
	return pgx.BeginFunc(ctx, scope.Over(s.pool, scope.Tenant(tenant)), func(tx pgx.Tx) error {
		n, err := db.New(tx).EndSession(ctx, db.EndSessionParams{ID: of.ID, Tenant: tenant, ExpiresAt: of.ExpiresAt})
		if err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		if n == 0 {
			return nil
		}
		return audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: audit.SessionEnd, Subject: of.ID})
	})
}

// Ended tells whether the session was ended. Of one that would have ended by itself by now it may not know that.
func (s *Store) Ended(ctx context.Context, tenant string, of Session) (bool, error) {
	ended, err := s.as(scope.Tenant(tenant)).IsEnded(ctx, db.IsEndedParams{ID: of.ID, Tenant: tenant})
	if err != nil {
		return false, fmt.Errorf("look for ended session: %w", err)
	}
	return ended, nil
}
