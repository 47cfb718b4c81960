package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBrowser does on the page, in a real Chromium, what people do: see
// testdata/browser/drive.js. SLUICE_SCREENSHOTS names a folder that keeps the
// pictures.
func TestBrowser(t *testing.T) {
	t.Parallel()
	chromium := findBrowser(t)
	dir := installBrowserDriver(t)
	for _, scenario := range []string{"drop", "offline", "reload", "wrong", "rejects", "hostile", "docs"} {
		t.Run(scenario, func(t *testing.T) { // one at a time: a browser takes all that two cores have
			s := serve(t, stackEnv(t), "127.0.0.1:0")
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

// findBrowser returns the path of Chromium, or skips the test.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed (Debian: apt-get install nodejs npm)", tool)
		}
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("Chromium is not installed (Debian: apt-get install chromium)")
	return ""
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

// installBrowserDriver returns a folder with testdata/browser and what its lock
// file names. It lies in .bin under a name made of the content, so that it is
// installed once. Chromium is Debian's: nothing of npm is run to fetch one.
func installBrowserDriver(t *testing.T) string {
	t.Helper()
	source, digest := filepath.Join("testdata", "browser"), sha256.New()
	for _, name := range []string{"drive.js", "package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			t.Fatal(err)
		}
		digest.Write(text)
	}
	tools := filepath.Join("..", "..", ".bin")
	if err := os.MkdirAll(tools, 0o755); err != nil {
		t.Fatal(err)
	}
	ready := filepath.Join(tools, "browser-"+hex.EncodeToString(digest.Sum(nil)[:8]))
	if _, err := os.Stat(ready); err == nil {
		return ready
	}
	fresh, err := os.MkdirTemp(tools, "browser-new-")
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
