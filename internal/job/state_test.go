package job_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
	"sluice/internal/scope"
)

// allowed is the table of steps as API.md and ARCHITECTURE.md tell it: rows are
// where from, columns where to, both in the order of job.States.
var allowed = [6][6]bool{
	//                  OPEN   UP_C   IN_P   JOB_C  FAIL   ABORT
	/* OPEN           */ {false, true, false, false, false, true},
	/* UPLOAD_COMPLETE*/ {false, true, true, false, false, true},
	/* IN_PROGRESS    */ {false, true, false, true, true, true},
	/* JOB_COMPLETE   */ {false, false, false, false, false, false},
	/* FAILED         */ {false, true, false, false, false, false},
	/* ABORTED        */ {false, true, false, false, false, false},
}

func TestCanStep(t *testing.T) {
	t.Parallel()
	for i, from := range job.States() {
		for k, to := range job.States() {
			if got := from.CanStep(to); got != allowed[i][k] {
				t.Errorf("%s to %s allowed = %v, want %v", from, to, got, allowed[i][k])
			}
		}
	}
	if job.State("").CanStep(job.Open) || job.Open.CanStep("") {
		t.Error("the empty state takes part in a step")
	}
}

func TestStateWords(t *testing.T) {
	t.Parallel()
	tests := []struct {
		state    job.State
		status   string
		terminal bool
	}{
		{job.Open, "uploading", false},
		{job.UploadComplete, "queued", false},
		{job.InProgress, "processing", false},
		{job.JobComplete, "completed", true},
		{job.Failed, "failed", true},
		{job.Aborted, "aborted", true},
	}
	for _, tt := range tests {
		if got := tt.state.Status(); got != tt.status || !tt.state.Valid() || tt.state.Terminal() != tt.terminal {
			t.Errorf("%s: status %q, valid %v, terminal %v", tt.state, got, tt.state.Valid(), tt.state.Terminal())
		}
		if !slices.Contains(job.States(), tt.state) {
			t.Errorf("%s is not among States", tt.state)
		}
	}
	if s := job.State("open"); s.Valid() || s.Status() != "" {
		t.Error(`"open" is taken for a state`)
	}
}

// Every pair of states, in Postgres: an allowed step changes what it must and
// enqueues where it must; any other changes nothing at all.
func TestStep(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, from := range job.States() {
		for _, to := range job.States() {
			t.Run(string(from)+" to "+string(to), func(t *testing.T) {
				t.Parallel()
				f := fixture{Store: f.Store, t: t, pool: f.pool}
				id := f.in(from)
				before, river := f.get(id), f.riverJobs(id)

				err := f.InTx(t.Context(), scope.Worker(tenant), func(tx pgx.Tx) error { return f.StepTx(t.Context(), tx, id, to) })
				after, enqueued := f.get(id), f.riverJobs(id)-river
				if !from.CanStep(to) {
					if !errors.Is(err, job.ErrStep) {
						t.Errorf("error = %v, want ErrStep", err)
					}
					if diff := cmp.Diff(before, after); diff != "" || enqueued != 0 {
						t.Errorf("a refused step enqueued %d and changed (-before +after):\n%s", enqueued, diff)
					}
					return
				}
				f.must(err)
				if after.State != to || after.Version != before.Version+1 || after.Fence <= before.Fence {
					t.Errorf("state %s, version %d after %d, fence %d after %d",
						after.State, after.Version, before.Version, after.Fence, before.Fence)
				}
				if !after.UpdatedAt.After(before.UpdatedAt) || after.CompletedAt.IsZero() == to.Terminal() {
					t.Errorf("updated %v after %v, completed %v", after.UpdatedAt, before.UpdatedAt, after.CompletedAt)
				}
				if due := to == job.UploadComplete; (enqueued == 1) != due || enqueued > 1 {
					t.Errorf("enqueued %d River jobs", enqueued)
				}
			})
		}
	}
}
