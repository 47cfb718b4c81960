package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"sluice/internal/audit"
	"sluice/internal/job/db"
	"sluice/internal/scope"
	"sluice/internal/span"
)

// NotifyChannel is the channel on which Postgres tells listeners of every change
// to a job that a user can see. The payload is the job's id.
const NotifyChannel = "sluice_job"

// codeAborted is the Error.Code of every Aborted job.
const codeAborted = "aborted"

// Config is what a Store needs.
type Config struct {
	Pool   *pgxpool.Pool // of a migrated database; stays the caller's to close
	Logger *slog.Logger  // gets an Info for every change of state; nil: none
	// LeaseExpiry is how long a lease lives from its last renewal, by Postgres's
	// clock; 0 means 30 s. Workers renew theirs three times as often.
	LeaseExpiry time.Duration
	// SweepGrace is how long after an attempt was lost what it may have written is
	// looked for; 0 means 15 minutes. It must be longer than a request to S3 lasts.
	SweepGrace time.Duration
	// Registerer takes the store's metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
}

// Store keeps jobs in Postgres. Any number of goroutines may share it.
//
// Methods whose name ends in Tx take part in the caller's transaction, of InTx: what
// they do is done when it is committed. The others are one transaction each.
type Store struct {
	pool  *pgxpool.Pool
	river *river.Client[pgx.Tx]
	log   *slog.Logger

	metrics       *metrics
	expiry, grace time.Duration
}

// New returns a Store. Its River client only inserts: it works nothing and has
// nothing to stop.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil {
		return nil, errors.New("job: Config.Pool is missing")
	}
	if cfg.LeaseExpiry < 0 || cfg.SweepGrace < 0 {
		return nil, errors.New("job: LeaseExpiry and SweepGrace must not be negative")
	}
	cfg.LeaseExpiry = cmp.Or(cfg.LeaseExpiry, defaultExpiry)
	cfg.SweepGrace = cmp.Or(cfg.SweepGrace, defaultGrace)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	rc, err := river.NewClient(riverpgxv5.New(cfg.Pool), &river.Config{
		Logger: cfg.Logger,
		// An inserting client tells the workers of one job per cooldown; another
		// job would wait for their poll. River's default is 100 ms.
		FetchCooldown: river.FetchCooldownMin,
	})
	if err != nil {
		return nil, fmt.Errorf("make river client: %w", err)
	}
	s := &Store{pool: cfg.Pool, river: rc, log: cfg.Logger, expiry: cfg.LeaseExpiry, grace: cfg.SweepGrace}
	s.metrics = newMetrics(s)
	return s, s.metrics.register(cfg.Registerer)
}

// as returns the queries of a scope, each a transaction of its own.
func (s *Store) as(sc scope.Scope) *db.Queries { return db.New(scope.Over(s.pool, sc)) }

// InTx calls fn with a new transaction of a scope, commits it when fn returns nil and rolls
// it back otherwise. The error of fn is returned as it is. A transaction that would
// take a tenant over one of its Quotas is a *LimitError.
//
// Changes of state that are made in it are counted and logged once it is committed:
// those of a transaction begun elsewhere would be, though it be rolled back.
func (s *Store) InTx(ctx context.Context, as scope.Scope, fn func(pgx.Tx) error) error {
	var t *tellingTx
	err := pgx.BeginFunc(ctx, scope.Over(s.pool, as), func(tx pgx.Tx) error {
		t = &tellingTx{Tx: tx}
		return fn(t)
	})
	if refused, ok := AsLimit(err); ok {
		return refused
	}
	if err == nil {
		for _, tell := range t.committed {
			tell()
		}
	}
	return err
}

// tellingTx is a transaction with what is to be told once it is committed.
type tellingTx struct {
	pgx.Tx
	committed []func()
}

// onCommit has tell called once tx is committed, at once where it is not InTx's.
func onCommit(tx pgx.Tx, tell func()) {
	if t, ok := tx.(*tellingTx); ok {
		t.committed = append(t.committed, tell)
		return
	}
	tell()
}

// CreateTx adds a job in state Open. The span that ctx carries, if any, begins the
// job's trace.
func (s *Store) CreateTx(ctx context.Context, tx pgx.Tx, d Draft) error {
	err := db.New(tx).CreateJob(ctx, db.CreateJobParams{
		ID:                d.ID,
		Tenant:            d.Tenant,
		Channel:           d.Channel,
		Filename:          d.Filename,
		State:             string(Open),
		CreditModelConfig: d.CreditConfig,
		AggregateConfig:   d.AggregateConfig,
		ParseConfig:       d.ParseConfig,
		Sha256:            d.SHA256,
		Traceparent:       span.Traceparent(ctx),
	})
	if err != nil {
		return fmt.Errorf("insert job %s: %w", d.ID, err)
	}
	if err := audit.Record(ctx, tx, audit.Act{Tenant: d.Tenant, Action: audit.JobCreate, Subject: d.ID, Detail: d.Channel}); err != nil {
		return err
	}
	span.Job(ctx, d.ID)
	onCommit(tx, func() {
		s.metrics.steps.WithLabelValues(string(Open)).Inc()
		s.log.InfoContext(ctx, "job created", slog.String("job_id", d.ID), slog.String("channel", d.Channel))
	})
	return nil
}

// ConfigureTx gives an Open job the file name, the configurations and the digest
// of d, whose ID and Tenant say which it is: a door may learn them after the
// file. A job that is not Open is ErrStep.
func (s *Store) ConfigureTx(ctx context.Context, tx pgx.Tx, d Draft) error {
	n, err := db.New(tx).ConfigureJob(ctx, db.ConfigureJobParams{
		Filename: d.Filename, CreditModelConfig: d.CreditConfig, AggregateConfig: d.AggregateConfig, ParseConfig: d.ParseConfig,
		Sha256: d.SHA256, Tenant: d.Tenant, ID: d.ID,
	})
	if err == nil && n == 0 {
		err = ErrStep
	}
	if err != nil {
		return fmt.Errorf("configure job %s: %w", d.ID, err)
	}
	return nil
}

// EnqueueTx brings a job from Open to UploadComplete with what was received, and
// enqueues it. Of two that finish at once, one gets ErrStep.
func (s *Store) EnqueueTx(ctx context.Context, tx pgx.Tx, id string, sizeBytes int64, crc64 uint64) error {
	bits := int64(crc64)
	j, err := s.step(ctx, tx, change{id: id, from: Open, to: UploadComplete, edit: func(j *row) {
		j.SizeBytes, j.Crc64 = &sizeBytes, &bits
		j.ReferenceDate = dateOf(j.Clock)
	}})
	if err != nil {
		return err
	}
	return audit.Record(ctx, tx, audit.Act{Tenant: j.Tenant, Action: audit.UploadComplete, Subject: id})
}

// EnqueueUnreadTx is EnqueueTx of a file that is read in place and whose checksum
// nobody knows yet: the worker that reads it to its end records it.
func (s *Store) EnqueueUnreadTx(ctx context.Context, tx pgx.Tx, id string, sizeBytes int64) error {
	_, err := s.step(ctx, tx, change{id: id, from: Open, to: UploadComplete, edit: func(j *row) {
		j.SizeBytes, j.ReferenceDate = &sizeBytes, dateOf(j.Clock)
	}})
	return err
}

// AbortTx brings a job to Aborted from any state that may step there, and gives
// detail, a sentence for the user, as its error. Who may do so only to an open
// upload checks that in the same transaction. A worker that holds the job has
// lost it.
func (s *Store) AbortTx(ctx context.Context, tx pgx.Tx, id, detail string) error {
	j, err := s.step(ctx, tx, change{id: id, to: Aborted, edit: func(j *row) {
		j.fail(Error{Code: codeAborted, Message: detail}, j.SizeBytes != nil)
	}})
	if err != nil || j.Attempts == 0 {
		return err
	}
	if err := db.New(tx).TellStop(ctx, id); err != nil {
		return fmt.Errorf("tell worker of job %s: %w", id, err)
	}
	return s.keepStray(ctx, tx, Lease{JobID: id, Tenant: j.Tenant, Fence: j.Fence - 1})
}
