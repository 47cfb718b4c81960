package migrations_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"sluice/internal/devstack/devtest"
	"sluice/migrations"
)

// migrateEnv holds the database that this executable, started again, migrates.
const migrateEnv = "SLUICE_TEST_MIGRATE_DSN"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(migrateEnv); dsn != "" {
		if err := migrations.Up(context.Background(), dsn, slog.New(slog.NewTextHandler(os.Stdout, nil))); err != nil {
			_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(devtest.Main(m))
}

func TestStatusAndCheck(t *testing.T) {
	t.Parallel()
	dsn := devtest.EmptyDSN(t)
	pool := open(t, dsn)
	before := status(t, dsn)
	for _, e := range before {
		if e.Applied() {
			t.Errorf("%s %d is applied in an empty database", e.Line, e.Version)
		}
	}
	if n := relations(t, pool); len(n) != 0 {
		t.Errorf("Status created %v", n)
	}
	if err := migrations.Check(t.Context(), pool); !errors.Is(err, migrations.ErrPending) {
		t.Errorf("Check of an empty database = %v, want ErrPending", err)
	}

	up(t, dsn)
	if err := migrations.Check(t.Context(), pool); err != nil {
		t.Errorf("Check after Up: %v", err)
	}
	after := status(t, dsn)
	if len(after) != len(before) {
		t.Fatalf("%d entries before Up, %d after", len(before), len(after))
	}
	for i, e := range after {
		if !e.Applied() {
			t.Errorf("%s %d is pending after Up", e.Line, e.Version)
		}
		if e.Line != before[i].Line || e.Version != before[i].Version || e.Name == "" {
			t.Errorf("entry %d = %+v, was %+v", i, e, before[i])
		}
	}
}

// River may bring migrations that nobody here has read: they are applied when
// the pinned version is raised.
func TestRiverIsPinnedToItsNewest(t *testing.T) {
	t.Parallel()
	pool := devtest.Database(t)
	var got int
	if err := pool.QueryRow(t.Context(), `SELECT max(version) FROM river_migration`).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := migrations.NewestRiver(t); got != want {
		t.Errorf("river schema is at %d, its driver brings %d: read what is new and raise riverVersion", got, want)
	}
}

func TestCheckToleratesNewer(t *testing.T) {
	t.Parallel()
	pool := devtest.Database(t)
	exec1(t, pool, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)`)
	if err := migrations.Check(t.Context(), pool); err != nil {
		t.Errorf("Check of a newer database: %v", err)
	}
}

func TestUpByTwoProcesses(t *testing.T) {
	t.Parallel()
	dsn := devtest.EmptyDSN(t)
	var cmds []*exec.Cmd
	var outs []*strings.Builder
	for range 2 {
		cmd, out := exec.CommandContext(t.Context(), os.Args[0]), new(strings.Builder)
		cmd.Env = append(os.Environ(), migrateEnv+"="+dsn)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds, outs = append(cmds, cmd), append(outs, out)
	}
	applied := 0
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("process %d: %v\n%s", i, err, outs[i])
		}
		applied += strings.Count(outs[i].String(), "migration applied")
	}
	if want := len(status(t, dsn)); applied != want {
		t.Errorf("the two applied %d migrations, want %d", applied, want)
	}
}

func TestUpByManyAtOnce(t *testing.T) {
	t.Parallel()
	dsn := devtest.EmptyDSN(t)
	const callers = 6
	errs := make(chan error, callers)
	for range callers {
		go func() { errs <- migrations.Up(t.Context(), dsn, slog.New(slog.DiscardHandler)) }()
	}
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := migrations.Check(t.Context(), open(t, dsn)); err != nil {
		t.Error(err)
	}
}

func TestDownAndUp(t *testing.T) {
	t.Parallel()
	pool := devtest.Database(t)
	full := relations(t, pool)
	db := stdlib.OpenDBFromPool(pool)
	t.Cleanup(func() { _ = db.Close() })
	p, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("."), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range relations(t, pool) {
		if !strings.HasPrefix(name, "river_") && !strings.HasPrefix(name, "goose_") {
			t.Errorf("Down leaves %s", name)
		}
	}
	if err := migrations.Check(t.Context(), pool); !errors.Is(err, migrations.ErrPending) {
		t.Errorf("Check after Down = %v, want ErrPending", err)
	}
	if _, err := p.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full, relations(t, pool)); diff != "" {
		t.Errorf("after Down and Up (-before +after):\n%s", diff)
	}
}

func TestUpRefusesBadDSN(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]string{
		"no url":         "postgres://%zz",
		"nobody listens": "postgres://nobody@127.0.0.1:1/none",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := migrations.Up(t.Context(), dsn, slog.New(slog.DiscardHandler)); err == nil {
				t.Error("no error")
			}
		})
	}
}

func open(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func up(t *testing.T, dsn string) {
	t.Helper()
	if err := migrations.Up(t.Context(), dsn, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

func status(t *testing.T, dsn string) []migrations.Entry {
	t.Helper()
	entries, err := migrations.Status(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func exec1(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// relations lists the tables and indexes of the public schema.
func relations(t *testing.T, pool *pgxpool.Pool) []string {
	t.Helper()
	var names []string
	err := pool.QueryRow(t.Context(), `SELECT coalesce(array_agg(relname::text ORDER BY relname), '{}')
		FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')`).Scan(&names)
	if err != nil {
		t.Fatal(err)
	}
	return names
}
