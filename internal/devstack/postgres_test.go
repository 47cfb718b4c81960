package devstack_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/internal/devstack"
)

func start(t *testing.T, cfg devstack.PostgresConfig) *devstack.Postgres {
	t.Helper()
	pg, err := devstack.StartPostgres(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, pg) })
	return pg
}

// stop may be called again, by the cleanup.
func stop(t *testing.T, pg *devstack.Postgres) {
	t.Helper()
	if err := pg.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
}

// remember commits one row, remembered finds it.
func remember(t *testing.T, dsn string) {
	t.Helper()
	query(t, dsn, "CREATE TABLE kept (n int)")
	query(t, dsn, "INSERT INTO kept VALUES (42)")
}

func remembered(t *testing.T, dsn string) {
	t.Helper()
	if got := query(t, dsn, "SELECT n FROM kept"); len(got) != 1 || got[0] != "42" {
		t.Errorf("rows after the restart = %q, want one of 42", got)
	}
}

func query(t *testing.T, dsn, sql string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, row := range results[0].Rows {
		values = append(values, string(row[0]))
	}
	return values
}

func TestDataOutlivesAStop(t *testing.T) {
	t.Parallel()
	cfg := devstack.PostgresConfig{Dir: filepath.Join(tempDir(t), "pg")}
	first := start(t, cfg)
	for range 2 {
		if err := first.CreateDatabase(t.Context(), "it's"); err != nil {
			t.Fatal(err)
		}
	}
	remember(t, first.DSN("it's"))
	stop(t, first)
	<-first.Done()

	second := start(t, cfg)
	remembered(t, second.DSN("it's"))
}

func TestDataOutlivesAKill(t *testing.T) {
	t.Parallel()
	cfg := devstack.PostgresConfig{Dir: tempDir(t)}
	first := start(t, cfg)
	remember(t, first.DSN("postgres"))
	if err := syscall.Kill(first.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-first.Done()

	second := start(t, cfg)
	remembered(t, first.DSN("postgres")) // the same socket as before
	if second.PID() == first.PID() {
		t.Error("the killed server still runs")
	}
}

func TestServerDiesWithItsProcess(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	parent, pid := holder(t, dir)
	remember(t, devstack.PostgresConfig{Dir: dir}.DSN("postgres"))
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed, as was asked

	// It has no time to die before the next start, which must cope.
	next := start(t, devstack.PostgresConfig{Dir: dir})
	remembered(t, next.DSN("postgres"))
	if alive(pid) {
		t.Error("the orphaned server still runs")
	}
}

// holder is another process with a server in dir, and the server's PID.
func holder(t *testing.T, dir string) (*exec.Cmd, int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, holdArg+dir)
	if _, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // its server ends after it, and writes until then
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, as was asked
		if err := devstack.Remove(context.WithoutCancel(t.Context()), dir); err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the holder says: %s", line)
	}
	return cmd, pid
}

// alive says whether the process runs, which a zombie that init has yet to
// collect does not.
func alive(pid int) bool {
	_, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
	return !errors.Is(err, os.ErrNotExist)
}

// TestStaleFiles starts on what a machine that lost power leaves: files that
// name a process, whose number is a living stranger's now.
func TestStaleFiles(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	cfg := devstack.PostgresConfig{Dir: dir}
	first := start(t, cfg)
	pidfile, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	remember(t, first.DSN("postgres"))
	stop(t, first)

	stranger := strconv.Itoa(os.Getpid())
	_, rest, _ := strings.Cut(string(pidfile), "\n")
	for name, text := range map[string]string{
		"data/postmaster.pid":     stranger + "\n" + rest,
		".s.PGSQL.5432.lock":      stranger + "\n",
		"data.new/half-a-cluster": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second := start(t, cfg)
	remembered(t, second.DSN("postgres"))
}

func TestEphemeral(t *testing.T) {
	t.Parallel()
	pg := start(t, devstack.PostgresConfig{Dir: tempDir(t), Ephemeral: true})
	if got := query(t, pg.DSN("postgres"), "SHOW fsync"); got[0] != "off" {
		t.Errorf("fsync = %s, want off", got[0])
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	inUse := tempDir(t)
	holder(t, inUse)
	old := tempDir(t)
	writeFile(t, filepath.Join(old, "data", "PG_VERSION"), "9\n")
	long := filepath.Join(tempDir(t), strings.Repeat("x", 93))
	file := filepath.Join(tempDir(t), "file")
	writeFile(t, file, "")

	tests := []struct {
		name, dir string
		is        error  // nil: any
		says      string // what a user needs to read
	}{
		{"in use", inUse, devstack.ErrInUse, inUse},
		{"other version", old, devstack.ErrNoPostgres, "postgresql-9"},
		{"too long for a socket", long, devstack.ErrPathTooLong, "93 bytes"},
		{"a file", file, syscall.ENOTDIR, file},
	}
	if os.Geteuid() == 0 {
		closed := filepath.Join(t.TempDir(), "pg") // which only root can enter
		tests = append(tests, struct {
			name, dir string
			is        error
			says      string
		}{"closed to postgres", closed, devstack.ErrUnreachable, closed})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := devstack.StartPostgres(t.Context(), devstack.PostgresConfig{Dir: tt.dir})
			if err == nil || !strings.Contains(err.Error(), tt.says) || (tt.is != nil && !errors.Is(err, tt.is)) {
				t.Errorf("error = %v, want %v and a mention of %q", err, tt.is, tt.says)
			}
		})
	}
}

func TestStartIsCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := tempDir(t)
	if _, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: dir}); err == nil {
		t.Fatal("started for a caller that had gone")
	}
	// Nothing was left that the next start trips over.
	start(t, devstack.PostgresConfig{Dir: dir})
}

func TestRemove(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), "pg")
	parent, pid := holder(t, dir)
	if err := devstack.Remove(t.Context(), dir); !errors.Is(err, devstack.ErrInUse) {
		t.Errorf("remove of a live server's directory: %v, want %v", err, devstack.ErrInUse)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // killed, as was asked
	if err := devstack.Remove(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat after remove: %v, want %v", err, os.ErrNotExist)
	}
	if alive(pid) {
		t.Error("the orphaned server still runs")
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
