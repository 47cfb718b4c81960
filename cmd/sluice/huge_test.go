package main_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/internal/devstack/devtest"
)

// hugeMemory is what the worker of TestHugeJob may take: for any file.
const hugeMemory = 256 << 20

// TestHugeJob works a file that is larger than its worker's memory, in a control
// group that ends who takes more. The worker is killed when it has read 90 % of
// it; another begins anew and comes to the right sums. By itself the file has 64
// MiB; SLUICE_HUGE_BYTES makes it larger.
func TestHugeJob(t *testing.T) {
	bytes := int64(64 << 20)
	if long := os.Getenv("SLUICE_HUGE_BYTES"); long != "" {
		bytes = atoi(t, long)
	}
	cage, err := devtest.NewCage(t, hugeMemory)
	if err != nil {
		t.Logf("the limit is looked at and not enforced: %v", err)
	}
	f := newFleet(t)
	f.disband()
	f.cage = cage
	f.env = append(f.env, "GOMEMLIMIT=200MiB", "SLUICE_JOB_MEMORY_BYTES=64MiB", "SLUICE_WORKER_CONCURRENCY=1", "SLUICE_WORKER_COMPOSE=false")
	file := newHugeFile(bytes)
	id := f.sendFrom(file, file.size())

	reached, open := f.holdPart(id, file.size()*9/10)
	f.work(0)
	<-reached
	first, killed := f.took(id), f.peak(0)
	f.end(0)
	open()
	f.work(0)
	if state := f.awaitEnd(id); state != "JOB_COMPLETE" {
		t.Fatalf("the job is %s", state)
	}
	repeat, peak, cpu := f.took(id), f.peak(0), f.cpuOf(f.workers[0])
	t.Logf("%d MiB: 90 %% in %v and %d MiB of memory, then killed; the repeat took %v, %v of CPU and %d MiB",
		file.size()>>20, first.Round(time.Millisecond), killed>>20, repeat.Round(time.Millisecond), cpu, peak>>20)
	if max(killed, peak) > hugeMemory {
		t.Errorf("more memory than %d MiB", hugeMemory>>20)
	}
	f.checkHuge(file, id)
	var attempts, deaths int
	f.must(f.pool.QueryRow(t.Context(), `SELECT attempts, deaths FROM jobs WHERE id = $1`, id).Scan(&attempts, &deaths))
	if attempts != 2 || deaths != 0 {
		t.Errorf("%d attempts and %d deaths, want 2 and none: it was not alone", attempts, deaths)
	}
}

// holdPart makes workers wait for the part that has this byte of the file, until
// open is called; a worker that does is told of.
func (f *fleet) holdPart(id string, at int64) (reached <-chan struct{}, open func()) {
	f.Helper()
	var key string
	f.ask(&key, `SELECT object_key FROM parts WHERE upload_id = $1 AND start_bytes <= $2 ORDER BY start_bytes DESC LIMIT 1`, id, at)
	return f.holdReads(key)
}

// took is how long the job's current attempt has been at it, or was.
func (f *fleet) took(id string) time.Duration {
	f.Helper()
	var seconds float64
	f.ask(&seconds, `SELECT extract(epoch FROM coalesce(completed_at, clock_timestamp()) - started_at) FROM jobs WHERE id = $1`, id)
	return time.Duration(seconds * float64(time.Second))
}

// peak is the most memory that a worker has held, in bytes. Rusage would tell of
// the test's own, from which the process was forked.
func (f *fleet) peak(i int) int64 {
	f.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.workers[i].Process.Pid))
	f.must(err)
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	return atoi(f, strings.Fields(after)[0]) << 10
}

// awaitEnd waits for the end of a job that may take its time.
func (f *fleet) awaitEnd(id string) (state string) {
	f.Helper()
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		f.ask(&state, `SELECT state FROM jobs WHERE id = $1`, id)
		if state == "JOB_COMPLETE" || state == "FAILED" {
			tick.Stop()
			return state
		}
	}
}

// checkHuge compares what the job came to with the file.
func (f *fleet) checkHuge(file *hugeFile, id string) {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), http.MethodGet, f.gateway.url+"/api/jobs/"+id+"/aggregates/", http.NoBody)
	f.must(err)
	req.Header.Set("Accept", "text/csv")
	resp, err := http.DefaultClient.Do(req)
	f.must(err)
	defer resp.Body.Close()
	f.must(file.compare(resp.Body))
	var accepted, offers int64
	f.must(f.pool.QueryRow(f.Context(), `SELECT rows_accepted, (SELECT count(*) FROM offers WHERE job_id = id) FROM jobs WHERE id = $1`, id).Scan(&accepted, &offers))
	if accepted != file.rows || offers != hugeAccounts {
		f.Errorf("%d rows and %d decisions, want %d and %d", accepted, offers, file.rows, hugeAccounts)
	}
}
