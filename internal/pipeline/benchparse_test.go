package pipeline_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bench is what `make bench-parse` says of itself.
type bench struct {
	t        *testing.T
	dir      string // of generated files and of node_modules
	portable string // this test binary, built with -tags purego
	runs     int
	idle     usage // of DuckDB's process that does nothing
}

// contestant is one way to sum a file.
type contestant struct {
	name    string
	threads int
	once    bool // it is slow, and its figures do not move
	duckdb  bool
	base    bool // the ratios of as many threads are to it
	binary  string
	side    string
	budget  int64
}

// usage is what a process took.
type usage struct {
	cpu, wall time.Duration
	peakBytes int64
	output    string
}

// TestBenchParse runs `make bench-parse`: the same query, sums by account and
// date, over the same files by us, by encoding/csv with a map and by DuckDB, each
// in a process of its own, by turns. Ours come in the order of account and date,
// whoever asks, so DuckDB is asked for that order too; what it takes without is
// beside it. It prints medians, and fails only when sums differ.
func TestBenchParse(t *testing.T) {
	dir := os.Getenv("SLUICE_BENCH_DIR")
	if dir == "" {
		t.Skip("a benchmark of minutes, which fetches DuckDB: make bench-parse runs it")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, dir: dir, portable: filepath.Join(dir, "purego.test"), runs: envInt(t, "SLUICE_BENCH_RUNS", 3)}
	rows := envInt(t, "SLUICE_BENCH_ROWS", 10_000_000)
	b.idle = b.measure(contestant{duckdb: true, side: "idle", threads: 1}, "")
	fmt.Printf("%s/%s, %d CPUs, medians of %d runs by turns. DuckDB's process takes %.2f CPU s and %d MiB to start; they are taken off its figures.\n"+
		"Groups are ordered by account and date; encoding/csv's, and those of DuckDB without ORDER BY, are not.\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), b.runs, b.idle.cpu.Seconds(), b.idle.peakBytes>>20)
	fmt.Printf("%-32s %-22s %2s %8s %8s %8s %8s %9s %6s\n", "file", "by", "t", "CPU s", "of Duck", "wall s", "of Duck", "peak MiB", "equal")
	for _, f := range benchFiles(rows) {
		all := []contestant{
			{name: "Sluice", threads: 1, binary: self, side: "sum"},
			{name: "Sluice", threads: 2, binary: self, side: "sum"},
			{name: "Sluice, portable", threads: 1, binary: b.portable, side: "sum"},
			{name: "Sluice, 64 MiB budget", threads: 2, binary: self, side: "sum", budget: 64 << 20},
			{name: "DuckDB", threads: 1, duckdb: true, base: true, side: "ordered"},
			{name: "DuckDB", threads: 2, duckdb: true, base: true, side: "ordered"},
			{name: "DuckDB, no ORDER BY", threads: 1, duckdb: true, side: "sum"},
			{name: "DuckDB, no ORDER BY", threads: 2, duckdb: true, side: "sum"},
			{name: "encoding/csv + map", threads: 1, binary: self, side: "csv", once: true},
		}
		b.compare(f, f.path(t, dir), all, self)
	}
}

// benchFiles are the files of the benchmark, of so many rows and one of fewer.
func benchFiles(rows int) []benchFile {
	return []benchFile{
		{name: "96K", rows: 96_000, accounts: 2000},
		{name: "unsorted", rows: rows, accounts: max(rows/5000, 1)},
		{name: "sorted", rows: rows, accounts: max(rows/5000, 1), sorted: true},
		{name: "7 groups to 10 rows", rows: rows, accounts: max(rows/500, 1)},
	}
}

// TestBenchFiles makes them for `make bench-ingest`.
func TestBenchFiles(t *testing.T) {
	dir := os.Getenv("SLUICE_BENCH_DIR")
	if dir == "" {
		t.Skip("it writes 2 GB: make bench-ingest runs it")
	}
	for _, f := range benchFiles(envInt(t, "SLUICE_BENCH_ROWS", 10_000_000)) {
		f.path(t, dir)
	}
}

func envInt(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no number of 1 or more", name, text)
	}
	return n
}

// compare prints the lines of one file.
func (b *bench) compare(f benchFile, path string, all []contestant, self string) {
	ours, theirs := b.dump(contestant{threads: 2, binary: self, side: "dump"}, path), b.dump(contestant{threads: 2, duckdb: true, side: "dump"}, path)
	if !bytes.Equal(ours, theirs) {
		b.t.Errorf("%s: group by group, the sums of Sluice and DuckDB differ", f.name)
	}
	used := make([][]usage, len(all))
	for run := range b.runs {
		for i, c := range all {
			if run == 0 || !c.once {
				used[i] = append(used[i], b.measure(c, path))
			}
		}
	}
	duck := map[int]usage{}
	medians := make([]usage, len(all))
	for i, c := range all {
		medians[i] = median(used[i])
		if c.duckdb {
			medians[i].cpu -= b.idle.cpu
			medians[i].wall -= b.idle.wall
			medians[i].peakBytes -= b.idle.peakBytes
		}
		if c.base {
			duck[c.threads] = medians[i]
		}
	}
	for i, c := range all {
		equal := "yes"
		for _, u := range used[i] {
			if !strings.HasPrefix(medians[0].output+" ", u.output+" ") || !bytes.Equal(ours, theirs) {
				equal = "NO"
				b.t.Errorf("%s: %s gives %s, and %s was to be expected", f.name, c.name, u.output, medians[0].output)
			}
		}
		m, d := medians[i], duck[c.threads]
		fmt.Printf("%-32s %-22s %2d %8.2f %8.2f %8.2f %8.2f %9d %6s\n", fmt.Sprintf("%s, %d rows", f.name, f.rows), c.name, c.threads,
			m.cpu.Seconds(), m.cpu.Seconds()/d.cpu.Seconds(), m.wall.Seconds(), m.wall.Seconds()/d.wall.Seconds(), m.peakBytes>>20, equal)
	}
}

// median takes each figure's own.
func median(all []usage) (m usage) {
	middle := func(of func(u usage) int64) int64 {
		values := make([]int64, len(all))
		for i, u := range all {
			values[i] = of(u)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	m.cpu = time.Duration(middle(func(u usage) int64 { return int64(u.cpu) }))
	m.wall = time.Duration(middle(func(u usage) int64 { return int64(u.wall) }))
	m.peakBytes = middle(func(u usage) int64 { return u.peakBytes })
	m.output = all[0].output
	return m
}

func (b *bench) command(c contestant, path string) *exec.Cmd {
	cmd := exec.CommandContext(b.t.Context(), c.binary)
	if c.duckdb {
		script, err := filepath.Abs(filepath.Join("testdata", "duckdb.mjs"))
		if err != nil {
			b.t.Fatal(err)
		}
		cmd = exec.CommandContext(b.t.Context(), "node", script, c.side, path)
		cmd.Dir = b.dir
	}
	cmd.Env = append(os.Environ(), fmt.Sprint("THREADS=", c.threads), fmt.Sprint("GOMAXPROCS=", c.threads),
		benchSideEnv+"="+c.side, benchFileEnv+"="+path, fmt.Sprint(benchBudgetEnv, "=", c.budget))
	cmd.Stderr = os.Stderr
	return cmd
}

func (b *bench) measure(c contestant, path string) usage {
	cmd := b.command(c, path)
	begun := time.Now()
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("%s: %v", c.name, err)
	}
	s := cmd.ProcessState
	return usage{
		cpu: s.UserTime() + s.SystemTime(), wall: time.Since(begun), output: strings.TrimSpace(string(out)),
		peakBytes: s.SysUsage().(*syscall.Rusage).Maxrss << 10, // Linux counts KiB
	}
}

// dump digests every group, in order.
func (b *bench) dump(c contestant, path string) []byte {
	cmd := b.command(c, path)
	h := sha256.New()
	cmd.Stdout = io.Writer(h)
	if err := cmd.Run(); err != nil {
		b.t.Fatal(err)
	}
	return h.Sum(nil)
}
