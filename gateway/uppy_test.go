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
	"slices"
	"strings"
	"testing"

	"sluice/internal/devstack/devtest"
	"sluice/internal/devstack/fault"
)

// TestUppy drives the tus door with Uppy's tus plugin, in pieces of 2 MiB: a file
// that is paused, one whose page is left, and one whose line is cut go on from
// where they were, as the same upload.
func TestUppy(t *testing.T) {
	t.Parallel()
	dir := devtest.NPM(t, filepath.Join("testdata", "uppy"), "uppy")
	s := start(t)
	const chunk = 2 << 20
	content := make([]byte, 7<<20+12345)
	random := rand.NewChaCha8([32]byte{3})
	if _, err := random.Read(content); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	want := []asked{{http.MethodPost, 0}, {http.MethodPatch, 0}, {http.MethodPatch, chunk}, {http.MethodPatch, 2 * chunk}, {http.MethodPatch, 3 * chunk}}
	resumed := slices.Insert(slices.Clone(want), 3, asked{http.MethodHead, 0})

	for scenario, want := range map[string][]asked{"whole": want, "pause": resumed, "reload": resumed} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			path, got := s.uppy(t, dir, scenario, s.url, file)
			if !slices.Equal(got, want) {
				t.Errorf("Uppy asked for %v, want %v", got, want)
			}
			s.wantUppys(t, path, content)
		})
	}
	t.Run("cut", func(t *testing.T) {
		t.Parallel()
		line, err := fault.NewLine(t.Context(), strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer line.Close()
		line.After(2*chunk+chunk/2, line.Cut)
		path, got := s.uppy(t, dir, "whole", "http://"+line.Addr, file)
		head := slices.Index(got, asked{http.MethodHead, 0})
		if head != 4 || !slices.Equal(got[:head], want[:head]) {
			t.Fatalf("Uppy asked for %v, want %v, and HEAD when its line was cut", got, want[:4])
		}
		if len(got) == head+1 || got[head+1].Method != http.MethodPatch || got[head+1].Offset < 2*chunk {
			t.Errorf("Uppy went on with %v, want a PATCH at %d or behind", got[head+1:], 2*chunk)
		}
		s.wantUppys(t, path, content)
	})
}

// asked is a request of a client: Offset is that of a PATCH, in bytes.
type asked struct {
	Method string
	Offset int64
}

// uppy runs one scenario of drive.js against the gateway at base, and returns the
// upload's path and what Uppy asked for.
func (s *server) uppy(t *testing.T, dir, scenario, base, file string) (path string, requests []asked) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	node := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "drive.js"), scenario, base+"/files/", file, filepath.Join(t.TempDir(), "urls"))
	node.Stdout, node.Stderr = &stdout, &stderr
	if err := node.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", scenario, err, stderr.String())
	}
	var out struct {
		URL      string
		Requests []asked
	}
	decode(t, stdout.String(), &out)
	u, err := url.Parse(out.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path, out.Requests
}

// wantUppys checks that an upload of Uppy is complete, has what was sent, and is
// enqueued once.
func (s *server) wantUppys(t *testing.T, file string, want []byte) {
	t.Helper()
	j := s.wantQueued(file, want)
	if j.Filename != "übung.csv" {
		t.Errorf("the file is called %q", j.Filename)
	}
	var jobs int
	if err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE kind = 'ingest' AND args->>'job_id' = $1`, j.ID).Scan(&jobs); err != nil {
		t.Fatal(err)
	}
	if jobs != 1 {
		t.Errorf("%d jobs are enqueued, want 1", jobs)
	}
	s.wantHead(file, fields{"Upload-Offset": fmt.Sprint(len(want))})
}
