package audit_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/audit"
	"sluice/internal/devstack/devtest"
	"sluice/internal/scope"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// world is a log in a database of its own.
type world struct {
	*testing.T
	pool *pgxpool.Pool
	*audit.Log
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, pool: devtest.Database(t)}
	log, err := audit.New(audit.Config{Pool: w.pool})
	w.must(err)
	w.Log = log
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) note(a audit.Act) {
	w.Helper()
	w.must(w.Note(audit.With(w.Context(), audit.By{Actor: "key:slk_a", RequestID: "r1", Client: "192.0.2.1"}), a))
}

func (w *world) list(f audit.Filter, limit int) []audit.Entry {
	w.Helper()
	entries, err := w.List(w.Context(), f, limit)
	w.must(err)
	return entries
}

// What is done and its entry are there both or neither.
func TestEntryIsPartOfTheChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	undone := errors.New("undone")
	for _, want := range []error{nil, undone} {
		err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
			w.must(audit.Record(audit.With(t.Context(), audit.By{Actor: "session:1"}), tx, audit.Act{Tenant: "acme", Action: audit.JobCancel, Subject: "job_1"}))
			return want
		})
		if !errors.Is(err, want) {
			t.Fatal(err)
		}
	}
	err := pgx.BeginFunc(t.Context(), w.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "INSERT INTO tenant_limits (tenant) VALUES ('acme')"); err != nil {
			return err
		}
		_ = audit.Record(t.Context(), tx, audit.Act{Action: "no action"}) // the caller forgets what came of it
		return nil
	})
	var limits int
	w.must(w.pool.QueryRow(t.Context(), "SELECT count(*) FROM tenant_limits").Scan(&limits))
	if err == nil || limits != 0 {
		t.Errorf("a change is committed without its entry: %v", err)
	}
	entries := w.list(audit.Filter{}, 10)
	if len(entries) != 1 || entries[0].Actor != "session:1" || entries[0].Subject != "job_1" {
		t.Errorf("the log has %+v", entries)
	}
}

// Nobody changes or removes an entry, not even the owner of the table, whichever way.
func TestAppendOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.note(audit.Act{Tenant: "acme", Action: audit.KeyCreate, Subject: "slk_b"})
	before := w.list(audit.Filter{}, 10)
	for _, statement := range []string{
		"UPDATE audit SET actor = 'key:other'", "UPDATE audit SET actor = actor WHERE false", "DELETE FROM audit", "TRUNCATE audit",
		"TRUNCATE audit RESTART IDENTITY CASCADE",
		"SET session_replication_role = replica; DELETE FROM audit",
		"MERGE INTO audit USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
		"INSERT INTO audit OVERRIDING SYSTEM VALUE SELECT * FROM audit ON CONFLICT (id) DO UPDATE SET actor = 'key:other'",
	} {
		_, err := w.pool.Exec(t.Context(), statement)
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != "42501" { // insufficient_privilege
			t.Errorf("%s: %v", statement, err)
		}
	}
	if after := w.list(audit.Filter{}, 10); !slices.Equal(after, before) {
		t.Errorf("the log had %+v and has %+v", before, after)
	}
	var rights int
	w.must(w.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_class, aclexplode(relacl) AS acl
		WHERE relname = 'audit' AND acl.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE') AND acl.grantee <> 'sluice_eraser'::regrole`).Scan(&rights))
	var granted bool
	w.must(w.pool.QueryRow(t.Context(), "SELECT relacl IS NOT NULL FROM pg_class WHERE relname = 'audit'").Scan(&granted)) // NULL: what is by default
	if rights != 0 || !granted {
		t.Errorf("%d rights to change entries are granted", rights)
	}
}

// The erasure of a tenant takes the address and the name that an issuer gave from its entries, whatever it asks for; it
// changes nothing else, nothing of other tenants', and nothing before it was begun.
func TestErasureForgetsPersons(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tenant := range []string{"acme", "rival"} {
		for _, actor := range []string{"jwt:alice@example.com", "key:slk_a"} {
			w.must(w.Note(audit.With(t.Context(), audit.By{Actor: actor, RequestID: "r1", Client: "192.0.2.1"}), audit.Act{Tenant: tenant, Action: audit.JobDelete, Subject: "job_1"}))
		}
	}
	before := w.list(audit.Filter{}, 10)
	erase := func(sql string) error {
		_, err := scope.Over(w.pool, scope.Eraser("acme")).Exec(t.Context(), sql)
		return err
	}
	everything := "UPDATE audit SET actor = 'key:other', action = 'job.create', subject = '', detail = 'none', at = now(), tenant = 'acme'"
	for _, statement := range []string{everything, "DELETE FROM audit"} {
		if err := erase(statement); err == nil {
			t.Errorf("before the erasure: %s", statement)
		}
	}
	if after := w.list(audit.Filter{}, 10); !slices.Equal(after, before) {
		t.Errorf("the log had %+v and has %+v", before, after)
	}
	_, err := w.pool.Exec(t.Context(), "INSERT INTO erasures (tenant, id, keyed) VALUES ('acme', 'erasure_1', false)")
	w.must(err)
	w.must(erase(everything))
	for i, e := range before {
		if e.Tenant != "acme" {
			continue
		}
		if before[i].Client = ""; e.Actor == "jwt:alice@example.com" {
			before[i].Actor = "jwt:erased"
		}
	}
	if after := w.list(audit.Filter{}, 10); !slices.Equal(after, before) {
		t.Errorf("the log has %+v, not %+v", after, before)
	}
	if err := erase("DELETE FROM audit"); err == nil {
		t.Error("entries are deleted")
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, a := range []audit.Act{
		{Tenant: "acme", Action: audit.JobCreate, Subject: "job_1", Detail: "tus"},
		{Tenant: "rival", Action: audit.JobCreate, Subject: "job_2", Detail: "tus"},
		{Tenant: "acme", Action: audit.JobDelete, Subject: "job_1"},
		{Action: audit.QueuePause, Subject: "default"},
	} {
		w.note(a)
	}
	all := w.list(audit.Filter{}, 10)
	for name, c := range map[string]struct {
		f    audit.Filter
		want []int // places in all
	}{
		"all":                    {audit.Filter{}, []int{0, 1, 2, 3}},
		"a tenant":               {audit.Filter{Tenant: "acme"}, []int{1, 3}},
		"an action":              {audit.Filter{Action: audit.JobCreate}, []int{2, 3}},
		"a subject":              {audit.Filter{Subject: "job_1"}, []int{1, 3}},
		"a subject of another's": {audit.Filter{Tenant: "rival", Subject: "job_1"}, nil},
		"a time":                 {audit.Filter{Since: all[1].At}, []int{0, 1}},
		"a time to come":         {audit.Filter{Since: time.Now().Add(time.Hour)}, nil},
		"the next page":          {audit.Filter{Before: all[1].ID}, []int{2, 3}},
	} {
		var want []audit.Entry
		for _, i := range c.want {
			want = append(want, all[i])
		}
		if got := w.list(c.f, 10); !slices.Equal(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if page := w.list(audit.Filter{}, 3); !slices.Equal(page, all[:3]) {
		t.Errorf("a page of three: %+v", page)
	}
	if e := all[3]; e.Actor != "key:slk_a" || e.RequestID != "r1" || e.Client != "192.0.2.1" || e.Detail != "tus" || time.Since(e.At).Abs() > time.Hour {
		t.Errorf("an entry is %+v", e)
	}
}

// What an issuer calls somebody is kept on one line, and does not stop a change.
func TestActorFromOutside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ actor, want string }{
		{"jwt:alice@example.com", "jwt:alice@example.com"},
		{"jwt:\x00\n\x1b[2Jböse\u202e\xff", "jwt:???[2Jböse??"},
		{"jwt:" + strings.Repeat("ä", 255), "jwt:" + strings.Repeat("ä", 148)},
	} {
		ctx := audit.As(t.Context(), c.actor)
		w.must(w.Note(ctx, audit.Act{Tenant: "acme", Action: audit.ResultRead, Subject: "job_1"}))
		if got := w.list(audit.Filter{}, 1)[0]; got.Actor != c.want {
			t.Errorf("%q is kept as %q", c.actor, got.Actor)
		}
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, a := range audit.Actions() {
		w.note(audit.Act{Action: a}) // the table takes each
		if !a.Valid() {
			t.Errorf("%s is not valid", a)
		}
	}
	if audit.Action("job.invent").Valid() || audit.Action("").Valid() {
		t.Error("what is no action is valid")
	}
	if _, err := audit.New(audit.Config{}); err == nil {
		t.Error("a log without a pool")
	}
}
