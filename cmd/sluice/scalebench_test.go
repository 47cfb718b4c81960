package main_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// scaleDelay is how far away S3 is, of each request.
const scaleDelay = 50 * time.Millisecond

// scaleFiles are the batch of BenchmarkScale: 200 files, mixed.
var scaleFiles = []struct{ rows, times int }{{46, 130}, {4600, 60}, {96_000, 10}}

// BenchmarkScale measures what further worker processes are worth where S3 is
// far away: a batch is sent while there is no worker, then so many start. The
// time is from the first job's start to the last one's end, by Postgres's clock.
// Run it by `make bench-jobs`.
func BenchmarkScale(b *testing.B) {
	f := newFleet(b)
	f.door.delay.Store(int64(scaleDelay))
	var files []sample
	for _, file := range scaleFiles {
		s := newSample(b, file.rows)
		for range file.times {
			files = append(files, s)
		}
	}
	for b.Loop() {
		alone := f.workBatch(files, 1)
		b.ReportMetric(alone.Seconds(), "s-of-1")
		for _, workers := range []int{2, 4} {
			took := f.workBatch(files, workers)
			b.ReportMetric(took.Seconds()/alone.Seconds(), fmt.Sprintf("of-%d/of-1", workers))
		}
	}
	b.ReportMetric(0, "ns/op")
}

// workBatch sends the files, then has so many workers work them off, and returns
// how long they were at it.
func (f *fleet) workBatch(files []sample, workers int) time.Duration {
	f.Helper()
	f.disband()
	since := f.clock()
	var group errgroup.Group
	group.SetLimit(senders)
	for i := range files {
		s := files[i*97%len(files)] // 97 and 200 have no common factor: each once, and no size in a row
		group.Go(func() error { f.send(s); return nil })
	}
	f.must(group.Wait())
	for i := range workers {
		f.work(i)
	}
	eventually(f, "the batch's end", func(context.Context) bool {
		var left int
		f.ask(&left, `SELECT count(*) FROM jobs WHERE completed_at IS NULL`)
		return left == 0
	})
	var failed int
	f.ask(&failed, `SELECT count(*) FROM jobs WHERE state <> 'JOB_COMPLETE'`)
	if failed > 0 {
		f.Fatalf("%d jobs failed", failed)
	}
	var seconds float64
	f.ask(&seconds, `SELECT extract(epoch FROM max(at) FILTER (WHERE state = 'JOB_COMPLETE') - min(at) FILTER (WHERE state = 'IN_PROGRESS')) FROM steps WHERE at > $1`, since)
	return time.Duration(seconds * float64(time.Second))
}
