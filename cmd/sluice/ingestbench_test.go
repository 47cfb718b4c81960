package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// BenchmarkIngest measures whole jobs from S3 to JOB_COMPLETE: a file is uploaded
// while there is no worker, then a worker starts, reads it from S3, parses, sums
// and scores it, and writes Parquet and offers. CPU and memory are those of the
// worker's process, its start included. By turns DuckDB answers its query over the
// same file, one of those of `make bench-parse`; the CPU that its process takes to
// start is taken off. Figures are medians. Run it by `make bench-ingest`.
func BenchmarkIngest(b *testing.B) {
	dir := os.Getenv("SLUICE_BENCH_DIR")
	if dir == "" {
		b.Skip("it needs DuckDB and the files of make bench-parse: make bench-ingest runs it")
	}
	rows := int(atoi(b, os.Getenv("SLUICE_BENCH_ROWS")))
	for _, accounts := range []int{max(rows/5000, 1), max(rows/500, 1)} {
		b.Run(fmt.Sprintf("rows=%d/accounts=%d", rows, accounts), func(b *testing.B) {
			path := filepath.Join(dir, fmt.Sprintf("v1-%d-%d-false.csv", rows, accounts))
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			f := newFleet(b)
			f.disband()
			idle := f.duckDB("idle", path)
			var cpu, duck, wall, peak []float64
			for b.Loop() {
				id := f.send(sample{path: path, size: info.Size()})
				begun := time.Now()
				usage, peakMiB := f.workOff(id)
				wall, peak = append(wall, time.Since(begun).Seconds()), append(peak, float64(peakMiB))
				cpu, duck = append(cpu, seconds(usage)), append(duck, f.duckDB("ordered", path)-idle)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(middle(cpu), "cpu-s")
			b.ReportMetric(middle(wall), "wall-s")
			b.ReportMetric(middle(peak), "peak-MiB")
			b.ReportMetric(middle(duck), "DuckDB-cpu-s")
			b.ReportMetric(middle(cpu)/middle(duck), "of-DuckDB")
		})
	}
}

func middle(figures []float64) float64 {
	slices.Sort(figures)
	return figures[len(figures)/2]
}

func seconds(u *syscall.Rusage) float64 {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// duckDB returns the CPU seconds of DuckDB's process.
func (f *fleet) duckDB(mode, path string) float64 {
	f.Helper()
	script, err := filepath.Abs(filepath.Join("..", "..", "internal", "pipeline", "testdata", "duckdb.mjs"))
	f.must(err)
	cmd := exec.CommandContext(f.Context(), "node", script, mode, path)
	cmd.Dir, cmd.Env, cmd.Stderr = filepath.Dir(path), append(os.Environ(), "THREADS=2"), os.Stderr
	f.must(cmd.Run())
	return seconds(cmd.ProcessState.SysUsage().(*syscall.Rusage))
}

// workOff runs a worker until the job is complete, and returns what it took. The
// peak is that of its own memory: the one of the Rusage begins with that of the
// process which started it.
func (f *fleet) workOff(id string) (usage *syscall.Rusage, peakMiB int64) {
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
	peakMiB = peakOf(f, cmd.Process.Pid)
	f.must(cmd.Process.Signal(syscall.SIGTERM))
	f.must(cmd.Wait())
	if state != "JOB_COMPLETE" {
		f.Fatalf("the job is %s", state)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage), peakMiB
}
