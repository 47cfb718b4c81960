package main_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
)

// BenchmarkStatus measures what reading a job's status costs its client and the
// gateway beside a long queue. Run it by `make bench-jobs`.
func BenchmarkStatus(b *testing.B) {
	const reads = 2000
	f := newFleet(b)
	id := f.send(newSample(b, 46))
	f.ended(id)
	f.disband() // or they would work the queue
	url, queued := f.gateway.url+"/api/jobs/"+id+"/status/", 0
	for _, queue := range []int{0, 10_000} {
		f.fillQueue(queue - queued)
		queued = queue
		b.Run(fmt.Sprintf("queued=%d", queue), func(b *testing.B) {
			f.readStatus(url, reads/10) // connections, plans
			var took []time.Duration
			cpu := f.cpuOf(f.gateway.cmd)
			for b.Loop() {
				took = f.readStatus(url, reads)
			}
			b.ReportMetric(float64(f.cpuOf(f.gateway.cmd)-cpu)/float64(time.Microsecond)/reads, "gateway-cpu-us/read")
			b.ReportMetric(float64(took[reads/2])/float64(time.Microsecond), "p50-us")
			b.ReportMetric(float64(took[reads*99/100])/float64(time.Microsecond), "p99-us")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// readStatus returns how long each read took, the shortest first.
func (f *fleet) readStatus(url string, times int) (took []time.Duration) {
	f.Helper()
	for range times {
		begun := time.Now()
		req, err := http.NewRequestWithContext(f.Context(), http.MethodGet, url, http.NoBody)
		f.must(err)
		resp, err := http.DefaultClient.Do(req)
		f.must(err)
		_, err = io.Copy(io.Discard, resp.Body)
		f.must(err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			f.Fatalf("status: %s", resp.Status)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took
}

// fillQueue adds queued jobs, with all the rows that one has.
func (f *fleet) fillQueue(n int) {
	f.Helper()
	for _, sql := range []string{
		`INSERT INTO river_job (args, kind, max_attempts, state) SELECT '{}', 'ingest', 1, 'available' FROM generate_series(1, $1)`,
		`INSERT INTO jobs (id, tenant, channel, filename, state, credit_model_config, aggregate_config, parse_config, size_bytes, crc64, reference_date, river_job_id)
			SELECT 'job_01' || lpad(id::text, 24, '0'), 'default', 'tus', 'queued.csv', 'UPLOAD_COMPLETE', '', '', '', 1, id, now(), id FROM river_job WHERE state = 'available' LIMIT $1`,
		`INSERT INTO steps SELECT id, 1, 'UPLOAD_COMPLETE', NULL, 0, 0, 0, NULL, NULL, false, now() FROM jobs WHERE filename = 'queued.csv' LIMIT $1`,
	} {
		f.exec(sql, n)
	}
	f.exec(`VACUUM ANALYZE`)
}
