package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"sluice/internal/devstack"
)

// minFreeBytes must be free at a start: a new cluster takes 40 MB and its log of
// changes grows by 16 MB at a time; without room for them PostgreSQL stops.
const minFreeBytes = 256 << 20

// dataDir is the folder that holds all state, this process's alone until closed.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir creates the folder where missing and takes it. Each error is the
// sentence for the user.
func openDataDir(path string) (*dataDir, error) {
	if path == "" {
		return nil, errors.New("no home directory is set: name a folder for the data in SLUICE_DATA_DIR")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("SLUICE_DATA_DIR: %w", err)
	}
	lock, err := takeDir(path)
	switch {
	case errors.Is(err, devstack.ErrInUse):
		return nil, fmt.Errorf("another sluicedev is running on %s: stop it, or set SLUICE_DATA_DIR to another folder", path)
	case errors.Is(err, syscall.ENOSPC):
		return nil, fmt.Errorf("the disk of %s is full: free some space, or set SLUICE_DATA_DIR to a folder on another disk", path)
	case err != nil:
		return nil, fmt.Errorf("the data folder %s cannot be written to (%w): set SLUICE_DATA_DIR to one that can", path, cause(err))
	}
	if err := checkFree(path); err != nil {
		lock.Close()
		return nil, err
	}
	return &dataDir{path, lock}, nil
}

func takeDir(path string) (*os.File, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		// Root's PostgreSQL is another account, whose folder is below this one.
		if err := os.Chmod(path, 0o711); err != nil { //nolint:gosec // G302: to pass through, not to read
			return nil, err
		}
	}
	return devstack.LockDir(path)
}

func checkFree(path string) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(path, &fs); err != nil {
		return fmt.Errorf("find free space of %s: %w", path, err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	if free >= minFreeBytes {
		return nil
	}
	return fmt.Errorf("the disk of %s has %d MiB left and Sluice needs %d MiB to start: free some space, or set SLUICE_DATA_DIR to a folder on another disk",
		path, free>>20, minFreeBytes>>20)
}

// cause is the system's word for it, without the operation and path around it.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// checkAddr says early, before anything is started, whether the product will be
// able to listen, and puts a free port in the place of port 0.
func checkAddr(ctx context.Context, addr string) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "", fmt.Errorf("%s is in use by another program: stop it, or set SLUICE_HTTP_ADDR to another address", addr)
	case errors.Is(err, syscall.EACCES):
		return "", fmt.Errorf("only root may listen on %s: set SLUICE_HTTP_ADDR to a port from 1024 on", addr)
	case err != nil:
		return "", fmt.Errorf("SLUICE_HTTP_ADDR must be an address of this machine, such as 127.0.0.1:8080: %w", err)
	}
	defer ln.Close()
	if ip := ln.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() && os.Getenv("SLUICE_API_KEY") == "" {
		return "", fmt.Errorf("%s can be reached from other machines: set SLUICE_API_KEY, which every client is then asked for, or SLUICE_HTTP_ADDR to a loopback address", addr)
	}
	host, port, err := net.SplitHostPort(addr)
	if err == nil && port == "0" {
		_, port, err = net.SplitHostPort(ln.Addr().String())
	}
	return net.JoinHostPort(host, port), err
}
