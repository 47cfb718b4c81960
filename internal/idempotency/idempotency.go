// Package idempotency keeps the first answer to a request with an Idempotency-Key for 24 hours, so that a repeat gets it
// again and does nothing. It keeps fingerprints and answers as it gets them: it does not know HTTP, nor what was asked.
package idempotency

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/idempotency/db"
	"sluice/internal/renewal"
	"sluice/internal/scope"
)

//go:generate ../../.bin/sqlc generate

// kept is how long an answer is given again.
const kept = 24 * time.Hour

// freeTimeout bounds what is done for a key once its request is over.
const freeTimeout = 5 * time.Second

// ErrBusy is returned for a key whose first request is under way, or was until its process died less than Config.Lease ago.
var ErrBusy = errors.New("idempotency key in use")

// Config is what a Store needs.
type Config struct {
	Pool *pgxpool.Pool // of a migrated database; stays the caller's to close
	// Lease is how long a key whose process died stays taken. Default 1 minute.
	Lease  time.Duration
	Logger *slog.Logger // nil: none
}

// Store keeps keys in Postgres. Any number of goroutines may share it.
type Store struct {
	pool  *pgxpool.Pool
	lease time.Duration
	log   *slog.Logger
}

// New returns the store of cfg.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil {
		return nil, errors.New("idempotency: Pool is required")
	}
	if cfg.Lease < 0 {
		return nil, errors.New("idempotency: Lease must not be negative")
	}
	return &Store{
		pool: cfg.Pool, lease: cmp.Or(cfg.Lease, time.Minute), log: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
	}, nil
}

// as returns the queries of a scope, each a transaction of its own.
func (s *Store) as(sc scope.Scope) *db.Queries { return db.New(scope.Over(s.pool, sc)) }

// ValidKey tells whether a key may be an Idempotency-Key: 1 to 255 visible characters of ASCII.
func ValidKey(key string) bool {
	return key != "" && len(key) <= 255 && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Fingerprint digests what was asked: texts, each with its length, so that no two lists are alike. It is a SHA-256.
func Fingerprint(texts ...string) [32]byte {
	h := sha256.New()
	for _, text := range texts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text)))) // never fails
		_, _ = io.WriteString(h, text)
	}
	return [32]byte(h.Sum(nil))
}

// Answer is what a request was answered.
type Answer struct {
	Fingerprint [32]byte // of Fingerprint
	JobID       string   // "" for none
	Status      int
	Body        string
}

// Claim is a request's hold on its key. It ends with Release.
type Claim struct {
	// First is the answer that the key's first request got, nil while there is none: then this is the first.
	First *Answer

	store               *Store
	tenant, key, holder string
	stop                func() // ends the renewals
}

// Claim takes the tenant's key, or finds its first answer. It returns ErrBusy while another request has it.
func (s *Store) Claim(ctx context.Context, tenant, key string) (*Claim, error) {
	if err := s.as(scope.System).DropKeys(ctx); err != nil {
		return nil, fmt.Errorf("drop keys: %w", err)
	}
	c := &Claim{store: s, tenant: tenant, key: key, holder: rand.Text(), stop: func() {}}
	n, err := s.as(scope.Tenant(tenant)).TakeKey(ctx, db.TakeKeyParams{Tenant: tenant, Key: key, Holder: c.holder, Lease: s.lease})
	if err != nil {
		return nil, fmt.Errorf("take key: %w", err)
	}
	if n > 0 {
		c.stop = c.renew(ctx)
		return c, nil
	}
	row, err := s.as(scope.Tenant(tenant)).GetKey(ctx, db.GetKeyParams{Tenant: tenant, Key: key})
	switch {
	case errors.Is(err, pgx.ErrNoRows): // freed just now
		return nil, ErrBusy
	case err != nil:
		return nil, fmt.Errorf("get key: %w", err)
	case row.Fingerprint == nil:
		return nil, ErrBusy
	}
	c.First = &Answer{Fingerprint: [32]byte(row.Fingerprint), Status: int(*row.Status), Body: *row.Answer}
	if row.JobID != nil {
		c.First.JobID = *row.JobID
	}
	return c, nil
}

// renew keeps the key until stop is called.
func (c *Claim) renew(ctx context.Context) (stop func()) {
	ctx = context.WithoutCancel(ctx) // it ends with Release, whatever becomes of the client
	return renewal.Every(ctx, c.store.lease/4, func(ctx context.Context) bool {
		err := c.store.as(scope.Tenant(c.tenant)).RenewKey(ctx, db.RenewKeyParams{Tenant: c.tenant, Key: c.key, Holder: c.holder, Lease: c.store.lease})
		if err != nil && ctx.Err() == nil {
			c.store.log.WarnContext(ctx, "idempotency key not renewed", "err", err)
		}
		return true
	})
}

// Step is part of somebody's transaction.
type Step = func(pgx.Tx) error

// Keep returns the step that keeps the answer, for the transaction that does what was asked. It returns ErrBusy when the
// claim was lost, as that of a process that was stopped for longer than the lease: then nothing may be done.
func (c *Claim) Keep(ctx context.Context, a Answer) Step {
	return func(tx pgx.Tx) error {
		status := int32(a.Status)
		n, err := db.New(tx).KeepAnswer(ctx, db.KeepAnswerParams{
			Tenant: c.tenant, Key: c.key, Holder: c.holder,
			Fingerprint: a.Fingerprint[:], JobID: &a.JobID, Status: &status, Answer: &a.Body, Kept: kept,
		})
		if err == nil && n == 0 {
			return ErrBusy
		}
		if err != nil {
			return fmt.Errorf("keep answer: %w", err)
		}
		return nil
	}
}

// Release frees the key, unless an answer is kept under it.
func (c *Claim) Release(ctx context.Context) {
	c.stop()
	if c.First != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), freeTimeout) // the client may have gone
	defer cancel()
	if err := c.store.as(scope.Tenant(c.tenant)).FreeKey(ctx, db.FreeKeyParams{Tenant: c.tenant, Key: c.key, Holder: c.holder}); err != nil {
		c.store.log.WarnContext(ctx, "idempotency key left to its lease", "err", err)
	}
}
