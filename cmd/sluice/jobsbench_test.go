package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// senders are how many files of a burst are sent at a time.
const senders = 8

// benchFiles are what BenchmarkJobs sends: one at a time, then in a burst.
var benchFiles = []struct {
	name       string
	rows       int
	one, burst int
}{
	{"1KiB", 46, 50, 200},
	{"100KiB", 4600, 50, 100},
	{"96000rows", 96_000, 20, 20},
}

// BenchmarkJobs measures jobs by Postgres's clock, from the transaction that
// records the last byte to the one that completes the job, with one and two
// worker processes, and small ones again beside 100,000 finished jobs. Run it by
// `make bench-jobs`: each measurement is one iteration.
func BenchmarkJobs(b *testing.B) {
	for _, workers := range []int{1, 2} {
		for _, file := range benchFiles {
			b.Run(fmt.Sprintf("workers=%d/file=%s", workers, file.name), func(b *testing.B) {
				f, s := newBenchFleet(b, workers), newSample(b, file.rows)
				var done []float64
				for b.Loop() {
					done = f.measure(b, s, file.one, file.burst)
				}
				if file.rows == 96_000 {
					f.compare(b, s, done)
				}
			})
		}
	}
	for _, finished := range []int{10_000, 100_000} {
		b.Run(fmt.Sprintf("workers=1/file=1KiB/finished=%d", finished), func(b *testing.B) {
			f, s := newBenchFleet(b, 1), newSample(b, benchFiles[0].rows)
			f.fill(finished)
			for b.Loop() {
				f.measure(b, s, benchFiles[0].one, benchFiles[0].burst)
			}
		})
	}
}

// newBenchFleet is a fleet of so many workers that has worked its first job.
func newBenchFleet(b *testing.B, workers int) *fleet {
	b.Helper()
	f := newFleet(b)
	f.disband()
	for i := range workers {
		f.work(i)
	}
	f.ended(f.send(newSample(b, 10)))
	return f
}

// measure sends files one by one, then a burst, and reports both. It returns how
// long those sent one by one took to their end: p50, p90 and p99, in ms.
func (f *fleet) measure(b *testing.B, s sample, one, burst int) (done []float64) {
	b.Helper()
	since := f.clock()
	for range one {
		f.ended(f.send(s))
	}
	done = f.report(b, since, "")
	since, cpu := f.clock(), f.cpu()
	var group errgroup.Group
	group.SetLimit(senders)
	for range burst {
		group.Go(func() error { f.send(s); return nil })
	}
	f.must(group.Wait())
	eventually(b, "the burst's end", func(context.Context) bool {
		var left int
		f.ask(&left, `SELECT count(*) FROM jobs WHERE state IN ('UPLOAD_COMPLETE', 'IN_PROGRESS')`) // by an index: it is asked often
		return left == 0
	})
	var seconds float64
	f.ask(&seconds, `SELECT extract(epoch FROM max(at) - min(at)) FROM steps WHERE at > $1`, since)
	b.ReportMetric(float64(burst)/seconds, "jobs/s")
	b.ReportMetric((f.cpu()-cpu).Seconds()*1e3/float64(burst), "cpu-ms/job")
	f.report(b, since, "burst-")
	b.ReportMetric(0, "ns/op")
	return done
}

// clock is Postgres's time.
func (f *fleet) clock() (now time.Time) {
	f.Helper()
	f.ask(&now, `SELECT clock_timestamp()`)
	return now
}

// report tells how long the jobs since then waited for a worker, and for their
// end, which it returns: p50, p90 and p99, in ms.
func (f *fleet) report(b *testing.B, since time.Time, prefix string) (ms []float64) {
	b.Helper()
	for _, to := range []struct{ name, state string }{{"start", "IN_PROGRESS"}, {"done", "JOB_COMPLETE"}} {
		f.ask(&ms, `SELECT percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY 1000 * extract(epoch FROM t.at - q.at))
			FROM steps q JOIN steps t USING (job_id) WHERE q.state = 'UPLOAD_COMPLETE' AND t.state = $1 AND q.at > $2`, to.state, since)
		for i, percentile := range []string{"50", "90", "99"} {
			b.ReportMetric(ms[i], prefix+to.name+"-p"+percentile+"-ms")
		}
	}
	return ms
}

// cpu is what the gateway and the workers have used so far.
func (f *fleet) cpu() (used time.Duration) {
	f.Helper()
	for _, cmd := range append([]*exec.Cmd{f.gateway.cmd}, f.workers...) {
		used += f.cpuOf(cmd)
	}
	return used
}

// cpuOf is what a process has used so far; nothing of one that has ended.
func (f *fleet) cpuOf(cmd *exec.Cmd) time.Duration {
	f.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest) // from the third on; 14 and 15 are user and system time, in ticks of 10 ms (proc(5))
	return time.Duration(atoi(f, fields[11])+atoi(f, fields[12])) * 10 * time.Millisecond
}

// fill adds finished jobs, with all the rows that one leaves but its offers.
func (f *fleet) fill(n int) {
	f.Helper()
	for _, sql := range []string{
		`INSERT INTO jobs (id, tenant, channel, filename, state, credit_model_config, aggregate_config, parse_config, size_bytes, crc64, reference_date, completed_at)
			SELECT 'job_00' || lpad(i::text, 24, '0'), 'default', 'tus', 'old.csv', 'JOB_COMPLETE', '', '', '', 1, 1, now(), now() FROM generate_series(1, $1) i`,
		`INSERT INTO steps SELECT id, 1, 'JOB_COMPLETE', NULL, 0, 0, 0, NULL, NULL, false, now() - interval '1 day' FROM jobs LIMIT $1`,
		`INSERT INTO uploads (id, tenant, size_bytes, offset_bytes, state, expires_at) SELECT id, tenant, 1, 1, 'complete', now() FROM jobs WHERE filename = 'old.csv' LIMIT $1`,
		`INSERT INTO river_job (args, kind, max_attempts, state, finalized_at) SELECT '{}', 'ingest', 1, 'completed', now() FROM generate_series(1, $1)`,
	} {
		f.exec(sql, n)
	}
	f.exec(`VACUUM ANALYZE`) // or Postgres would be at it while it is measured
}

// pythonLoop is what the file costs the loop that anyone would write first.
const pythonLoop = `
import csv, sys
from collections import defaultdict
from decimal import Decimal
sums = defaultdict(Decimal)
with open(sys.argv[1], newline="") as f:
    for row in csv.DictReader(f):
        sums[row["account_id"], row["date"]] += Decimal(row["amount"])
`

// compare reports the CPU time of the Python loop over the same file, and what
// part of it the jobs lasted.
func (f *fleet) compare(b *testing.B, s sample, done []float64) {
	b.Helper()
	script := filepath.Join(b.TempDir(), "loop.py")
	f.must(os.WriteFile(script, []byte(pythonLoop), 0o600))
	cmd := exec.CommandContext(b.Context(), "python3", script, s.path)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Logf("no Python to compare with: %v\n%s", err, out)
		return
	}
	ms := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() * 1e3
	b.ReportMetric(ms, "python-cpu-ms")
	b.ReportMetric(done[0]/ms, "done-p50/python")
	b.ReportMetric(done[1]/ms, "done-p90/python")
}
