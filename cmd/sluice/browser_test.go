package main_test

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/internal/devstack/devtest"
	"sluice/internal/devstack/fault"
)

// TestBrowser does on the page, in a real Chromium, what people do: see
// testdata/browser/drive.js. SLUICE_SCREENSHOTS names a folder that keeps the
// pictures.
func TestBrowser(t *testing.T) {
	t.Parallel()
	chromium, dir := devtest.Chromium(t), browserDriver(t)
	for _, scenario := range []string{"drop", "offline", "reload", "tabs", "fifty", "wrong", "rejects", "rejecting", "hostile", "docs", "control", "toolate", "cancel", "key", "elsewhere", "queue"} {
		t.Run(scenario, func(t *testing.T) { // one at a time: a browser takes all that two cores have
			s, env := serveFor(t, dir, scenario)
			found := drive(t, dir, append(env, "CHROMIUM="+chromium), scenario, s.url)
			if found.Rows > 0 {
				if got := s.status(t, found.ID); got.State != "JOB_COMPLETE" || got.Rows != found.Rows {
					t.Errorf("job %s is %s with %d rows, want %d", found.ID, got.State, got.Rows, found.Rows)
				}
			}
			s.stop(t)
		})
	}
}

// serveFor starts what a scenario needs, a gateway and mostly a worker, and
// returns what its driver has to know besides.
func serveFor(t *testing.T, dir, scenario string) (s *server, driver []string) {
	t.Helper()
	env := stackEnv(t)
	switch scenario {
	case "key":
		env = append(env, "SLUICE_API_KEY=browser-key")
	case "elsewhere":
		shop := &shop{page: filepath.Join("..", "..", "gateway", "web", "example"), tus: filepath.Join(dir, "node_modules", "tus-js-client", "dist", "tus.min.js")}
		web := httptest.NewServer(shop)
		t.Cleanup(web.Close)
		s = serve(t, append(env, "SLUICE_API_KEY=browser-key", "SLUICE_CORS_ORIGINS="+web.URL), "127.0.0.1:0")
		shop.sluice.Store(&s.url)
		return s, []string{"ELSEWHERE=" + web.URL}
	case "queue":
		s = serve(t, append(env, "SLUICE_API_KEY=browser-key", "SLUICE_ADMIN_KEY=operator-key"), "127.0.0.1:0")
		upload(t, s.url, "--api-key=browser-key", written(t, "queued.csv", "account_id,date,amount\nA1,2024-01-15,1500.00\n"))
		return s, []string{"ADMIN_KEY=operator-key"}
	case "rejecting":
		env, gate := halfRead(t, env)
		return serve(t, env, "127.0.0.1:0"), []string{"GATE=" + gate}
	case "control", "cancel": // jobs stay queued
		return launch(t, command(t, append(env, "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0"), "serve")), nil
	}
	return serve(t, env, "127.0.0.1:0"), nil
}

// halfRead returns env with an S3 that keeps the second part of a file from who
// reads it, until the gate is asked for.
func halfRead(t *testing.T, env []string) (through []string, gate string) {
	t.Helper()
	const endpoint = "SLUICE_S3_ENDPOINT="
	at := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, endpoint) })
	proxy, err := fault.NewS3(t.Context(), strings.TrimPrefix(env[at], endpoint))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	opened := make(chan struct{})
	second := regexp.MustCompile(`/uploads/.*/1-2$`)
	proxy.Add(fault.Rule{
		Match: func(r *http.Request) bool { return r.Method == http.MethodGet && second.MatchString(r.URL.Path) },
		Times: math.MaxInt,
		Answer: func(w http.ResponseWriter, r *http.Request, s3 http.Handler) {
			select {
			case <-opened:
				s3.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		},
	})
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(opened) }))
	t.Cleanup(web.Close)
	return slices.Replace(slices.Clone(env), at, at+1, endpoint+proxy.URL), web.URL
}

// shop is a tenant's own web server: it has the example page, and hands out
// upload tokens.
type shop struct {
	page, tus string
	sluice    atomic.Pointer[string]
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/tus.min.js":
		http.ServeFile(w, r, s.tus)
	case "/upload-token":
		s.issue(w, r)
	default:
		http.ServeFileFS(w, r, os.DirFS(s.page), "index.html")
	}
}

func (s *shop) issue(w http.ResponseWriter, r *http.Request) {
	url := *s.sluice.Load()
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodPost, url+"/api/upload-tokens/", strings.NewReader(`{"max_bytes":2000000}`))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	ask.Header = http.Header{"Authorization": {"Bearer browser-key"}, "Content-Type": {"application/json"}}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer answer.Body.Close()
	var issued struct {
		Sluice string `json:"sluice"`
		Token  string `json:"token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&issued); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	issued.Sluice = url
	_ = json.NewEncoder(w).Encode(issued)
}

// driven is what a scenario reports: the job it ended at, the rows that it must
// have accepted, or 0, and of a large file what it cost the page.
type driven struct {
	ID        string
	Rows      int64
	LongTasks int64
	LongMS    float64
	HeapBytes series // of the page's scripts
	Browser   series // bytes of all processes of the browser, those that they share counted once
}

func drive(t *testing.T, dir string, env []string, scenario, url string) (found driven) {
	t.Helper()
	folder := t.TempDir()
	var stdout, stderr bytes.Buffer
	node := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "drive.js"), scenario, url, folder)
	node.Env = append(os.Environ(), env...)
	node.Stdout, node.Stderr = &stdout, &stderr
	err := node.Start()
	if err == nil {
		browser := watchMemory(func() int64 { return heldBelow(t, node.Process.Pid) })
		err = node.Wait()
		defer func() { found.Browser = browser() }()
	}
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
