package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// hostileMemory is what a gateway may hold over idle for any file, and a worker
// over the memory that its jobs' sums are given.
const hostileMemory = 128 << 20

// hostileEnv makes the hostile files larger: bytes of a line, groups and rejects.
const (
	hostileBytesEnv   = "SLUICE_HOSTILE_BYTES"
	hostileGroupsEnv  = "SLUICE_HOSTILE_GROUPS"
	hostileRejectsEnv = "SLUICE_HOSTILE_REJECTS"
)

// hostileFile is a file that is made to break what reads it.
type hostileFile struct {
	size   int64
	body   io.Reader
	code   string // of the job's error; "": it is complete
	rows   int64  // accepted
	reason string // of the rejects; "": there are none
	// check compares results with the file; nil: there is nothing but the numbers.
	check func(f *fleet, id string)
}

// TestHostileFiles: each is worked exactly, or fails by its name, in little memory
// of a gateway and a worker of its own, and the honest file behind it is worked.
// By themselves lines have 64 MiB, and groups and rejects are some 300,000 for
// sums of 8 MiB; the variables make it 2 GiB, and 20 million for the default. Memory
// is told, and held to its limit where they do.
func TestHostileFiles(t *testing.T) {
	budget, long := int64(8<<20), os.Getenv(hostileGroupsEnv) != ""
	if long {
		budget = 256 << 20
	}
	honest := newSample(t, 500)
	for name, file := range hostileFiles(t) {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, fmt.Sprint("SLUICE_JOB_MEMORY_BYTES=", budget), "SLUICE_LEASE_EXPIRY=1m", "SLUICE_WORKER_CONCURRENCY=1")
			f.disband()
			f.settled()
			idle := f.gateway.memory(t, "VmRSS:")
			f.work(0)
			id := f.sendFrom(file.body, file.size)
			f.checkHostile(file, id)
			if state, code := f.ended(f.send(honest)); state != "JOB_COMPLETE" {
				t.Errorf("the honest file behind it: %s %s", state, code)
			}
			gateway, worker := f.gateway.memory(t, "VmHWM:")-idle, f.peak(0)
			t.Logf("%d MiB in %v: the gateway held %d MiB over idle (%d MiB), the worker %d MiB with %d MiB for sums",
				file.size>>20, f.took(id), gateway>>20, idle>>20, worker>>20, budget>>20)
			if long && (gateway > hostileMemory || worker > budget+hostileMemory) {
				t.Errorf("more than %d MiB over them", hostileMemory>>20)
			}
		})
	}
}

// hostileCount is a number of the environment's, or that of the short form.
func hostileCount(t testing.TB, env string, short int64) int64 {
	t.Helper()
	if long := os.Getenv(env); long != "" {
		return atoi(t, long)
	}
	return short
}

// checkHostile waits for the job's end and compares what it came to.
func (f *fleet) checkHostile(file hostileFile, id string) {
	f.Helper()
	state := f.awaitEnd(id)
	var code, reasons string
	var accepted, rejected int64
	f.must(f.pool.QueryRow(f.Context(), `SELECT coalesce(error_code, ''), rows_accepted, rows_rejected,
			coalesce((SELECT rejects_by_reason::text FROM results WHERE job_id = id), '')
		FROM jobs WHERE id = $1`, id).Scan(&code, &accepted, &rejected, &reasons))
	if code != file.code || (state == "JOB_COMPLETE") != (file.code == "") {
		f.Fatalf("%s %q, want %q", state, code, file.code)
	}
	if file.code != "" {
		return
	}
	if accepted != file.rows || (rejected == 0) != (file.reason == "") || !strings.Contains(reasons, file.reason) {
		f.Errorf("%d rows accepted and %d rejected, %s; want %d, %s", accepted, rejected, reasons, file.rows, file.reason)
	}
	if file.check != nil {
		file.check(f, id)
	}
}

// download is a result as CSV, while it comes.
func (f *fleet) download(path string) io.ReadCloser {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), http.MethodGet, f.gateway.url+"/api/jobs/"+path, http.NoBody)
	f.must(err)
	req.Header.Set("Accept", "text/csv")
	resp, err := http.DefaultClient.Do(req)
	f.must(err)
	if resp.StatusCode != http.StatusOK {
		f.Fatalf("GET %s: %s", path, resp.Status)
	}
	return resp.Body
}
