package devtest

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Node skips the test where Node or npm is missing.
func Node(t testing.TB) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (Debian: apt-get install nodejs npm)", tool)
		}
	}
}

// Chromium returns the path of the browser, or skips the test. npm is never asked
// for one: what it would fetch is not Debian's.
func Chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("Chromium is not installed (Debian: apt-get install chromium)")
	return ""
}

// NPM returns a folder that holds what lies in source and what its
// package-lock.json names. It is in .bin, where the project's tools are, under
// name and a digest of the content, so that each content is installed once. No
// script of a package is run.
func NPM(t testing.TB, source, name string) string {
	t.Helper()
	Node(t)
	tools := filepath.Join(root(t), ".bin")
	ready := filepath.Join(tools, name+"-"+digestOf(t, source))
	if _, err := os.Stat(ready); err == nil {
		return ready
	}
	if err := os.MkdirAll(tools, 0o750); err != nil {
		t.Fatalf("devtest: %v", err)
	}
	fresh, err := os.MkdirTemp(tools, name+"-new-")
	if err != nil {
		t.Fatalf("devtest: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(fresh) }) // it is gone unless somebody else was faster
	if err := os.CopyFS(fresh, os.DirFS(source)); err != nil {
		t.Fatalf("devtest: copy %s: %v", source, err)
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = fresh
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("devtest: npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(fresh, ready); err != nil {
		if _, there := os.Stat(ready); there != nil {
			t.Fatalf("devtest: %v", err)
		}
	}
	return ready
}

// digestOf names the files of a folder by their names and content.
func digestOf(t testing.TB, dir string) string {
	t.Helper()
	digest := sha256.New()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		digest.Write([]byte(path + "\x00"))
		digest.Write(text)
		return err
	})
	if err != nil {
		t.Fatalf("devtest: read %s: %v", dir, err)
	}
	return hex.EncodeToString(digest.Sum(nil)[:8])
}
