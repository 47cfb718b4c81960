package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// ImportChannel is what jobs of imports are told apart by.
const ImportChannel = "import"

// importFence is that of an import's one attempt: its job is created, enqueued and
// claimed in one transaction, and each of the two steps raises it.
const importFence = 2

// Import is a job that one process brings to its end by itself. There is no row of
// it before that: job, attempt and results become visible in one transaction, and a
// process that dies leaves nothing but objects, which the sweep finds.
//
// The right to these objects is the import's lease. Goroutines may share it.
type Import struct {
	// Lease is what the job will have been claimed under. It is good for the
	// transaction that ClaimImportTx is in, and no other.
	Lease Lease
	Day   int32 // the job's ReferenceDay: the UTC day on which the import began

	began time.Time // by this process's clock
	until time.Time // when the sweep would take the objects for left, as of began and by Postgres's clock
	mu    sync.Mutex
	// held are what the row may say: the time that was last saved, and those that
	// may have been, for an answer did not come. The sweep puts another there.
	held []time.Time
}

// BeginImport begins an import. It lasts as long as ExtendImport is called every
// LeaseHeartbeat; its objects are swept some time after SweepGrace otherwise.
func (s *Store) BeginImport(ctx context.Context, tenant string) (*Import, error) {
	i := &Import{Lease: Lease{JobID: NewID(), Tenant: tenant, Fence: importFence}}
	r, err := s.as(scope.Worker(tenant)).HoldObjects(ctx, db.HoldObjectsParams{JobID: i.Lease.JobID, Tenant: tenant, Fence: importFence, Seconds: s.hold()})
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrErased
	}
	if err != nil {
		return nil, fmt.Errorf("begin import %s: %w", i.Lease.JobID, err)
	}
	i.Day, i.began, i.until, i.held = dayOf(dateOf(r.Clock)), time.Now(), r.SweepAt, []time.Time{r.SweepAt}
	return i, nil
}

// hold is how many seconds objects are held at a time: a lease's life, and the
// grace in which what a dead process has sent may still arrive.
func (s *Store) hold() float64 { return (s.expiry + s.grace).Seconds() }

// ExtendImport renews the import, from now on. It returns ErrLostLease when it has
// ended, or was silent for so long that its objects are being swept. While the
// transaction that ends it is under way, it waits for that.
func (s *Store) ExtendImport(ctx context.Context, i *Import) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	until := i.until.Add(time.Since(i.began).Truncate(time.Microsecond)) // as exactly as Postgres keeps it
	i.held = append(i.held, until)
	n, err := s.as(scope.Worker(i.Lease.Tenant)).HoldObjectsOn(ctx, db.HoldObjectsOnParams{JobID: i.Lease.JobID, Tenant: i.Lease.Tenant, Held: i.held, Until: until})
	if err == nil && n == 0 {
		err = ErrLostLease
	}
	if err != nil {
		return fmt.Errorf("extend import %s: %w", i.Lease.JobID, err)
	}
	i.held = []time.Time{until}
	return nil
}

// ClaimImportTx makes the import's job, with ID, Tenant and Channel of its own, and
// claims it under Import.Lease. The same transaction brings it to its end: nobody
// ever sees it unfinished, and no worker is told. It returns ErrLostLease like
// ExtendImport.
func (s *Store) ClaimImportTx(ctx context.Context, tx pgx.Tx, i *Import, d Draft, sizeBytes int64, crc64 uint64) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	// First: from here on the sweep passes over the objects.
	n, err := db.New(tx).KeepObjects(ctx, db.KeepObjectsParams{JobID: i.Lease.JobID, Tenant: i.Lease.Tenant, Held: i.held})
	if err == nil && n == 0 {
		err = ErrLostLease
	}
	if err != nil {
		return fmt.Errorf("keep objects of import %s: %w", i.Lease.JobID, err)
	}
	d.ID, d.Tenant, d.Channel = i.Lease.JobID, i.Lease.Tenant, ImportChannel
	if err := s.CreateTx(ctx, tx, d); err != nil {
		return err
	}
	bits := int64(crc64)
	_, err = s.step(ctx, tx, change{id: d.ID, from: Open, to: UploadComplete, unqueued: true, edit: func(j *row) {
		j.SizeBytes, j.Crc64, j.ReferenceDate = &sizeBytes, &bits, date(i.Day)
	}})
	if err != nil {
		return err
	}
	_, err = s.step(ctx, tx, change{id: d.ID, to: InProgress, held: &Lease{Fence: importFence - 1}, edit: func(j *row) { j.claim("import", s.expiry) }})
	return err
}

// AbandonImport gives the objects of an import that was lost to the sweep, also
// those that were written since.
func (s *Store) AbandonImport(ctx context.Context, i *Import) error {
	s.log.WarnContext(ctx, "import lost", slog.String("job_id", i.Lease.JobID))
	return s.InTx(ctx, scope.Worker(i.Lease.Tenant), func(tx pgx.Tx) error { return s.keepStray(ctx, tx, i.Lease) })
}
