// Package erasure ends all that a tenant has: its rows in every table, and every version of its objects. What it leaves
// is the receipt, and in the audit log who did what and when. It does not know what the rows mean, and nothing of HTTP.
package erasure

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/access"
	"sluice/internal/audit"
	"sluice/internal/erasure/db"
	"sluice/internal/job"
	"sluice/internal/scope"
)

//go:generate ../../.bin/sqlc generate

var (
	// ErrNotFound is returned for a tenant that is not being erased, and never was.
	ErrNotFound = errors.New("the tenant has no erasure")
	// ErrTenant is returned for a name that no tenant can have.
	ErrTenant = errors.New("a tenant's name is 1 to 64 letters and digits, and . _ - behind the first")
)

// Config is what a Store needs.
type Config struct {
	Pool *pgxpool.Pool // of a migrated database; stays the caller's to close
}

// Store begins erasures and shows them. Any number of goroutines may share it.
type Store struct{ pool *pgxpool.Pool }

// New returns the store of cfg.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil {
		return nil, errors.New("erasure: Pool is required")
	}
	return &Store{pool: cfg.Pool}, nil
}

// Erasure is a tenant's, of which there is one at most.
type Erasure struct {
	ID, Tenant string
	BegunAt    time.Time
	FinishedAt time.Time // zero: it is under way
	Receipt    string    // canonical JSON (RFC 8785); "" until it has finished
}

// SHA256 is the receipt's, in hexadecimal, as the audit log has it.
func (e Erasure) SHA256() string {
	sum := sha256.Sum256([]byte(e.Receipt))
	return hex.EncodeToString(sum[:])
}

// Begin has the workers erase all that the tenant has. From its return on nothing new of the tenant is taken, for ever.
// Where that was begun before, it returns that erasure. A name that cannot be is ErrTenant.
func (s *Store) Begin(ctx context.Context, tenant string) (Erasure, error) {
	if !access.ValidTenant(tenant) {
		return Erasure{}, ErrTenant
	}
	err := pgx.BeginFunc(ctx, scope.Over(s.pool, scope.Eraser(tenant)), func(tx pgx.Tx) error {
		id := "erasure_" + strings.TrimPrefix(job.NewID(), "job_")
		n, err := db.New(tx).InsertErasure(ctx, db.InsertErasureParams{Tenant: tenant, ID: id})
		if err != nil || n == 0 {
			return err
		}
		return audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: audit.TenantErase, Subject: id})
	})
	if err != nil {
		return Erasure{}, fmt.Errorf("begin erasure of tenant %s: %w", tenant, err)
	}
	return s.Get(ctx, tenant)
}

// Get returns the erasure of the tenant, or ErrNotFound.
func (s *Store) Get(ctx context.Context, tenant string) (Erasure, error) {
	row, err := db.New(scope.Over(s.pool, scope.Tenant(tenant))).GetErasure(ctx, tenant)
	if errors.Is(err, pgx.ErrNoRows) {
		return Erasure{}, ErrNotFound
	}
	if err != nil {
		return Erasure{}, fmt.Errorf("get erasure of tenant %s: %w", tenant, err)
	}
	e := Erasure{ID: row.ID, Tenant: tenant, BegunAt: row.BegunAt.UTC(), Receipt: row.Receipt}
	if row.FinishedAt != nil {
		e.FinishedAt = row.FinishedAt.UTC()
	}
	return e, nil
}
