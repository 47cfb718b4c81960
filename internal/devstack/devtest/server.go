package devtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sluice/internal/devstack"
)

// Each server runs in a process of its own: the test's executable, started again
// with one argument. It serves until its standard input ends, which it does
// however the test process ends; then it stops its server and removes its files.
// A process of its own also spares the tests the S3 server's change of the
// working directory, and their profiles its work.
const (
	serverArg            = "devtest-server="
	postgresName, s3Name = "postgres", "s3"
	// startLimit is far beyond any start seen; beyond it something hangs.
	startLimit = 2 * time.Minute
	// stopLimit is how long a server may take to leave.
	stopLimit = 20 * time.Second
)

// hello is what a server's process writes to its standard output, once.
type hello struct {
	DSN   string       `json:",omitempty"` // of the database postgres
	S3    *devstack.S3 `json:",omitempty"`
	Error string       `json:",omitempty"`
}

// shared is what all tests of a process have in common. It is a variable because
// a test binary has no owner for such things between TestMain and a test.
var shared = stack{postgres: server{name: postgresName}, s3: server{name: s3Name}}

type stack struct {
	running      atomic.Bool // Main is: without it nothing would be stopped
	postgres, s3 server
	template     sync.Once
	templateErr  error
	databases    atomic.Int64
}

func (s *stack) adminDSN(t testing.TB) string {
	t.Helper()
	return s.postgres.get(t).DSN
}

func (s *stack) s3Server(t testing.TB) *devstack.S3 {
	t.Helper()
	return s.s3.get(t).S3
}

func (s *stack) stop() {
	s.postgres.stop()
	s.s3.stop()
}

// server is the test's side of a server's process.
type server struct {
	name  string
	once  sync.Once
	cmd   *exec.Cmd
	stdin io.Closer
	hello hello
	err   error
}

// get starts the server when it is the first to ask.
func (s *server) get(t testing.TB) hello {
	t.Helper()
	if !shared.running.Load() {
		t.Fatal("devtest: the package needs: func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }")
	}
	s.once.Do(func() { s.err = s.start() })
	if s.err != nil {
		t.Fatalf("devtest: start %s: %v", s.name, s.err)
	}
	return s.hello
}

func (s *server) start() error {
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	// It ends when its standard input does, not with the test that asked first.
	cmd := exec.CommandContext(context.Background(), executable, serverArg+s.name)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is the test's; the server follows it
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	if err := json.NewDecoder(stdout).Decode(&s.hello); err != nil {
		return fmt.Errorf("read its greeting: %w", err)
	}
	if s.hello.Error != "" {
		return errors.New(s.hello.Error)
	}
	return nil
}

// stop lets the server's process end and waits until it has.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	s.stdin.Close()
	overdue := time.AfterFunc(stopLimit, func() { _ = s.cmd.Process.Kill() })
	defer overdue.Stop()
	if err := s.cmd.Wait(); err != nil {
		fmt.Fprintf(os.Stderr, "devtest: stop %s: %v\n", s.name, err)
	}
}

// serve is the server's process, from start to end.
func serve(name string) int {
	greeting := json.NewEncoder(os.Stdout)
	os.Stdout = os.Stderr // what libraries print is not part of the greeting
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	start := startIn
	if strings.HasPrefix(name, ownS3Name) {
		start = startOwnS3
	} else {
		sweep(ctx)
	}
	said, stop, err := start(ctx, name)
	if err != nil {
		said = hello{Error: err.Error()}
	}
	err = errors.Join(err, greeting.Encode(said))
	if err == nil {
		_, err = io.Copy(io.Discard, os.Stdin) // ends with the test process
	}
	if stop != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopLimit/2)
		defer cancel()
		err = errors.Join(err, stop(ctx))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "devtest: %s: %v\n", name, err)
		return 1
	}
	return 0
}

// startIn starts the server in a temporary directory, which stop removes. Root's
// PostgreSQL runs as another account, which may not reach root's TMPDIR, and a
// long TMPDIR has no room for a socket: so /tmp is tried next.
func startIn(ctx context.Context, name string) (said hello, stop func(context.Context) error, err error) {
	for _, base := range []string{os.TempDir(), "/tmp"} {
		dir, mkErr := os.MkdirTemp(base, tempPrefix+strconv.Itoa(os.Getpid())+"-")
		if mkErr != nil {
			err = errors.Join(err, mkErr)
			continue
		}
		var end func(context.Context) error
		said, end, startErr := startServer(ctx, name, dir)
		if startErr == nil {
			return said, func(ctx context.Context) error { return errors.Join(end(ctx), os.RemoveAll(dir)) }, nil
		}
		err = errors.Join(err, startErr, os.RemoveAll(dir))
	}
	return hello{}, nil, err
}

func startServer(ctx context.Context, name, dir string) (hello, func(context.Context) error, error) {
	switch name {
	case postgresName:
		pg, err := devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: dir, Ephemeral: true})
		if err != nil {
			return hello{}, nil, err
		}
		return hello{DSN: pg.DSN("postgres")}, pg.Stop, nil
	case s3Name:
		s3, err := startS3(ctx, devstack.S3Config{Dir: dir})
		if err != nil {
			return hello{}, nil, err
		}
		return hello{S3: s3}, s3.Stop, nil
	}
	return hello{}, nil, fmt.Errorf("no such server: %s", name)
}

// tempPrefix and the owner's process id begin a temporary directory's name.
const tempPrefix = "sluice-test-"

// sweep removes the directories of servers that were themselves killed. What it
// may not remove is another account's, and stays.
func sweep(ctx context.Context) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*")) // errs only on a malformed pattern
	for _, dir := range dirs {
		owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), tempPrefix), "-")
		// Not by signal 0, which a zombie takes: where init collects none, for ever.
		if _, err := os.Readlink("/proc/" + owner + "/exe"); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		// The pid may be dead in our pid namespace only: then the lock is held.
		_ = devstack.Remove(ctx, dir)
	}
}
