// Package upload is the data store behind tusd's handler: parts as objects in S3, and a ledger of them in Postgres that
// alone says what has been received. It acknowledges no byte that is not stored, completes an upload and enqueues its
// job in one transaction, and keeps nothing on disk. It does not know routes, HTTP or what the bytes mean.
package upload

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/blob"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/upload/db"
)

//go:generate ../../.bin/sqlc generate

// Config is what a Store needs. Pool, Jobs and Bucket are required; the zero value of anything else is its default.
type Config struct {
	Pool   *pgxpool.Pool
	Jobs   *job.Store
	Bucket *blob.Bucket

	// PartBytes is the size of a part that its PATCH fills. Default 8 MiB. A last part of less than an eighth of it is
	// merged with the bytes of the next PATCH.
	PartBytes int64
	// BufferBytes bounds the memory for bytes on their way to S3, of all uploads together. Default 256 MiB. When it is
	// used up parts become shorter and clients wait.
	BufferBytes int64
	// PartsInFlight is how many parts of one upload are sent to S3 or committed at a time, while one more is being
	// received. Default 3.
	PartsInFlight int
	// Expiry is how long an upload stays open after the last PATCH or part. Default 7 days.
	Expiry time.Duration
	// StreamExpiry is how long an upload that one request writes stays open once its process is dead. Default 1 minute.
	StreamExpiry time.Duration
	// MaxBytes bounds the length of an upload. Default: no bound.
	MaxBytes int64
	// SweepGrace is how long after the end of an upload its stray objects are looked for. It must be longer than a
	// request to S3 can last. Default 15 minutes.
	SweepGrace time.Duration

	// Logger defaults to none, Registerer to no metrics.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Store is the data store. Any number of goroutines may share it, and any number of processes the same ledger.
type Store struct {
	cfg     Config
	id      string // of this process, among those that share the ledger
	ledger  *ledger
	memory  *memory
	locker  *locker
	log     *slog.Logger
	metrics *metrics
}

// New checks cfg and returns its store. It makes no connection and starts no goroutine.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil || cfg.Jobs == nil || cfg.Bucket == nil {
		return nil, errors.New("upload: Pool, Jobs and Bucket are required")
	}
	cfg.PartBytes = cmp.Or(cfg.PartBytes, 8<<20)
	cfg.BufferBytes = cmp.Or(cfg.BufferBytes, 256<<20)
	cfg.PartsInFlight = cmp.Or(cfg.PartsInFlight, 3)
	cfg.Expiry = cmp.Or(cfg.Expiry, 7*24*time.Hour)
	cfg.StreamExpiry = cmp.Or(cfg.StreamExpiry, time.Minute)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, math.MaxInt64)
	cfg.SweepGrace = cmp.Or(cfg.SweepGrace, 15*time.Minute)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	if err := cfg.check(); err != nil {
		return nil, err
	}
	mem := newMemory(cfg.BufferBytes)
	m, err := newMetrics(cfg.Registerer, mem)
	if err != nil {
		return nil, err
	}
	return &Store{
		cfg: cfg, id: rand.Text(), ledger: newLedger(cfg), memory: mem, locker: newLocker(m), log: cfg.Logger, metrics: m,
	}, nil
}

func (c Config) check() error {
	switch {
	case c.PartBytes < 8:
		return errors.New("upload: PartBytes must be at least 8")
	case c.BufferBytes < slabBytes:
		return errors.New("upload: BufferBytes must be at least 64 KiB")
	case c.PartsInFlight < 1:
		return errors.New("upload: PartsInFlight must be at least 1")
	case c.Expiry < 0, c.StreamExpiry < 0, c.SweepGrace < 0, c.MaxBytes < 0:
		return errors.New("upload: Expiry, StreamExpiry, SweepGrace and MaxBytes must not be negative")
	}
	return nil
}

// Composer returns the store for tusd's handler, with termination, deferred lengths, partial uploads and locks. The handler's
// AcquireLockTimeout must be longer than 2 s, the time that a takeover takes.
func (s *Store) Composer() *handler.StoreComposer {
	c := handler.NewStoreComposer()
	c.UseCore(s)
	c.UseTerminater(s)
	c.UseConcater(s)
	c.UseLengthDeferrer(s)
	c.UseLocker(s.locker)
	return c
}

// Info is what HEAD tells of an upload: a snapshot, owned by the caller.
type Info struct {
	// ID is the upload's and its job's; a partial upload has no job.
	ID, Tenant string
	// SizeBytes is the declared length, -1 while it is deferred.
	SizeBytes int64
	// OffsetBytes is how many bytes are stored. It never decreases. That of a final upload is 0 until it is complete.
	OffsetBytes int64
	// Complete says that all bytes are stored and the job, if it has one, is enqueued: the one comes with the other.
	Complete bool
	// Concat is the Upload-Concat of a partial or final upload as it was sent, or "".
	Concat string
	// Metadata is Upload-Metadata as it was sent: any bytes, without the base64.
	Metadata map[string]string
	// ExpiresAt is when an upload that is not complete ends by itself.
	ExpiresAt time.Time
}

// Info reads one row and disturbs no writer. An upload that does not exist, or is another tenant's, is
// handler.ErrNotFound; one that was terminated or has expired is ErrGone.
func (s *Store) Info(ctx context.Context, tenant, id string) (Info, error) {
	row, err := s.ledger.getOfTus(ctx, tenant, id)
	if err != nil {
		return Info{}, err
	}
	info := Info{
		ID: row.ID, Tenant: row.Tenant, SizeBytes: -1, OffsetBytes: row.OffsetBytes, Complete: full(row),
		Concat: row.ConcatHeader, ExpiresAt: row.ExpiresAt.UTC(),
	}
	switch {
	case row.Concat == concatPartial:
		info.Concat = concatPartial
	case row.Concat == concatFinal && row.State != stateComplete:
		if info.ExpiresAt, err = s.ledger.as(scope.Tenant(tenant)).FinalExpiry(ctx, db.FinalExpiryParams{FinalID: id, Tenant: tenant}); err != nil {
			return Info{}, fmt.Errorf("get expiry: %w", err)
		}
	}
	if row.SizeBytes != nil {
		info.SizeBytes = *row.SizeBytes
	}
	info.Metadata, err = decodeMetadata(row.Metadata)
	return info, err
}
