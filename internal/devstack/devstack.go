// Package devstack runs what Sluice needs beside itself on one machine: a
// PostgreSQL server of its own and an S3 server inside the process. It is for
// development and tests, on Linux.
//
// Everything it starts dies with the process that started it, however that
// ends, and what a killed predecessor left behind never stops the next start.
// It does not know Sluice's schema, buckets or services.
package devstack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

var (
	// ErrInUse is returned when another live process holds the directory.
	ErrInUse = errors.New("in use by another process")
	// ErrNoPostgres is returned where no PostgreSQL server of a usable version is
	// installed. The error that wraps it says how to get one.
	ErrNoPostgres = errors.New("no PostgreSQL server found")
	// ErrPathTooLong is returned for a directory whose path leaves no room for the
	// name of a socket in it.
	ErrPathTooLong = errors.New("path is too long for a socket")
	// ErrUnreachable is returned for a directory that root's server, which runs
	// as postgres, may not enter.
	ErrUnreachable = errors.New("cannot be reached by the account postgres, which runs the server for root")
)

// LockDir takes the directory for the caller alone until the file it returns is
// closed or the process ends, also by SIGKILL: the kernel drops the lock, so a
// stale one cannot exist. A lock held elsewhere is [ErrInUse].
func LockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", dir, ErrInUse)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}
