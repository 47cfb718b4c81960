package job_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
)

// old creates a job of 2024, the nth of them, that was cancelled so long ago.
func (f fixture) old(tenant string, n int, ago time.Duration) string {
	f.t.Helper()
	d := job.Draft{ID: fmt.Sprintf("job_01jc00000000000000000%05d", n), Tenant: tenant, Channel: "tus"}
	f.txOf(tenant, func(tx pgx.Tx) error {
		if err := f.CreateTx(f.ctx(), tx, d); err != nil {
			return err
		}
		return f.AbortTx(f.ctx(), tx, d.ID, "Cancelled.")
	})
	f.exec(`UPDATE jobs SET completed_at = clock_timestamp() - make_interval(secs => $2) WHERE id = $1`, d.ID, ago.Seconds())
	return d.ID
}

// endedIDs returns the ids of those that are past their retention.
func (f fixture) endedIDs(otherwise time.Duration, limit int) []string {
	f.t.Helper()
	jobs, err := f.Ended(f.ctx(), otherwise, limit)
	f.must(err)
	ids := make([]string, len(jobs))
	for i, j := range jobs {
		if ids[i] = j.ID; j.Tenant == "" {
			f.t.Errorf("%s is nobody's", j.ID)
		}
	}
	return ids
}

func (f fixture) retain(tenant string, age time.Duration) {
	f.t.Helper()
	_, err := f.SetLimits(f.ctx(), tenant, func(l *job.Limits) { l.Retention = &age })
	f.must(err)
}

func TestEnded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, state := range job.States() {
		f.in(state)
	}
	// Ids and ends are of now: no job is an hour old, and all ended ones will be older than nothing.
	if ids := f.endedIDs(time.Hour, 10); len(ids) != 0 {
		t.Errorf("%d jobs ended an hour ago", len(ids))
	}
	f.exec(`UPDATE jobs SET completed_at = completed_at - interval '1 day' WHERE completed_at IS NOT NULL`)
	if ids := f.endedIDs(time.Hour, 10); len(ids) != 0 {
		t.Errorf("%d jobs ended before they were created", len(ids))
	}
	if ids := f.endedIDs(-time.Second, 10); len(ids) != 3 {
		t.Errorf("%d of 3 ended jobs are found", len(ids))
	}
	if ids := f.endedIDs(-time.Second, 2); len(ids) != 2 {
		t.Errorf("%d jobs at a limit of 2", len(ids))
	}
}

// A tenant's own retention, longer or shorter, goes before that of all others.
func TestEndedByTenant(t *testing.T) {
	t.Parallel()
	f := setup(t)
	young, old := f.old("acme", 1, time.Hour), f.old("acme", 2, 3*time.Hour)
	f.old("archive", 3, 1000*time.Hour)
	hasty := f.old("hasty", 4, time.Hour)
	f.old("patient", 5, 3*time.Hour)
	f.retain("archive", 0)
	f.retain("hasty", 30*time.Minute)
	f.retain("patient", 200*365*24*time.Hour)
	for otherwise, want := range map[time.Duration][]string{
		0:                {hasty},
		2 * time.Hour:    {old, hasty},
		30 * time.Minute: {young, old, hasty},
	} {
		got := f.endedIDs(otherwise, 10)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("otherwise %v: %q, want %q", otherwise, got, want)
		}
	}
}

// A backlog of one tenant keeps no other waiting.
func TestEndedInTurn(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var backlog []string
	for n := range 5 {
		backlog = append(backlog, f.old("acme", n, time.Hour))
	}
	other := f.old("other", 9, time.Hour)
	if got, want := f.endedIDs(time.Minute, 3), []string{backlog[0], other, backlog[1]}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
