package main_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sluice/internal/devstack/devtest"
)

// TestBrowser does on the page, in a real Chromium, what people do: see
// testdata/browser/drive.js. SLUICE_SCREENSHOTS names a folder that keeps the
// pictures.
func TestBrowser(t *testing.T) {
	t.Parallel()
	chromium, dir := devtest.Chromium(t), browserDriver(t)
	for _, scenario := range []string{"drop", "offline", "reload", "tabs", "fifty", "wrong", "rejects", "hostile", "docs", "control", "key"} {
		t.Run(scenario, func(t *testing.T) { // one at a time: a browser takes all that two cores have
			s := serveFor(t, scenario)
			found := drive(t, dir, chromium, scenario, s.url)
			if found.Rows > 0 {
				if got := s.status(t, found.ID); got.State != "JOB_COMPLETE" || got.Rows != found.Rows {
					t.Errorf("job %s is %s with %d rows, want %d", found.ID, got.State, got.Rows, found.Rows)
				}
			}
			s.stop(t)
		})
	}
}

// serveFor starts what a scenario needs: a gateway, and mostly a worker.
func serveFor(t *testing.T, scenario string) *server {
	t.Helper()
	env := stackEnv(t)
	switch scenario {
	case "key":
		env = append(env, "SLUICE_API_KEY=browser-key")
	case "control": // jobs stay queued
		return launch(t, command(t, append(env, "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0"), "serve"))
	}
	return serve(t, env, "127.0.0.1:0")
}

// driven is what a scenario reports: the job it ended at, and the rows that it
// must have accepted, or 0.
type driven struct {
	ID   string
	Rows int64
}

func drive(t *testing.T, dir, chromium, scenario, url string) (found driven) {
	t.Helper()
	folder := t.TempDir()
	var stdout, stderr bytes.Buffer
	node := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "drive.js"), scenario, url, folder)
	node.Env = append(os.Environ(), "CHROMIUM="+chromium)
	node.Stdout, node.Stderr = &stdout, &stderr
	err := node.Run()
	keepScreenshots(t, folder)
	if err != nil {
		t.Fatalf("%s: %v\n%s", scenario, err, stderr.String())
	}
	if err := json.Unmarshal(stdout.Bytes(), &found); err != nil {
		t.Fatalf("%s printed %s: %v", scenario, stdout.String(), err)
	}
	return found
}

func keepScreenshots(t *testing.T, folder string) {
	t.Helper()
	keep := os.Getenv("SLUICE_SCREENSHOTS")
	pictures, err := filepath.Glob(filepath.Join(folder, "*.png"))
	if err != nil || len(pictures) == 0 {
		t.Errorf("%d screenshots, %v", len(pictures), err)
	}
	for _, path := range pictures {
		picture, err := os.ReadFile(path)
		if err != nil || len(picture) < 5000 {
			t.Errorf("%s has %d bytes, %v", filepath.Base(path), len(picture), err)
		}
		if keep == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(keep, filepath.Base(path)), picture, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// browserDriver returns a folder with testdata/browser and what it needs.
func browserDriver(t testing.TB) string {
	t.Helper()
	return devtest.NPM(t, filepath.Join("testdata", "browser"), "browser")
}
