package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/drop"
	"sluice/internal/job"
	"sluice/internal/pipeline"
	"sluice/internal/scope"
	"sluice/internal/span"
)

// The objects that an attempt writes, in a folder of its own.
const (
	aggregatesName = "aggregates.parquet"
	rejectsName    = "rejects.csv"
)

// attemptPrefix is what the keys of all that an attempt writes begin with: no other
// attempt's do.
func attemptPrefix(tenant, id string, fence int64) string {
	return fmt.Sprintf("%s%d/", job.ResultPrefix(tenant, id), fence)
}

// attempt is one worker's go at one job, under one lease.
type attempt struct {
	cfg     Config
	lease   *job.Lease
	job     job.Job
	keeper  *keeper
	began   time.Time
	objects string // its attemptPrefix

	result              *pipeline.Result // nil until the file was read
	aggregates, rejects blob.Object      // written so far; the zero Object is none
}

// run reads the file, writes its results and makes them visible. A file's own
// fault is a *pipeline.Failure, a panic a *panicked.
func (a *attempt) run(ctx context.Context) (err error) {
	defer a.release(ctx)
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{value: v, stack: debug.Stack()}
		}
	}()
	settings, err := pipeline.ParseSettings(a.job.CreditConfig, a.job.AggregateConfig, a.job.ParseConfig)
	if err != nil {
		return a.blame(err)
	}
	in, err := a.open(ctx)
	if err != nil {
		return a.blame(err)
	}
	defer in.Close()
	if err := a.read(ctx, settings, in, a.keeper.report); err != nil {
		return a.blame(err)
	}
	return a.persist(ctx, settings)
}

// release gives back what the file's sums hold.
func (a *attempt) release(ctx context.Context) {
	if a.result == nil {
		return
	}
	if err := a.result.Close(); err != nil {
		a.cfg.Logger.WarnContext(ctx, "sums not released", "job_id", a.job.ID, "err", err)
	}
}

// read runs the pipeline over the file and leaves the result's objects in S3,
// where nobody sees them yet.
func (a *attempt) read(ctx context.Context, settings pipeline.Settings, in io.Reader, progress func(pipeline.Progress)) (err error) {
	aggregates := a.cfg.Bucket.Create(ctx, a.objects+aggregatesName)
	defer aggregates.Abort()
	rejects := a.cfg.Bucket.Create(ctx, a.objects+rejectsName)
	defer rejects.Abort()

	var failure *pipeline.Failure
	a.result, err = pipeline.Run(ctx, pipeline.Input{
		Source: in, Settings: settings, ReferenceDay: a.job.ReferenceDay,
		Stored: a.stored(), SHA256: a.job.SHA256,
		MemoryBytes: a.cfg.JobMemoryBytes, TempDir: a.cfg.TempDir,
	}, pipeline.Sinks{Aggregates: aggregates, Rejects: rejects, Progress: progress})
	if err != nil && !errors.As(err, &failure) {
		return err
	}
	if a.result.Rejected > 0 { // also of a file that failed: they say why
		if a.rejects, err = closed(rejects); err != nil {
			return err
		}
	}
	if failure != nil {
		return failure
	}
	a.aggregates, err = closed(aggregates)
	return err
}

// open returns the file: the parts of its upload, or the object that was dropped,
// where it lies.
func (a *attempt) open(ctx context.Context) (io.ReadCloser, error) {
	if a.job.Channel == drop.Channel {
		if a.cfg.Drops == nil {
			return nil, errors.New("open dropped object: Config.Drops is missing")
		}
		bucket, object, err := a.cfg.Drops.Source(ctx, a.job.Tenant, a.job.ID)
		if err != nil {
			return nil, err
		}
		return bucket.Open(ctx, object), nil
	}
	source, err := a.cfg.Jobs.Source(ctx, a.job.Tenant, a.job.ID)
	if err != nil {
		return nil, err
	}
	objects := make([]blob.Object, len(source))
	for i, o := range source {
		objects[i] = blob.Object(o)
	}
	return a.cfg.Bucket.Open(ctx, objects...), nil
}

// stored is what is known of the bytes; nil of those that nobody has read yet, which
// are pinned by their version and size alone.
func (a *attempt) stored() *pipeline.Stored {
	if !a.job.Digested {
		return nil
	}
	return &pipeline.Stored{SizeBytes: a.job.SizeBytes, CRC64: a.job.CRC64}
}

// closed closes an object's writer and returns what it wrote.
func closed(w *blob.Writer) (blob.Object, error) {
	if err := w.Close(); err != nil {
		return blob.Object{}, err
	}
	return w.Object(), nil
}

// persist writes the offers and completes the job: one transaction, which
// touches the job's row in its last statement only, so that the copy does not
// keep the heartbeat waiting.
func (a *attempt) persist(ctx context.Context, settings pipeline.Settings) error {
	a.keeper.enter(job.Persisting)
	committed := func(error) {} // of a transaction that does not come to it
	err := a.cfg.Jobs.InTx(ctx, scope.Worker(a.lease.Tenant), func(tx pgx.Tx) error {
		if err := a.copyOffers(ctx, tx); err != nil {
			return err
		}
		ctx, end := span.Begin(ctx, "commit result")
		committed = end
		// From here on the row is locked, by which recovery leaves it alone. A
		// heartbeat would wait for the commit, find no lease behind it, and end
		// this attempt just before it hears of its success.
		a.keeper.stop()
		return a.cfg.Jobs.CompleteTx(ctx, tx, a.lease, a.summary(settings))
	})
	committed(err)
	return err
}

// copyOffers takes the decisions and writes them as they come: so the two share a
// span.
func (a *attempt) copyOffers(ctx context.Context, tx pgx.Tx) (err error) {
	ctx, end := span.Begin(ctx, "score and write offers")
	defer func() { end(err) }()
	next, stop := iter.Pull2(a.result.Offers())
	defer stop()
	rows, err := a.cfg.Jobs.CopyOffersTx(ctx, tx, a.lease, func() (job.Offer, bool, error) {
		o, err, ok := next()
		return offerOf(o), ok, err
	})
	span.Count(ctx, "rows", rows)
	return err
}

// fail ends the job for its file's fault, with the rejects that explain it.
func (a *attempt) fail(ctx context.Context, f *pipeline.Failure) error {
	var r *job.Result
	if a.rejects.Key != "" {
		settings, err := pipeline.ParseSettings(a.job.CreditConfig, a.job.AggregateConfig, a.job.ParseConfig)
		if err != nil {
			return err
		}
		r = new(a.summary(settings))
	}
	return a.cfg.Jobs.Fail(ctx, a.lease, job.Error{Code: f.Code, Message: f.Message}, f.CanRetry, r)
}

// discard deletes what the attempt wrote. It is for an attempt that gave its job
// back: then no result names the objects. One that only lost its lease cannot
// know that, for a commit may be done whose answer was lost; what it wrote is
// the sweep's, as is what discard misses.
func (a *attempt) discard(ctx context.Context) {
	for _, o := range []blob.Object{a.aggregates, a.rejects} {
		if o.Key == "" {
			continue
		}
		if err := a.cfg.Bucket.Delete(ctx, o.Key); err != nil {
			a.cfg.Logger.WarnContext(ctx, "object left to the sweep", "job_id", a.job.ID, "object_key", o.Key, "err", err)
		}
	}
}

// panicked is a panic of an attempt: to its job, a death.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }
