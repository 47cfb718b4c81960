// Package drop is the door of S3: objects that partners write under watched
// prefixes become jobs by themselves.
//
// It provides the watches, the ledger of what was found below them, the hints by
// which bucket events tell that something is there, the listing that finds what
// no event told of, and what is done with an object when its job has ended. One
// version of an object is one job, whoever finds it and however often.
//
// It does not know HTTP, nor what the bytes mean; objects are read in place, by
// the worker.
package drop

//go:generate ../../.bin/sqlc generate

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"sluice/internal/blob"
	"sluice/internal/drop/db"
	"sluice/internal/job"
	"sluice/internal/scope"
)

// Channel is what jobs of this door are told apart by.
const Channel = "s3"

// DefaultInterval is Config.Interval's default.
const DefaultInterval = time.Minute

// Config is what a Store needs; Pool, Jobs and Bucket are required.
type Config struct {
	Pool *pgxpool.Pool // of a migrated database; stays the caller's to close
	Jobs *job.Store
	// Bucket is Sluice's own, which is never watched. The others are reached on the
	// same server and with the same credentials.
	Bucket *blob.Bucket
	// Interval is how long an object of which no event came may lie unseen, while a
	// listing takes less than half of it; 0 means 1 minute.
	Interval time.Duration
	Logger   *slog.Logger // gets an Info for every object that is taken; nil: none
}

// Store keeps watches and their ledger in Postgres. Any number of goroutines may
// share it, and any number of processes the database.
type Store struct {
	cfg   Config
	river *river.Client[pgx.Tx] // inserts only
	log   *slog.Logger
}

// New returns a Store. It has nothing to stop.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil || cfg.Jobs == nil || cfg.Bucket == nil {
		return nil, errors.New("drop: Pool, Jobs and Bucket are required")
	}
	if cfg.Interval < 0 {
		return nil, errors.New("drop: Interval must not be negative")
	}
	cfg.Interval = cmp.Or(cfg.Interval, DefaultInterval)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	rc, err := river.NewClient(riverpgxv5.New(cfg.Pool), &river.Config{Logger: cfg.Logger, FetchCooldown: river.FetchCooldownMin})
	if err != nil {
		return nil, fmt.Errorf("make river client: %w", err)
	}
	return &Store{cfg: cfg, river: rc, log: cfg.Logger}, nil
}

// as returns the queries of a scope, each a transaction of its own.
func (s *Store) as(sc scope.Scope) *db.Queries { return db.New(scope.Over(s.cfg.Pool, sc)) }

// Interval is how long an object may lie unseen.
func (s *Store) Interval() time.Duration { return s.cfg.Interval }

// RoundArgs announce a round of listing and tidying: River's args of kind
// "watch". They hold no state; the watches do.
type RoundArgs struct{}

// Queue is a queue of its own, so that a long listing takes no place from jobs.
const Queue = "watch"

// Kind names the args in River's table. It never changes.
func (RoundArgs) Kind() string { return "watch" }

// InsertOpts makes one attempt enough: the next round comes by itself.
func (RoundArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, Queue: Queue}
}
