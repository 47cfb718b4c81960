package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// states is the folder that remembers uploads under way, one small file each,
// in the user's cache folder. Without one, nothing is resumed: an upload still
// goes through, so nothing here is an error.
type states string

func openStates() states {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(cache, "sluice", "uploads")
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return states(dir)
}

// state is the path of the file that holds one upload's id.
type state string

// of returns the state of this file for this server. The content is known by
// size and time of change, and settings belong to the key too: an upload keeps
// those it was created with.
func (s states) of(server, path string, info fs.FileInfo, metadata map[string]string) state {
	if s == "" {
		return ""
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	parts := []string{server, path, fmt.Sprint(info.Size()), info.ModTime().UTC().Format(time.RFC3339Nano)}
	for key, value := range metadata {
		parts = append(parts, key+"="+value)
	}
	slices.Sort(parts[4:])
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return state(filepath.Join(string(s), hex.EncodeToString(sum[:16])))
}

// errUnderWay is hold's error while another process holds the same state.
var errUnderWay = errors.New("is being uploaded by another sluice upload, under the same settings")

// hold keeps the state for this process until release: two that begin one file at
// once would make two jobs of it. The kernel lets go of a process that dies.
func (s state) hold() (release func(), err error) {
	for s != "" {
		lock, err := os.OpenFile(string(s)+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			break
		}
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && linked(lock) {
			return func() {
				_ = os.Remove(lock.Name()) // before it is free: see linked
				lock.Close()
			}, nil
		}
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errUnderWay
		}
		if err != nil { // this file system has no locks
			break
		}
	}
	return func() {}, nil //nolint:nilerr // without a folder or locks an upload still goes through
}

// linked reports whether f is still what its name leads to: who had it before may
// have removed it between our open and our lock.
func linked(f *os.File) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(f.Name())
	return err == nil && os.SameFile(held, named)
}

// load returns the id saved; empty where there is none.
func (s state) load() string {
	if s == "" {
		return ""
	}
	id, err := os.ReadFile(string(s))
	if err != nil {
		return ""
	}
	return string(id)
}

// save keeps the id until remove. A rename makes it whole or absent.
func (s state) save(id string) {
	if s == "" {
		return
	}
	part := string(s) + ".part"
	if os.WriteFile(part, []byte(id), 0o600) == nil {
		_ = os.Rename(part, string(s)) // without it the upload only starts anew
	}
}

func (s state) remove() {
	if s != "" {
		_ = os.Remove(string(s)) // a stale id is found out by the server's 404
	}
}
