package main_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSentences: what keeps it from starting is said in one sentence, which
// names the thing and the way out.
func TestSentences(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	dir := tempDir(t, nil)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(t.TempDir(), "data") // in what only its owner can enter
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}

	tests := []struct {
		name  string
		root  bool // only root can set it up
		as    *syscall.Credential
		env   string
		names []string
	}{
		{"port in use", false, nil, "SLUICE_HTTP_ADDR=" + ln.Addr().String(), []string{ln.Addr().String(), "in use", "SLUICE_HTTP_ADDR"}},
		{"beyond loopback", false, nil, "SLUICE_HTTP_ADDR=0.0.0.0:0", []string{"0.0.0.0:0", "other machines", "SLUICE_API_KEY"}},
		{"not an address", false, nil, "SLUICE_HTTP_ADDR=here", []string{"here", "SLUICE_HTTP_ADDR"}},
		{"a file for a folder", false, nil, "SLUICE_DATA_DIR=" + file, []string{file, "not a directory", "SLUICE_DATA_DIR"}},
		{"folder of another", true, nobody, "SLUICE_DATA_DIR=/var/lib/sluice-test", []string{"/var/lib/sluice-test", "permission denied", "SLUICE_DATA_DIR"}},
		{"folder closed to postgres", true, nil, "SLUICE_DATA_DIR=" + closed, []string{closed, "account postgres", "SLUICE_DATA_DIR"}},
		{"path too long", false, nil, "SLUICE_DATA_DIR=" + filepath.Join(dir, strings.Repeat("x", 90)), []string{"longer than", "SLUICE_DATA_DIR"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.root && os.Geteuid() != 0 {
				t.Skip("needs root to set up")
			}
			home := tempDir(t, tt.as)
			checkSentence(t, command(t, home, tt.as, tt.env), tt.names)
		})
	}
}

func TestSentenceOfARunningOne(t *testing.T) {
	t.Parallel()
	dir := tempDir(t, nil)
	running := startDev(t, dir, nil)
	checkSentence(t, command(t, dir, nil), []string{"another sluicedev", dir, "SLUICE_DATA_DIR"})
	kill(t, running.cmd.Process.Pid, syscall.SIGTERM)
	if err := running.awaitEnd(t); err != nil {
		t.Error(err)
	}
}

func TestSentenceWithoutProduct(t *testing.T) {
	t.Parallel()
	dir := tempDir(t, nil)
	alone := filepath.Join(dir, "sluicedev")
	if err := os.Link(filepath.Join(bin, "sluicedev"), alone); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, dir, nil)
	cmd.Path = alone
	checkSentence(t, cmd, []string{filepath.Join(dir, "sluice"), "make build"})
}

// TestSentenceOfAFullDisk and the next one change what the file system looks
// like to one process.
func TestSentenceOfAFullDisk(t *testing.T) {
	t.Parallel()
	dir := tempDir(t, nil)
	cmd := inNamespace(t, command(t, dir, nil), "mkdir "+dir+"/data && mount -t tmpfs -o size=16m none "+dir+"/data")
	checkSentence(t, cmd, []string{dir, "MiB left", "SLUICE_DATA_DIR"})
}

func TestSentenceWithoutPostgres(t *testing.T) {
	t.Parallel()
	skipUnlessMounting(t)
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534} // who has no sudo
	cmd := command(t, tempDir(t, nobody), nil)
	cmd.Args = append(cmd.Args, "deps")
	cmd = inNamespace(t, cmd, "mount -t tmpfs none /usr/lib/postgresql", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
	checkSentence(t, cmd, []string{"no PostgreSQL", "sudo apt-get install", "postgresql"})
}

// inNamespace runs cmd, by way of the words before, where mounts are its own.
func inNamespace(t *testing.T, cmd *exec.Cmd, mount string, before ...string) *exec.Cmd {
	t.Helper()
	skipUnlessMounting(t)
	words := append(before, cmd.Args...)
	inside := exec.CommandContext(t.Context(), "sh", append([]string{"-c", mount + ` && exec "$@"`, "sh"}, words...)...)
	inside.Dir, inside.Env, inside.SysProcAttr = cmd.Dir, cmd.Env, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return inside
}

// skipUnlessMounting skips the test of an account that may not do what
// inNamespace does: any but root's, on most machines.
func skipUnlessMounting(t *testing.T) {
	t.Helper()
	probe := exec.CommandContext(t.Context(), "sh", "-c", "mount -t tmpfs none /usr/lib/postgresql")
	probe.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("this account may not mount in a namespace of its own: %v %s", err, out)
	}
}

func checkSentence(t *testing.T, cmd *exec.Cmd, names []string) {
	t.Helper()
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	said := strings.TrimSpace(string(out))
	if strings.Contains(said, "\n") {
		t.Errorf("said more than one line:\n%s", said)
	}
	for _, name := range names {
		if !strings.Contains(said, name) {
			t.Errorf("said %q, which does not name %q", said, name)
		}
	}
}
