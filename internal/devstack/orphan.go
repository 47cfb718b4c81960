package devstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Remove deletes a directory of [StartPostgres] or [StartS3] whose process is
// gone, after ending what it left running there. One whose process lives is
// [ErrInUse], and one that is not there is removed already.
func Remove(ctx context.Context, dir string) error {
	lock, err := LockDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	defer lock.Close()
	if err := reap(ctx, dataDir(dir)); err != nil {
		return fmt.Errorf("remove: %w", err)
	}
	return os.RemoveAll(dir)
}

// reapLimit bounds each attempt to end the servers of a killed predecessor; one
// that died with its parent may be writing its last checkpoint.
const reapLimit = 20 * time.Second

// reap ends every server process that still works in the cluster, and waits for
// them. We hold the directory's lock, so nobody manages them. A postmaster that
// was killed leaves children that take a moment to notice, and no new server can
// start on the cluster before they have.
func reap(ctx context.Context, data string) error {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		deadline, cancel := context.WithTimeout(ctx, reapLimit)
		gone := endAll(deadline, data, sig)
		cancel()
		if gone {
			return nil
		}
	}
	return fmt.Errorf("the servers %v on %s do not end", serversIn(data), data)
}

// endAll signals the cluster's processes once and waits for the last to go.
func endAll(ctx context.Context, data string, sig syscall.Signal) bool {
	for _, pid := range serversIn(data) {
		_ = syscall.Kill(pid, sig) // it may just have ended
	}
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for len(serversIn(data)) > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// serversIn lists the PostgreSQL processes whose working directory is the
// cluster: all of a server's are, and a stranger with a reused pid is not.
func serversIn(data string) []int {
	var pids []int
	links, _ := filepath.Glob("/proc/[0-9]*/cwd") // errs only on a malformed pattern
	for _, link := range links {
		proc := filepath.Dir(link)
		if cwd, err := os.Readlink(link); err != nil || cwd != data {
			continue
		}
		// A process that is ending has no exe any more, and holds the server's shared
		// memory for a moment yet: no new server starts before it is gone.
		if exe, err := os.Readlink(filepath.Join(proc, "exe")); err == nil && filepath.Base(exe) != "postgres" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(proc)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
