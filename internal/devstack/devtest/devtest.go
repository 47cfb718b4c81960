// Package devtest gives every test a fresh migrated PostgreSQL database and a
// fresh bucket of a real S3 server. A package that uses it declares
//
//	func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }
//
// Servers start when the first test asks for them (PostgreSQL about 1.5 s, S3
// 0.3 s), serve all tests of the process, and are gone without a trace after
// it, also when it panics or is killed. It does not know what is tested.
package devtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/devstack"
	"sluice/internal/secret"
	"sluice/migrations"
)

const (
	// templateDB is what DSN copies, emptyDB what EmptyDSN copies.
	templateDB, emptyDB = "sluice_template", "template0"
	// poolConns bounds one test's pool; the server takes 200 connections.
	poolConns = 16
	// cleanupLimit bounds what a test's end waits for.
	cleanupLimit = 10 * time.Second
)

// Main runs the package's tests, stops what they started, and returns the exit
// code. TestMain must call nothing that changes the process before it: the
// servers are this same executable, started again.
func Main(m *testing.M) int {
	if len(os.Args) == 2 {
		if server, ok := strings.CutPrefix(os.Args[1], serverArg); ok {
			return serve(server)
		}
	}
	shared.running.Store(true)
	defer shared.stop()
	return m.Run()
}

// Database returns a pool on a fresh, migrated database of this test alone. Both
// are gone after the test; a connection that the test never released fails it.
func Database(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return openPool(t, poolConns)
}

// OneConn is Database with a single connection, which everybody has after everybody
// else: for what belongs to a session.
func OneConn(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return openPool(t, 1)
}

func openPool(t testing.TB, conns int32) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(DSN(t))
	if err != nil {
		t.Fatalf("devtest: parse DSN: %v", err)
	}
	cfg.MaxConns = conns
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatalf("devtest: open pool: %v", err)
	}
	t.Cleanup(func() { closePool(t, pool) })
	return pool
}

// DSN returns the URL of a fresh, migrated database of this test alone, which is
// dropped after the test with whatever is still connected to it.
func DSN(t testing.TB) string {
	t.Helper()
	admin := shared.adminDSN(t)
	shared.template.Do(func() { shared.templateErr = migrateTemplate(t.Context(), admin) })
	if shared.templateErr != nil {
		t.Fatalf("devtest: migrate template: %v", shared.templateErr)
	}
	return copyDatabase(t, admin, templateDB)
}

// EmptyDSN is DSN without the migrations: a database with nothing in it.
func EmptyDSN(t testing.TB) string {
	t.Helper()
	return copyDatabase(t, shared.adminDSN(t), emptyDB)
}

// Bucket returns a fresh, empty bucket of this test alone.
func Bucket(t testing.TB) *blob.Bucket {
	t.Helper()
	bucket, err := blob.New(t.Context(), S3Config(t))
	if err != nil {
		t.Fatalf("devtest: open bucket: %v", err)
	}
	return bucket
}

// KMSKeyID is a key that the S3 server knows.
const KMSKeyID = devstack.MinIOKey

// S3Config returns the configuration of a fresh, empty bucket of this test
// alone, which exists already. It and its objects are gone after the test.
func S3Config(t testing.TB) blob.Config {
	t.Helper()
	server := shared.s3Server(t)
	cfg := blob.Config{
		Endpoint: server.Endpoint, Region: server.Region, PathStyle: true,
		AccessKeyID: server.AccessKeyID, SecretAccessKey: secret.Text(server.SecretAccessKey),
		Bucket: "test-" + strings.ToLower(rand.Text()),
	}
	bucket, err := blob.New(t.Context(), cfg)
	if err != nil {
		t.Fatalf("devtest: open bucket: %v", err)
	}
	if err := bucket.Ensure(t.Context()); err != nil {
		t.Fatalf("devtest: create bucket: %v", err)
	}
	t.Cleanup(func() {
		if err := removeAll(filepath.Join(server.Objects, cfg.Bucket)); err != nil {
			t.Errorf("devtest: remove bucket: %v", err)
		}
	})
	return cfg
}

// removeAll removes a folder into which the server may still be writing: a request
// whose client has gone goes on for a moment there.
func removeAll(dir string) (err error) {
	for range 100 {
		if err = os.RemoveAll(dir); !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// SharedData returns the path of a file of the test data that lies beside the
// repository, in ../shared/data, and skips the test where it is missing.
func SharedData(t testing.TB, rel string) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(root(t)), "shared", "data", filepath.FromSlash(rel))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("test data is not on this machine: %v", err)
	}
	return path
}

// root returns the repository's folder.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("devtest: find working directory: %v", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("devtest: no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// migrateTemplate makes the database that the tests' are copied from.
func migrateTemplate(ctx context.Context, admin string) error {
	// Not the first test's context: its end must not fail the others.
	ctx = context.WithoutCancel(ctx)
	if err := execute(ctx, admin, "CREATE DATABASE "+templateDB); err != nil {
		return err
	}
	return migrations.Up(ctx, withDatabase(admin, templateDB), slog.New(slog.DiscardHandler))
}

// copyDatabase creates a database from a template and drops it after the test.
func copyDatabase(t testing.TB, admin, template string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", shared.databases.Add(1))
	if err := execute(t.Context(), admin, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatalf("devtest: create database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cleanupLimit)
		defer cancel()
		if err := execute(ctx, admin, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("devtest: drop database: %v", err)
		}
	})
	return withDatabase(admin, name)
}

// execute runs one statement on a connection of its own.
func execute(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

// withDatabase is dsn, a URL, with another database's name.
func withDatabase(dsn, name string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err) // dsn is devstack's own
	}
	u.Path = "/" + name
	return u.String()
}

// closePool names the test that keeps a connection, which would wait for ever.
func closePool(t testing.TB, pool *pgxpool.Pool) {
	closed := make(chan struct{})
	go func() {
		pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(cleanupLimit):
		t.Errorf("devtest: the test still holds %d connections of its pool", pool.Stat().AcquiredConns())
	}
}
