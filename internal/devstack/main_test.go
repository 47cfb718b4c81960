package devstack_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/devstack"
)

// holdArg makes the test's executable a process that starts a server in the
// directory after it, says its PID, and holds it until standard input ends.
const holdArg = "hold-postgres="

func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		if dir, ok := strings.CutPrefix(os.Args[1], holdArg); ok {
			hold(dir)
		}
	}
	os.Exit(m.Run())
}

func hold(dir string) {
	pg, err := devstack.StartPostgres(context.Background(), devstack.PostgresConfig{Dir: dir})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(pg.PID())
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

// tempDir is t.TempDir, where root's server, which is another account, can enter.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "devstack")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestAsOrdinaryUser runs the tests of each life's end once more without root's
// rights.
func TestAsOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("the other tests are running as an ordinary user already")
	}
	const nobody = 65534
	dir := tempDir(t)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	// `go test` builds into a folder that only root can enter.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "devstack.test")
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, "-test.v", "-test.run=Outlive|Dies|Remove")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}
