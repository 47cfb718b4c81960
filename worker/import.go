package worker

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/job"
	"sluice/internal/pipeline"
	"sluice/internal/renewal"
	"sluice/internal/scope"
)

// ImportConfig is what an Importer needs; Jobs and Bucket are required.
type ImportConfig struct {
	Jobs           *job.Store
	Bucket         *blob.Bucket
	JobMemoryBytes int64        // as in Config
	TempDir        string       // as in Config
	Logger         *slog.Logger // nil: slog.Default
}

// Importer takes files straight through the pipeline, in the caller's process and
// with no queue. Any number of goroutines may share it.
type Importer struct{ cfg Config }

// NewImporter checks cfg.
func NewImporter(cfg ImportConfig) (*Importer, error) {
	if cfg.Jobs == nil || cfg.Bucket == nil {
		return nil, errors.New("worker: Jobs and Bucket are required")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Importer{Config{Jobs: cfg.Jobs, Bucket: cfg.Bucket, JobMemoryBytes: cfg.JobMemoryBytes, TempDir: cfg.TempDir, Logger: cfg.Logger}}, nil
}

// Import is one file and what is to become of it.
type Import struct {
	Draft    job.Draft // ID and Channel are the Importer's to set
	Settings pipeline.Settings
	Source   io.Reader // read to its end, also of a file that fails
	Progress func(pipeline.Progress)
	// Keep begins a copy of the file for the job of that id; nil: none is made, and the
	// job cannot be tried again.
	Keep func(ctx context.Context, tenant, id string) (Keeper, error)
	// Also is part of the transaction that makes the job visible; nil: nothing.
	Also func(ctx context.Context, tx pgx.Tx, done Imported) error
}

// Keeper stores a copy of a file. internal/upload's Intake is one.
type Keeper interface {
	// Write stores what comes.
	Write(ctx context.Context, src io.Reader) error
	// KeptTx makes it the source of the job, which the transaction has made.
	KeptTx(ctx context.Context, tx pgx.Tx) error
	// Abort leaves nothing of it, unless it is a job's source.
	Abort(ctx context.Context, detail string)
}

// Imported is what was read.
type Imported struct {
	JobID     string
	SizeBytes int64
	CRC64     uint64 // CRC-64/NVME
}

// Import reads the file and makes its job visible, JobComplete or Failed for the
// file's fault, in one transaction with all that came of it. After an error there is
// no such job, and what was written is deleted or left to the sweep.
func (im *Importer) Import(ctx context.Context, in Import) (job.Job, error) {
	hold, err := im.cfg.Jobs.BeginImport(ctx, in.Draft.Tenant)
	if err != nil {
		return job.Job{}, err
	}
	a := &attempt{
		cfg: im.cfg, lease: &hold.Lease, began: time.Now(),
		job:     job.Job{Draft: in.Draft, ReferenceDay: hold.Day},
		objects: attemptPrefix(hold.Lease.Tenant, hold.Lease.JobID, hold.Lease.Fence),
	}
	defer a.release(ctx)
	held, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := im.keep(held, cancel, hold)
	defer stop()
	kept, err := beginCopy(held, in, hold.Lease.JobID)
	if err != nil {
		return im.settle(ctx, a, hold, err)
	}
	defer kept.abort(ctx)
	source := &measured{Reader: kept.through(in.Source), crc: blob.NewCRC64()}
	err = a.read(held, in.Settings, source, in.Progress)
	if failure := (*pipeline.Failure)(nil); err == nil || errors.As(err, &failure) {
		err = im.end(held, stop, hold, a, in, source, kept, failure)
	}
	if err == nil {
		return im.cfg.Jobs.Get(ctx, hold.Lease.Tenant, hold.Lease.JobID)
	}
	if cause := context.Cause(held); errors.Is(cause, job.ErrLostLease) {
		err = cause
	}
	return im.settle(ctx, a, hold, err)
}

// keep renews the import until the function that it returns was called, and ends
// the work with ErrLostLease when it is lost.
func (im *Importer) keep(ctx context.Context, drop context.CancelCauseFunc, hold *job.Import) (stop func()) {
	return renewal.Every(ctx, im.cfg.Jobs.LeaseHeartbeat(), func(ctx context.Context) bool {
		err := im.cfg.Jobs.ExtendImport(ctx, hold)
		if errors.Is(err, job.ErrLostLease) {
			drop(job.ErrLostLease)
			return false
		}
		if err != nil && ctx.Err() == nil {
			im.cfg.Logger.WarnContext(ctx, "import not renewed", slog.String("job_id", hold.Lease.JobID), slog.Any("err", err))
		}
		return true
	})
}

// end makes the job visible. The rest of a file that failed is read first: its size
// and checksum are the whole file's, as those of an upload are.
func (im *Importer) end(ctx context.Context, stop func(), hold *job.Import, a *attempt, in Import, source *measured, kept *copying, failure *pipeline.Failure) error {
	if failure != nil {
		if err := drain(ctx, source); err != nil {
			return err
		}
	}
	if err := kept.finish(); err != nil {
		return fmt.Errorf("keep file: %w", err)
	}
	a.job.SizeBytes = source.size
	if in.Progress != nil {
		in.Progress(pipeline.Progress{
			Stage: pipeline.StagePersisting, Bytes: source.size,
			Accepted: a.result.Accepted, Rejected: a.result.Rejected, ByReason: a.result.ByReason,
		})
	}
	stop() // the transaction holds the objects from its first statement on
	return im.cfg.Jobs.InTx(ctx, scope.Worker(hold.Lease.Tenant), func(tx pgx.Tx) error {
		done := Imported{hold.Lease.JobID, source.size, source.crc.Sum64()}
		if err := im.cfg.Jobs.ClaimImportTx(ctx, tx, hold, in.Draft, done.SizeBytes, done.CRC64); err != nil {
			return err
		}
		if err := kept.keptTx(ctx, tx); err != nil {
			return err
		}
		if in.Also != nil {
			if err := in.Also(ctx, tx, done); err != nil {
				return err
			}
		}
		if failure == nil {
			if err := a.copyOffers(ctx, tx); err != nil {
				return err
			}
			return im.cfg.Jobs.CompleteTx(ctx, tx, a.lease, a.summary(in.Settings))
		}
		var r *job.Result
		if a.rejects.Key != "" {
			r = new(a.summary(in.Settings))
		}
		return im.cfg.Jobs.FailTx(ctx, tx, a.lease, job.Error{Code: failure.Code, Message: failure.Message}, failure.CanRetry && in.Keep != nil, r)
	})
}

// settle finds out whether the job is there after all, for the answer to a commit
// may be lost, and deletes what was written where it is not. Renewing tells: it waits
// for a transaction that is under way, and finds nothing to renew behind it.
func (im *Importer) settle(ctx context.Context, a *attempt, hold *job.Import, cause error) (job.Job, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	lost := im.cfg.Jobs.ExtendImport(ctx, hold)
	if lost == nil {
		a.discard(ctx)
		return job.Job{}, cause
	}
	if !errors.Is(lost, job.ErrLostLease) {
		return job.Job{}, errors.Join(cause, lost)
	}
	j, err := im.cfg.Jobs.Get(ctx, hold.Lease.Tenant, hold.Lease.JobID)
	if errors.Is(err, job.ErrNotFound) {
		return job.Job{}, errors.Join(cause, im.cfg.Jobs.AbandonImport(ctx, hold))
	}
	if err != nil {
		return job.Job{}, errors.Join(cause, err)
	}
	return j, nil
}

// measured counts and sums what is read. It is read by one goroutine at a time.
type measured struct {
	io.Reader

	size int64
	crc  hash.Hash64
}

// Read implements io.Reader.
func (m *measured) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.size += int64(n)
	m.crc.Write(p[:n])
	return n, err
}

// drain reads what is left.
func drain(ctx context.Context, r io.Reader) error {
	for buf := make([]byte, 64<<10); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := r.Read(buf); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read source: %w", err)
		}
	}
}
