package devtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// cageRoots are where control groups that count memory are made, in version 2 and
// in version 1 of them, with the names of their files.
var cageRoots = []struct{ dir, limit, events string }{
	{"/sys/fs/cgroup", "memory.max", "memory.events"},
	{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"},
}

// Cage is a control group of Linux: its processes together get so much memory,
// and one of them is killed where that is not enough.
type Cage struct{ dir, limit, events string }

// NewCage makes a cage that is gone after the test; its processes are to have
// ended then, so make it before them. The error says why there can be none here.
func NewCage(t testing.TB, limitBytes int64) (*Cage, error) {
	t.Helper()
	var why error
	for _, root := range cageRoots {
		dir, err := os.MkdirTemp(root.dir, "sluice-test-")
		if err != nil {
			why = err
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(dir); err != nil {
				t.Logf("devtest: remove control group: %v", err)
			}
		})
		c := &Cage{dir, filepath.Join(dir, root.limit), filepath.Join(dir, root.events)}
		if why = c.Limit(limitBytes); why == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no control group that counts memory can be made: %w", why)
}

// Limit changes what the processes may take together.
func (c *Cage) Limit(bytes int64) error {
	// Without O_CREATE: where memory is not counted there is no such file.
	f, err := os.OpenFile(c.limit, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(strconv.FormatInt(bytes, 10)); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// Command is a process that is in the cage from its first instruction.
func (c *Cage) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	enter := []string{"-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(c.dir, "cgroup.procs"), name}
	return exec.CommandContext(ctx, "/bin/sh", append(enter, args...)...)
}

// Kills is how many of the processes were killed for their memory.
func (c *Cage) Kills(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(c.events)
	if err != nil {
		t.Fatalf("devtest: read control group: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			kills, err := strconv.Atoi(n)
			if err != nil {
				t.Fatalf("devtest: read control group: %v", err)
			}
			return kills
		}
	}
	t.Fatalf("devtest: %s does not tell of kills:\n%s", c.events, text)
	return 0
}
