package devtest_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/migrations"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

func TestDatabaseIsMigratedAndAlone(t *testing.T) {
	t.Parallel()
	one, other := devtest.Database(t), devtest.Database(t)
	if err := migrations.Check(t.Context(), one); err != nil {
		t.Error(err)
	}
	if _, err := one.Exec(t.Context(), "CREATE TABLE mine ()"); err != nil {
		t.Fatal(err)
	}
	var there bool
	if err := other.QueryRow(t.Context(), "SELECT to_regclass('mine') IS NOT NULL").Scan(&there); err != nil {
		t.Fatal(err)
	}
	if there {
		t.Error("a table of one database is in the other")
	}
}

func TestDatabaseIsDropped(t *testing.T) {
	t.Parallel()
	var dsn string
	t.Run("user", func(t *testing.T) { dsn = devtest.EmptyDSN(t) })
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		conn.Close(t.Context())
		t.Error("the database is there after its test")
	}
}

func TestBucketIsFreshAndAlone(t *testing.T) {
	t.Parallel()
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	one, other := devtest.Bucket(t), devtest.Bucket(t)
	if _, err := one.Put(t.Context(), "key", []byte("bytes")); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Stat(t.Context(), "key"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("stat in the other bucket: %v, want %v", err, blob.ErrNotFound)
	}
	if after, err := os.Getwd(); err != nil || after != before {
		t.Errorf("working directory = %s, %v; want %s: tests read their testdata", after, err, before)
	}
}

func TestBucketIsRemoved(t *testing.T) {
	t.Parallel()
	var cfg blob.Config
	t.Run("user", func(t *testing.T) { cfg = devtest.S3Config(t) })
	bucket, err := blob.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Check(t.Context()); err == nil {
		t.Error("the bucket is there after its test")
	}
}

func TestSharedData(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(devtest.SharedData(t, "MANIFEST.md")); err != nil {
		t.Error(err)
	}
	t.Run("missing", func(t *testing.T) {
		defer func() {
			if !t.Skipped() {
				t.Error("a test without its data did not skip")
			}
		}()
		devtest.SharedData(t, "no such file")
	})
}

// die is how TestDie, run by TestNothingIsLeft in another process, ends.
var die = flag.String("die", "", "how TestDie ends its process")

func TestDie(t *testing.T) {
	if *die == "" {
		t.Skip("this is the other process of TestNothingIsLeft")
	}
	devtest.Database(t)
	devtest.Bucket(t)
	switch *die {
	case "panic":
		go panic("as asked")
		select {}
	case "exit":
		os.Exit(3)
	case "kill all":
		for _, dir := range serverDirs(t, os.TempDir()) {
			owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), "sluice-test-"), "-")
			pid, err := strconv.Atoi(owner)
			if err != nil {
				t.Fatal(err)
			}
			kill(t, pid)
		}
		kill(t, os.Getpid())
	case "kill":
		kill(t, os.Getpid())
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// serverDirs lists the directories of servers below tmp.
func serverDirs(t *testing.T, tmp string) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(tmp, "sluice-test-*"))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	// Not below t.TempDir: root's PostgreSQL, another account, could not go there.
	tmp, err := os.MkdirTemp("", "devtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	if err := os.Chmod(tmp, 0o711); err != nil {
		t.Fatal(err)
	}
	// In order: what the last but one leaves, the last one sweeps.
	for _, how := range []string{"return", "panic", "exit", "kill", "kill all", "return"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDie$", "-die="+how)
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
		// Returns when the last holder of the output is gone: the servers, too.
		out, err := cmd.CombinedOutput()
		if (err == nil) != (how == "return") {
			t.Fatalf("end by %s: %v\n%s", how, err, out)
		}
		left := serverDirs(t, tmp)
		if how == "kill all" {
			if len(left) != 2 {
				t.Errorf("after %s: %q, want the directories of two killed servers", how, left)
			}
			continue
		}
		if len(left) > 0 {
			t.Errorf("after %s: %q, want nothing", how, left)
		}
	}
	if entries, err := os.ReadDir(tmp); err != nil || slices.ContainsFunc(entries, os.DirEntry.IsDir) {
		t.Errorf("temporary folder = %v, %v, want it empty", entries, err)
	}
}

func BenchmarkDatabase(b *testing.B) {
	devtest.DSN(b)
	for b.Loop() {
		devtest.DSN(b)
	}
}

// TestOwnServersOutliveAKill: what a killed server had acknowledged is there
// when it is started again, at the same place.
func TestOwnServersOutliveAKill(t *testing.T) {
	t.Parallel()
	pg, s3 := devtest.OwnPostgres(t), devtest.OwnS3(t)
	dsn, bucket := pg.Database("own"), s3.Bucket()
	query := func(sql string) (n int) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			t.Fatal(err)
		}
		return n
	}
	query("CREATE TABLE kept AS SELECT 42 AS n")
	want, err := bucket.Put(t.Context(), "a/b", []byte("bytes"))
	if err != nil {
		t.Fatal(err)
	}
	pg.Kill()
	s3.Kill()
	if _, err := bucket.Stat(t.Context(), "a/b"); err == nil {
		t.Error("a killed S3 server answers")
	}
	pg.Start()
	s3.Start()
	if n := query("SELECT n FROM kept"); n != 42 {
		t.Errorf("read %d", n)
	}
	if got, err := bucket.Stat(t.Context(), "a/b"); err != nil || got != want {
		t.Errorf("object after the restart: %+v, %v", got, err)
	}
}
