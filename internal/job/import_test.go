package job_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
	"sluice/internal/scope"
)

func (f fixture) begin() *job.Import {
	f.t.Helper()
	i, err := f.BeginImport(f.ctx(), tenant)
	f.must(err)
	return i
}

func (f fixture) claimImport(i *job.Import) error {
	return f.InTx(f.ctx(), scope.Worker(tenant), func(tx pgx.Tx) error {
		if err := f.ClaimImportTx(f.ctx(), tx, i, job.Draft{Filename: "july.csv"}, 1234, 7); err != nil {
			return err
		}
		return f.CompleteTx(f.ctx(), tx, &i.Lease, result())
	})
}

// The sweep and the end of an import exclude each other, whoever comes first.
func TestImportAndSweep(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var err error
	f.Store, err = job.New(job.Config{Pool: f.pool, LeaseExpiry: time.Millisecond, SweepGrace: time.Millisecond}) // all is due at once
	f.must(err)

	i := f.begin()
	f.must(f.ExtendImport(t.Context(), i))
	f.tx(func(tx pgx.Tx) error {
		f.must(f.ClaimImportTx(t.Context(), tx, i, job.Draft{}, 1234, 7))
		if s, err := f.ClaimStray(t.Context()); s != nil || err != nil {
			t.Errorf("objects are swept that a result is about to name: %v", err)
		}
		return f.CompleteTx(t.Context(), tx, &i.Lease, result())
	})
	if err := f.ExtendImport(t.Context(), i); !errors.Is(err, job.ErrLostLease) {
		t.Errorf("an import that has ended is renewed: %v", err)
	}
	if j := f.get(i.Lease.JobID); j.State != job.JobComplete || f.riverJobs(j.ID) != 0 {
		t.Errorf("ended as %s, and %d workers are told", j.State, f.riverJobs(j.ID))
	}

	lost := f.begin()
	for s := (*job.Stray)(nil); s == nil; { // in 2 ms
		s, err = f.ClaimStray(t.Context())
		f.must(err)
	}
	for name, err := range map[string]error{"renewed": f.ExtendImport(f.ctx(), lost), "ended": f.claimImport(lost)} {
		if !errors.Is(err, job.ErrLostLease) {
			t.Errorf("%s although its objects are swept: %v", name, err)
		}
	}
	f.must(f.AbandonImport(f.ctx(), lost))
	if n := f.count("jobs WHERE id = $1", lost.Lease.JobID); n != 0 {
		t.Error("a lost import has a job")
	}
}

// An answer that does not come costs a renewal nothing: what the row may say by then
// is known.
func TestImportRenewedWithoutAnswer(t *testing.T) {
	t.Parallel()
	f := setup(t)
	i := f.begin()
	f.exec(`ALTER TABLE strays ADD CONSTRAINT away CHECK (false) NOT VALID`)
	if err := f.ExtendImport(f.ctx(), i); err == nil {
		t.Fatal("renewed although Postgres refuses")
	}
	f.exec(`ALTER TABLE strays DROP CONSTRAINT away`)
	f.exec(`UPDATE strays SET sweep_at = $1`, i.Held()) // as if it had been done all the same
	f.must(f.ExtendImport(f.ctx(), i))
	f.must(f.claimImport(i))
}
