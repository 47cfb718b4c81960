package rollup_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"sluice/internal/rollup"
)

// spread makes rows of so many accounts, three days each.
func spread(accounts int) []row {
	rows := make([]row, 0, 3*accounts)
	for day := range int32(3) {
		for i := range accounts {
			rows = append(rows, row{"ACC" + strconv.Itoa(i*7919), day, int64(i), i%2 == 0})
		}
	}
	return rows
}

// TestNothingIsLeft holds that a temporary file has no name while it is in use.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rows := spread(20_000)
	r := fillWith(t, rollup.Config{MemoryBytes: 200_000, TempDir: dir}, 2, rows)
	if r.Spilled() == 0 {
		t.Fatal("nothing was written to files")
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) > 0 {
		t.Errorf("files %q, %v", names, err)
	}
	if accounts, groups := r.Len(); accounts != 20_000 || groups != 60_000 {
		t.Errorf("%d accounts, %d groups", accounts, groups)
	}
}

// TestSpilledMeansNothing holds that a budget changes no sum, and that the
// sums can be read more than once, and in part.
func TestSpilledMeansNothing(t *testing.T) {
	t.Parallel()
	rows := spread(5000)
	_, want := collect(t, fill(t, rows))
	r := fillWith(t, rollup.Config{MemoryBytes: 30_000, TempDir: t.TempDir()}, 3, rows)
	for range 2 {
		if _, got := collect(t, r); !equal(got, want) {
			t.Fatal("other sums")
		}
		for a, err := range r.Accounts() {
			if err != nil || a.ID != want[0].ID {
				t.Fatalf("first account %q, %v", a.ID, err)
			}
			break
		}
	}
	if day, ok := r.MaxDay(5); day != 2 || !ok {
		t.Errorf("greatest day %d, %v", day, ok)
	}
}

// TestBudgetIsShared has accounts come one after the other: what one gave back is
// there for the next, wherever it falls. It is alone with its heap.
func TestBudgetIsShared(t *testing.T) {
	const accounts, days, budget, beside = 300, 20_000, 8 << 20, 5 << 20
	r := rollup.New(rollup.Config{MemoryBytes: budget, TempDir: t.TempDir()})
	defer r.Close()
	a := r.Adder()
	before := heap()
	for i := range accounts {
		for day := range int32(days) {
			if err := a.Add([]byte(strconv.Itoa(i)), day, 1, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	if held := heap() - before; held > budget+beside {
		t.Errorf("%d bytes are held, of a budget of %d", held, budget)
	}
	if err := errors.Join(a.Flush(), r.Finish()); err != nil {
		t.Fatal(err)
	}
	if _, groups := r.Len(); groups != accounts*days {
		t.Errorf("%d groups", groups)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	rows := spread(5000)
	r := rollup.New(rollup.Config{MemoryBytes: 1, TempDir: filepath.Join(t.TempDir(), "absent")})
	a := r.Adder()
	var err error
	for i := 0; err == nil && i < len(rows); i++ {
		err = a.Add([]byte(rows[i].account), rows[i].day, rows[i].amount, rows[i].revenue)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a folder for its files: %v", err)
	}
	if got := lastError(rollup.New(rollup.Config{})); got == nil {
		t.Error("sums can be read before Finish")
	}
	r = fillWith(t, rollup.Config{MemoryBytes: 1, TempDir: t.TempDir()}, 1, rows)
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if got := lastError(r); !errors.Is(got, os.ErrClosed) {
		t.Errorf("after Close: %v", got)
	}
}

func lastError(r *rollup.Rollup) (last error) {
	for _, err := range r.Accounts() {
		last = err
	}
	return last
}

// TestWideSums holds that sums beyond 64 bits survive a file, in both
// directions and back again.
func TestWideSums(t *testing.T) {
	t.Parallel()
	var rows []row
	for i := range 4000 {
		rows = append(rows, row{strconv.Itoa(i % 7), int32(i % 5), 1<<63 - 1, i%2 == 0}, row{strconv.Itoa(i % 11), int32(i % 3), -1 << 63, i%3 == 0})
	}
	want := reference(rows)
	for _, budget := range []int64{0, 1} {
		_, all := collect(t, fillWith(t, rollup.Config{MemoryBytes: budget, TempDir: t.TempDir()}, 2, rows))
		n := 0
		for _, a := range all {
			check(t, a, want)
			n += len(a.Days)
		}
		if n != len(want) {
			t.Errorf("budget %d: %d groups, want %d", budget, n, len(want))
		}
	}
	if !slices.ContainsFunc(rows, func(r row) bool { return want[key{r.account, r.day}].total.BitLen() > 63 }) {
		t.Error("no sum is beyond 64 bits")
	}
}
