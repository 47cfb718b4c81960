package scope_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sluice/internal/devstack/devtest"
	"sluice/internal/scope"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// whoSQL tells as whom and for whom a statement runs.
const whoSQL = `SELECT current_user::text, COALESCE(current_setting('sluice.tenant', true), '')`

type asker interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func who(t *testing.T, db asker) (user, tenant string) {
	t.Helper()
	if err := db.QueryRow(t.Context(), whoSQL).Scan(&user, &tenant); err != nil {
		t.Fatal(err)
	}
	return user, tenant
}

func TestScopes(t *testing.T) {
	t.Parallel()
	pool := devtest.OneConn(t)
	for _, tenant := range []string{"acme", `o'brien"; DROP TABLE jobs; --`, `back\slash\'`, "größe 💶", "a\nb"} {
		for role, as := range map[string]scope.Scope{"sluice_tenant": scope.Tenant(tenant), "sluice_worker": scope.Worker(tenant), "sluice_eraser": scope.Eraser(tenant)} {
			db := scope.Over(pool, as)
			if user, got := who(t, db); user != role || got != tenant {
				t.Errorf("a statement for %q runs as %s for %q", tenant, user, got)
			}
			err := pgx.BeginFunc(t.Context(), db, func(tx pgx.Tx) error {
				if user, got := who(t, tx); user != role || got != tenant {
					t.Errorf("a transaction for %q runs as %s for %q", tenant, user, got)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	if user, tenant := who(t, scope.Over(pool, scope.System)); user != "sluice_system" || tenant != "" {
		t.Errorf("System runs as %s for %q", user, tenant)
	}
	if scope.Of("") != scope.System || scope.Of("acme") != scope.Tenant("acme") {
		t.Error("Of is neither all nor one")
	}
}

// Nothing is asked where it is not said for whom, or for another than who was let in.
func TestNoScope(t *testing.T) {
	t.Parallel()
	pool := devtest.Database(t)
	for name, c := range map[string]struct {
		bound *string
		as    scope.Scope
		may   bool
	}{
		"none":             {nil, scope.Scope{}, false},
		"no tenant":        {nil, scope.Tenant(""), false},
		"worker of none":   {nil, scope.Worker(""), false},
		"another":          {new("acme"), scope.Tenant("globex"), false},
		"another's worker": {new("acme"), scope.Worker("globex"), false},
		"bound to none":    {new(""), scope.Tenant("acme"), false},
		"another's eraser": {new("acme"), scope.Eraser("globex"), false},
		"eraser of none":   {nil, scope.Eraser(""), false},
		"its own":          {new("acme"), scope.Tenant("acme"), true},
		"system":           {new("acme"), scope.System, true},
	} {
		ctx, db := t.Context(), scope.Over(pool, c.as)
		if c.bound != nil {
			ctx = scope.Bind(ctx, *c.bound)
		}
		_, executed := db.Exec(ctx, "SELECT 1")
		for what, err := range map[string]error{
			"a transaction": pgx.BeginFunc(ctx, db, func(pgx.Tx) error { return nil }),
			"a statement":   executed,
			"a row":         db.QueryRow(ctx, "SELECT 1").Scan(new(int)),
		} {
			if c.may && err != nil || !c.may && !errors.Is(err, scope.ErrForeign) {
				t.Errorf("%s: %s = %v", name, what, err)
			}
		}
	}
}

// Whatever ends a transaction, the next one on its connection is nobody's.
func TestConnectionKeepsNothing(t *testing.T) {
	t.Parallel()
	pool := devtest.OneConn(t)
	login, _ := who(t, pool)
	db := scope.Over(pool, scope.Tenant("acme"))
	failed := errors.New("failed")
	for name, do := range map[string]func(ctx context.Context) error{
		"statement":           func(ctx context.Context) error { _, err := db.Exec(ctx, "SELECT 1"); return err },
		"failed statement":    func(ctx context.Context) error { _, err := db.Exec(ctx, "SELECT 1/0"); return wanted(err) },
		"bad statement":       func(ctx context.Context) error { _, err := db.Exec(ctx, "SELEKT"); return wanted(err) },
		"refused statement":   func(ctx context.Context) error { _, err := db.Exec(ctx, "SELECT FROM access_keys"); return wanted(err) },
		"row":                 func(ctx context.Context) error { return db.QueryRow(ctx, "SELECT 1").Scan(new(int)) },
		"row of another type": func(ctx context.Context) error { return wanted(db.QueryRow(ctx, "SELECT 'a'").Scan(new(int))) },
		"no row": func(ctx context.Context) error {
			return wanted(db.QueryRow(ctx, "SELECT 1 WHERE false").Scan(new(int)))
		},
		"rows left unread": func(ctx context.Context) error {
			rows, err := db.Query(ctx, "SELECT generate_series(1, 100000)")
			if err != nil {
				return err
			}
			rows.Next()
			rows.Close()
			return rows.Err()
		},
		"rows that fail": func(ctx context.Context) error {
			rows, err := db.Query(ctx, "SELECT 1 / (3 - i) FROM generate_series(1, 5) AS i")
			if err != nil {
				return wanted(err)
			}
			for rows.Next() {
			}
			return wanted(rows.Err())
		},
		"transaction": func(ctx context.Context) error { return pgx.BeginFunc(ctx, db, func(pgx.Tx) error { return nil }) },
		"rolled back": func(ctx context.Context) error {
			return wanted(pgx.BeginFunc(ctx, db, func(pgx.Tx) error { return failed }))
		},
		"broken transaction": func(ctx context.Context) error {
			return wanted(pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, "SELECT 1/0"); return err }))
		},
		"role taken within": func(ctx context.Context) error {
			return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, "SET LOCAL ROLE sluice_system; SET LOCAL sluice.tenant = 'globex'")
				return err
			})
		},
		"cancelled statement": func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			_, err := db.Exec(ctx, "SELECT pg_sleep(60)")
			return wanted(err)
		},
		"cancelled transaction": func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			return wanted(pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { cancel(); _, err := tx.Exec(ctx, "SELECT 1"); return err }))
		},
		"panic": func(ctx context.Context) error {
			defer func() { _ = recover() }()
			return pgx.BeginFunc(ctx, db, func(pgx.Tx) error { panic("bug") })
		},
	} {
		if err := do(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if user, tenant := who(t, pool); user != login || tenant != "" {
			t.Errorf("after %s the connection is %s for %q", name, user, tenant)
		}
	}
}

// wanted turns the error around: there must be one.
func wanted(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return nil
}

// denied tells whether Postgres refused something to a role, or a row to a policy.
func denied(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "42501"
}
