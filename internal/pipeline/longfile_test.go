package pipeline_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"sluice/internal/pipeline"
)

// longRowsEnv is how many rows TestLongFile's longer file has.
const longRowsEnv = "SLUICE_LONG_ROWS"

const (
	longAccounts = 2000
	longBudget   = 64 << 20
)

// TestLongFile sums a file with line feeds inside its texts and one five times
// as long, each in a process of its own, with the same accounts and budget: both
// are right to the cent in every group, and what the longer one takes of memory
// is within 20 % of the other's. `make soak` has 50 million rows, 3 GB; of the
// short form's memory most is what any process takes.
func TestLongFile(t *testing.T) {
	t.Parallel()
	rows := envInt(t, longRowsEnv, 1_000_000)
	shorter, longer := longRun(t, rows/5), longRun(t, rows)
	t.Logf("%d rows: peak %d MiB; %d rows: peak %d MiB", rows/5, shorter>>20, rows, longer>>20)
	if os.Getenv(longRowsEnv) != "" && longer > shorter+shorter/5 {
		t.Errorf("%d bytes for %d rows, and %d for %d", longer, rows, shorter, rows/5)
	}
}

// longRun returns the peak of a process that sums so many rows.
func longRun(t *testing.T, rows int) (peakBytes int64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), benchSideEnv+"=long", longRowsEnv+"="+strconv.Itoa(rows))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%d rows: %v: %s", rows, err, said.String())
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10 // Linux counts KiB
}

// longFile is a file that is made while it is read, and adds up what it holds.
type longFile struct {
	file  benchFile
	next  int // row
	dates []string
	ahead []byte // made and not yet read
	at    int    // in ahead
	sum   checksum
}

// checksum adds up sums, each weighted by its account and day at random: rows and
// groups of them give the same exactly where every group has its rows' sums.
type checksum struct{ total, revenue, count uint64 }

func (c *checksum) add(id []byte, day int64, total, revenue, count int64) {
	weight := mixed(uint64(day))
	for _, b := range id {
		weight = mixed(weight ^ uint64(b))
	}
	c.total += weight * uint64(total)
	c.revenue += weight * uint64(revenue)
	c.count += weight * uint64(count)
}

func (f *longFile) Read(p []byte) (int, error) {
	if f.at == len(f.ahead) {
		f.ahead, f.at = f.ahead[:0], 0
		for len(f.ahead) < 1<<18 && f.next < f.file.rows {
			f.book()
		}
	}
	n := copy(p, f.ahead[f.at:])
	if f.at += n; n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (f *longFile) book() {
	var row benchRow
	f.ahead, row = f.file.appendRow(f.ahead, f.next, f.dates)
	f.next++
	revenue := int64(0)
	if row.revenue {
		revenue = row.cents
	}
	var id [24]byte
	f.sum.add(appendBenchID(id[:0], row.account), benchDay(int(row.day)).Unix()/86_400, row.cents, revenue, 1)
}

// longSide is the process of longRun.
func longSide(ctx context.Context, _ string, _ io.Writer) error {
	rows, err := strconv.Atoi(os.Getenv(longRowsEnv))
	if err != nil {
		return err
	}
	settings, err := pipeline.ParseSettings("", "", "")
	if err != nil {
		return err
	}
	f := &longFile{file: benchFile{rows: rows, accounts: longAccounts}, dates: benchDates(), ahead: []byte(benchHeader)}
	sums, err := pipeline.Sum(ctx, pipeline.Input{Source: f, Settings: settings, ReferenceDay: endOfTime, MemoryBytes: longBudget, TempDir: os.TempDir()})
	if err != nil {
		return err
	}
	defer sums.Close()
	var got checksum
	for a, err := range sums.Accounts() {
		if err != nil {
			return err
		}
		for i := range a.Days {
			d := &a.Days[i]
			total, _ := d.Total.Int64()
			revenue, _ := d.Revenue.Int64()
			got.add([]byte(a.ID), int64(d.Day), total, revenue, d.Count)
		}
	}
	if got != f.sum {
		return fmt.Errorf("sums %+v, want %+v", got, f.sum)
	}
	return nil
}
