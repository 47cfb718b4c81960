package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/internal/devstack/devtest"
)

func TestMain(m *testing.M) {
	play(os.Args)
	code := devtest.Main(m)
	if dir := buildDir; dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// buildDir holds the binary under test once build made it.
var buildDir string

// build makes the real binary, once: what is tested, and measured, is what is shipped.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-binary-") // not devtest's prefix: its sweep would remove it
	if err != nil {
		return "", err
	}
	buildDir = dir
	path := filepath.Join(dir, "sluice")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func binary(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// command is the binary with args and nothing but env in its environment. It
// is killed at the test's end, if it still runs then.
func command(t testing.TB, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t), args...)
	cmd.Env = append([]string{"HOME=" + t.TempDir()}, env...)
	return cmd
}

// stackEnv is a fresh database and bucket as the binary's variables.
func stackEnv(t testing.TB) []string {
	t.Helper()
	s3 := devtest.S3Config(t)
	return []string{
		"SLUICE_DATABASE_URL=" + devtest.DSN(t),
		"SLUICE_S3_ENDPOINT=" + s3.Endpoint, "SLUICE_S3_REGION=" + s3.Region, "SLUICE_S3_BUCKET=" + s3.Bucket,
		"SLUICE_S3_ACCESS_KEY_ID=" + s3.AccessKeyID, "SLUICE_S3_SECRET_ACCESS_KEY=" + s3.SecretAccessKey.Reveal(),
	}
}

// server is a running `sluice serve` or `sluice work`.
type server struct {
	url  string
	cmd  *exec.Cmd
	tail *tail
}

// serve starts the gateway and a worker in one process and returns once it listens.
func serve(t testing.TB, env []string, addr string) *server {
	t.Helper()
	return launch(t, command(t, append(env, "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR="+addr), "serve", "--work"))
}

// launch starts cmd, which logs JSON, and returns once it listens. What it logs goes
// to each of also too.
func launch(t testing.TB, cmd *exec.Cmd, also ...io.Writer) *server {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{cmd: cmd, tail: &tail{}}
	listening := make(chan string, 1)
	go s.tail.follow(io.TeeReader(stderr, io.MultiWriter(also...)), listening)
	address, ok := <-listening
	if !ok {
		t.Fatalf("the server ended before it listened:\n%s", s.tail)
	}
	s.url = "http://" + address
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's last lines:\n%s", s.tail)
		}
	})
	return s
}

// stop ends the server as an operator does, and fails the test where that is
// not clean. It returns the most memory that the process ever held.
func (s *server) stop(t testing.TB) (peakRSSBytes int64) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return s.ended(t)
}

// ended is stop of a server that was asked to end already.
func (s *server) ended(t testing.TB) (peakRSSBytes int64) {
	t.Helper()
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("the server's end: %v\n%s", err, s.tail)
	}
	return s.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}

// kill ends the server as a power cut does.
func (s *server) kill(t testing.TB) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait() // "signal: killed", as asked
}

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

// follow sends the address that the server listens at, and closes listening
// where the log ends.
func (t *tail) follow(r io.Reader, listening chan<- string) {
	defer close(listening)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		t.add(lines.Text())
		var entry struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "listening" {
			listening <- entry.Address
		}
	}
}

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines = append(t.lines, line); len(t.lines) > 500 {
		t.lines = t.lines[1:]
	}
}

// all returns what is kept, which of a short life is everything.
func (t *tail) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.lines)
}

func (t *tail) String() string {
	lines := t.all()
	return strings.Join(lines[max(0, len(lines)-50):], "\n")
}

// written is a file of that name and content, in a folder of its own.
func written(t testing.TB, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// upload runs `sluice upload`, which must succeed, and returns the job's id.
func upload(t testing.TB, url string, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := command(t, []string{"SLUICE_URL=" + url}, append([]string{"upload"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("sluice upload %v: %v\n%s%s", args, err, out, stderr.String())
	}
	return jobID(t, string(out))
}

func jobID(t testing.TB, out string) string {
	t.Helper()
	for word := range strings.FieldsSeq(out) {
		if strings.HasPrefix(word, "job_") {
			return word
		}
	}
	t.Fatalf("no job in %q", out)
	return ""
}

// exitCode waits for cmd and returns its exit code.
func exitCode(t testing.TB, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0
}

// eventually asks until the answer is yes, for a minute: what is waited for is
// another process.
func eventually(t testing.TB, what string, yes func(ctx context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

func atoi(t testing.TB, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
