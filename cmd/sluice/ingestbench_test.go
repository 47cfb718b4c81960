package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// BenchmarkIngest measures whole jobs from S3 to JOB_COMPLETE: a file is uploaded
// while there is no worker, then a worker starts, reads it from S3, parses, sums
// and scores it, and writes Parquet and offers. CPU and memory are those of the
// worker's process, its start included. Run it by `make bench-ingest`.
func BenchmarkIngest(b *testing.B) {
	rows := 1_000_000
	if text := os.Getenv("SLUICE_BENCH_ROWS"); text != "" {
		rows = int(atoi(b, text))
	}
	for _, accounts := range []int{2000, max(rows/500, 1)} {
		b.Run(fmt.Sprintf("rows=%d/accounts=%d", rows, accounts), func(b *testing.B) {
			file, f := scattered(b, rows, accounts), newFleet(b)
			f.disband()
			for b.Loop() {
				id := f.send(file)
				begun := time.Now()
				usage := f.workOff(id)
				wall := time.Since(begun)
				cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
				b.ReportMetric(cpu.Seconds(), "cpu-s")
				b.ReportMetric(wall.Seconds(), "wall-s")
				b.ReportMetric(float64(usage.Maxrss)/1024, "peak-MiB") // Linux counts KiB
				b.ReportMetric(float64(file.size)/(1<<20)/cpu.Seconds(), "MiB/cpu-s")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// workOff runs a worker until the job is complete, and returns what it took.
func (f *fleet) workOff(id string) *syscall.Rusage {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), f.binary, "work")
	cmd.Env, cmd.Stderr = f.env, f.said
	f.must(cmd.Start())
	state, tick := "", time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for state != "JOB_COMPLETE" && state != "FAILED" {
		<-tick.C
		f.ask(&state, `SELECT state FROM jobs WHERE id = $1`, id)
	}
	f.must(cmd.Process.Signal(syscall.SIGTERM))
	f.must(cmd.Wait())
	if state != "JOB_COMPLETE" {
		f.Fatalf("the job is %s", state)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage)
}
