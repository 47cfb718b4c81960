package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTusJSClient drives the tus door with tus-js-client, which most browsers
// upload by.
func TestTusJSClient(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (Debian: apt-get install nodejs npm)", tool)
		}
	}
	dir := installTusJS(t)
	s := start(t)
	content := make([]byte, 20<<20+12345)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(content); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}

	for scenario, sent := range map[string]int{
		"whole": len(content), "chunks1": len(content), "chunks8": len(content), "deferred": len(content), "parallel": len(content), "override": len(content),
		"withCreation": len(content), "resume": len(content) - 3<<20,
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			path, got := s.drive(t, dir, scenario, file)
			if got != sent {
				t.Errorf("the client sent %d bytes, want %d", got, sent)
			}
			if j := s.wantQueued(path, content); j.Filename != "übung.csv" {
				t.Errorf("the file is called %q", j.Filename)
			}
			s.wantHead(path, fields{"Upload-Offset": fmt.Sprint(len(content)), "Upload-Metadata": metadata("filename", "übung.csv", "filetype", "text/csv", "note", "kept")})
		})
	}
	t.Run("terminate", func(t *testing.T) {
		t.Parallel()
		path, _ := s.drive(t, dir, "terminate", file)
		if a := s.do(http.MethodHead, path, tus(), nil); a.status != http.StatusGone {
			t.Errorf("HEAD after termination: %d", a.status)
		}
	})
}

// drive runs one scenario of drive.js and returns the upload's path and the
// bytes that the client says it sent.
func (s *server) drive(t *testing.T, dir, scenario, file string) (path string, sent int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	node := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "drive.js"), scenario, s.url+"/files/", file)
	node.Stdout, node.Stderr = &stdout, &stderr
	if err := node.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", scenario, err, stderr.String())
	}
	var out struct {
		URL  string
		Sent int
	}
	decode(t, stdout.String(), &out)
	u, err := url.Parse(out.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path, out.Sent
}

// installTusJS returns a folder with testdata/tusjs and what its lock file
// names. It lies in .bin, where the project's tools are, under a name made of
// the content, so that it is installed once.
func installTusJS(t *testing.T) string {
	t.Helper()
	source, digest := filepath.Join("testdata", "tusjs"), sha256.New()
	err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		digest.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tools := filepath.Join("..", ".bin")
	if err := os.MkdirAll(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	ready := filepath.Join(tools, "tusjs-"+hex.EncodeToString(digest.Sum(nil)[:8]))
	if _, err := os.Stat(ready); err == nil {
		return ready
	}
	fresh, err := os.MkdirTemp(tools, "tusjs-new-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(fresh) }) // it is gone unless somebody else was faster
	if err := os.CopyFS(fresh, os.DirFS(source)); err != nil {
		t.Fatal(err)
	}
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = fresh
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(fresh, ready); err != nil {
		if _, there := os.Stat(ready); there != nil {
			t.Fatal(err)
		}
	}
	return ready
}
