package main_test

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/devstack/devtest"
)

// TestOutOfMemory: a job that ends its worker for its memory goes on where there
// is more of it. Where there never is, it ends after three workers that had
// nothing else, and can be tried again.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	const little, enough = 64 << 20, 1 << 30
	for name, patient := range map[string]bool{"a larger worker goes on": true, "none is large enough": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cage, err := devtest.NewCage(t, little)
			if err != nil {
				t.Skip(err)
			}
			f := newFleet(t)
			f.disband()
			f.cage, f.env = cage, append(f.env, "SLUICE_JOB_MEMORY_BYTES=0", "SLUICE_WORKER_COMPOSE=false")
			file := newHugeFile(64 << 20)
			id := f.sendFrom(file, file.size())
			f.work(0)
			if !patient {
				if state, code := f.ended(id); state != "FAILED" || code != "poison" {
					t.Fatalf("%s %s", state, code)
				}
				f.post("/api/jobs/" + id + "/retry/")
			}
			<-f.gone[0]
			if cage.Kills(t) == 0 {
				t.Fatal("no worker was ended for its memory")
			}
			f.must(cage.Limit(enough))
			f.work(0)
			if state, code := f.ended(id); state != "JOB_COMPLETE" {
				t.Fatalf("%s %s", state, code)
			}
			f.checkHuge(file, id)
		})
	}
}

// post asks the gateway for what it answers with 202.
func (f *fleet) post(path string) {
	f.Helper()
	eventually(f, "the gateway's answer", func(ctx context.Context) bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.gateway.url+path, strings.NewReader(""))
		f.must(err)
		resp, err := http.DefaultClient.Do(req)
		f.must(err)
		resp.Body.Close()
		return resp.StatusCode == http.StatusAccepted
	})
}

// TestMemoryLimit: a process that works has Go collect garbage by the memory that its
// settings give away, and one that does not, or has GOMEMLIMIT, as it is told.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	const (
		sums, buffers, reading = 2 * 8 << 20, 16 << 20, 64 << 20
		none                   = math.MaxInt64
	)
	for name, c := range map[string]struct {
		args []string
		more string
		want float64
	}{
		"work":         {[]string{"work"}, "", sums + reading},
		"serve":        {[]string{"serve"}, "", none},
		"both":         {[]string{"serve", "--work"}, "", sums + buffers + reading},
		"both, told":   {[]string{"serve", "--work"}, "GOMEMLIMIT=200MiB", 200 << 20},
		"both, no end": {[]string{"serve", "--work"}, "SLUICE_JOB_MEMORY_BYTES=0", none},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := launch(t, command(t, append(stackEnv(t), "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0", "SLUICE_OPS_ADDR=127.0.0.1:0", "SLUICE_API_KEY="+canaryKey,
				"SLUICE_WORKER_CONCURRENCY=2", "SLUICE_JOB_MEMORY_BYTES=8MiB", "SLUICE_UPLOAD_BUFFER_BYTES=16MiB", c.more), c.args...))
			defer s.stop(t)
			_, value, _ := strings.Cut(scrape(t.Context(), t, s.url), "\ngo_gc_gomemlimit_bytes ")
			value, _, _ = strings.Cut(value, "\n")
			if got, err := strconv.ParseFloat(value, 64); err != nil || got != c.want {
				t.Errorf("the limit is %q, want %g: %v", value, c.want, err)
			}
		})
	}
}
