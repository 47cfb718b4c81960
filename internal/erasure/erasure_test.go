package erasure_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sluice/internal/erasure"
	"sluice/internal/job"
	"sluice/internal/scope"
)

// Whichever statement the worker dies before, the next one goes on, and the receipt says the same.
func TestKilledBeforeAnyStatement(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed("rival")
	before := w.counts("rival")
	for n := 1; ; n++ {
		tenant := fmt.Sprint("acme-", n)
		w.seed(tenant)
		_, err := w.store.Begin(t.Context(), tenant)
		w.must(err)
		broken := w.erase(tenant, n)
		if got := w.receipt(tenant).Rows; !maps.Equal(got, seeded) {
			t.Errorf("killed before statement %d (-want +got):\n%s", n, cmp.Diff(seeded, got))
		}
		if !broken {
			t.Logf("an erasure has %d statements", n-1)
			break
		}
	}
	if diff := cmp.Diff(before, w.counts("rival")); diff != "" {
		t.Errorf("another tenant has (-before +after):\n%s", diff)
	}
}

// Who looked before the erasure began, and adds something after, is waited for.
func TestUnderWayIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed("acme")
	late, err := scope.Over(w.pool, scope.System).Begin(t.Context())
	w.must(err)
	const add = `INSERT INTO access_keys (id, tenant, role, name, digest) VALUES ($1, 'acme', 'read', '', sha256(''))`
	_, err = late.Exec(t.Context(), add, "late")
	w.must(err)
	_, err = w.store.Begin(t.Context(), "acme")
	w.must(err)
	w.must(w.eraser.Round(t.Context()))
	if n := w.count("SELECT count(*) FROM jobs WHERE tenant = 'acme'"); n != 1 {
		t.Errorf("%d jobs are left while somebody may add one", n)
	}
	w.must(late.Commit(t.Context()))
	w.erase("acme", 0)
	if got := w.receipt("acme").Rows["access_keys"]; got != seeded["access_keys"]+1 {
		t.Errorf("the receipt has %d keys", got)
	}
	if _, err := scope.Over(w.pool, scope.System).Exec(t.Context(), add, "later"); !job.IsErased(err) {
		t.Errorf("a key behind it: %v", err)
	}
}

// Nothing begins any more, in any role that may add it; and it is erased once.
func TestNothingBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, err := w.store.Begin(t.Context(), "acme")
	w.must(err)
	for _, r := range rows {
		if _, hangs := unclosed[r.table]; hangs {
			continue
		}
		for _, as := range []scope.Scope{scope.Tenant("acme"), scope.Worker("acme"), scope.System} {
			w.within(as, func(tx pgx.Tx) {
				_, err := tx.Exec(t.Context(), r.sql, "acme")
				if denied := err != nil && strings.Contains(err.Error(), "permission denied for table "+r.table); !denied && !job.IsErased(err) {
					t.Errorf("%+v adds to %s: %v", as, r.table, err)
				}
			})
		}
	}
	if _, err := w.jobs.BeginImport(t.Context(), "acme"); !job.IsErased(err) {
		t.Errorf("an import begins: %v", err)
	}
	again, err := w.store.Begin(t.Context(), "acme")
	if err != nil || again != first {
		t.Errorf("begun again it is %+v, %v, and not %+v", again, err, first)
	}
	if n := w.count("SELECT count(*) FROM audit WHERE action = 'tenant.erase'"); n != 1 {
		t.Errorf("%d entries in the audit log", n)
	}
	if _, err := w.store.Get(t.Context(), "rival"); !errors.Is(err, erasure.ErrNotFound) {
		t.Errorf("of another tenant: %v", err)
	}
	if _, err := w.store.Begin(t.Context(), "*"); !errors.Is(err, erasure.ErrTenant) {
		t.Errorf("of everybody: %v", err)
	}
}

// unclosed are the tables of tenants to which rows are added behind the beginning of an erasure, and what they hang on:
// the deletion of that is the end of them.
var unclosed = map[string]string{
	"results": "a job", "offers": "a job, which is locked", "strays": "what is left to the sweep, which is waited for",
	"deliveries": "a webhook", "delivery_attempts": "a delivery", "token_uploads": "an upload", "batched": "an upload", "batches": "an upload",
	"tenant_usage": "an upload or a job; the last look finds it", "audit": "the tenant's name stays", "erasures": "itself",
	"river_job": "a job or a webhook, without which it is dropped", "steps": "a job", "parts": "an upload", "concats": "an upload",
}

// Each table with tenants' rows is closed or named above, and counted. A new one fails.
func TestEveryTableIsErased(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	closed := w.texts(`SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'refuse_erased'`)
	var counted []string
	for table := range w.counts("acme") {
		counted = append(counted, table)
	}
	for _, table := range w.texts(`SELECT polrelid::regclass::text FROM pg_policy WHERE polname = 'tenant'`) {
		_, hangs := unclosed[table]
		if slices.Contains(closed, table) == hangs {
			t.Errorf("%s: give it the trigger refuse_erased, or say on what its rows hang", table)
		}
		stays := table == "river_job" || table == "audit" || table == "erasures"
		if slices.Contains(counted, table) == stays {
			t.Errorf("%s: have CountRows count it", table)
		}
	}
}
