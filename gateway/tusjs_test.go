package gateway_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sluice/internal/devstack/devtest"
)

// TestTusJSClient drives the tus door with tus-js-client, which most browsers
// upload by.
func TestTusJSClient(t *testing.T) {
	t.Parallel()
	dir := devtest.NPM(t, filepath.Join("testdata", "tusjs"), "tusjs")
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
	for _, scenario := range []string{"terminate", "terminateComplete"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			path, _ := s.drive(t, dir, scenario, file)
			if a := s.do(http.MethodHead, path, tus(), nil); a.status != http.StatusGone {
				t.Errorf("HEAD after termination: %d", a.status)
			}
		})
	}
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
