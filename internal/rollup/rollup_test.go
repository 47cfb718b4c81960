package rollup_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"sluice/internal/rollup"
)

type row struct {
	account string
	day     int32
	amount  int64
	revenue bool
}

type key struct {
	account string
	day     int32
}

type sums struct {
	total, revenue *big.Int
	count          int64
}

// reference sums rows the slow way.
func reference(rows []row) map[key]*sums {
	all := map[key]*sums{}
	for _, r := range rows {
		s := all[key{r.account, r.day}]
		if s == nil {
			s = &sums{total: new(big.Int), revenue: new(big.Int)}
			all[key{r.account, r.day}] = s
		}
		s.total.Add(s.total, big.NewInt(r.amount))
		if r.revenue {
			s.revenue.Add(s.revenue, big.NewInt(r.amount))
		}
		s.count++
	}
	return all
}

// randomRows mixes few and many groups, rows of a group that follow each other,
// extreme amounts and days, and ids that order differently as bytes than as text.
func randomRows(r *rand.Rand, n int) []row {
	ids := []string{
		"", "0", "00", "A", "a", "Z", "é", "\xff", "10", "9", "a\x00", "ACC-1598451071", "\x00", "\x00\x00",
		"1234567", "12345678", "123456789", "123456789012345", "1234567890123456", "12345678901234567", "123456789012345\x00", "1234567890123456\x00",
		"DE02120300000000202051", "DE02120300000000202052", "DE0212030000000020205", strings.Repeat("long", 20), strings.Repeat("long", 20) + "er",
	}
	for i := range r.IntN(400) {
		ids = append(ids, fmt.Sprintf("%d", i))
	}
	days := 1 + r.Int32N(500)
	amounts := []int64{0, 1, -1, math.MaxInt64, math.MinInt64}
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{ids[r.IntN(len(ids))], r.Int32N(days) - 250, int64(r.Uint64()), r.IntN(2) == 0}
		if r.IntN(3) == 0 {
			rows[i].amount = amounts[r.IntN(len(amounts))]
		}
		if r.IntN(50) == 0 {
			rows[i].day = []int32{math.MinInt32, math.MaxInt32}[r.IntN(2)]
		}
		if i > 0 && r.IntN(2) == 0 {
			rows[i].account, rows[i].day = rows[i-1].account, rows[i-1].day
		}
	}
	return rows
}

func fill(t *testing.T, rows []row) *rollup.Rollup {
	t.Helper()
	return fillWith(t, rollup.Config{TempDir: t.TempDir()}, 1, rows)
}

// fillWith shares the rows out among so many Adders.
func fillWith(t *testing.T, cfg rollup.Config, adders int, rows []row) *rollup.Rollup {
	t.Helper()
	r := rollup.New(cfg)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	var g errgroup.Group
	for part := range adders {
		g.Go(func() error {
			a := r.Adder()
			var id []byte // overwritten by each row, as the parser does
			for i := part; i < len(rows); i += adders {
				id = append(id[:0], rows[i].account...)
				if err := a.Add(id, rows[i].day, rows[i].amount, rows[i].revenue); err != nil {
					return err
				}
			}
			return a.Flush()
		})
	}
	if err := errors.Join(g.Wait(), r.Finish()); err != nil {
		t.Fatal(err)
	}
	return r
}

func collect(t *testing.T, r *rollup.Rollup) (ids []string, all []rollup.Account) {
	t.Helper()
	for a, err := range r.Accounts() {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
		all = append(all, rollup.Account{ID: a.ID, Days: slices.Clone(a.Days)})
	}
	return ids, all
}

func TestAgreesWithBigIntegers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		rows := randomRows(rng, 1+rng.IntN(20_000))
		cfg := rollup.Config{TempDir: t.TempDir()}
		switch seed % 3 {
		case 1:
			cfg.MemoryBytes = 1 // a partition is written at every batch, and compacted now and then
		case 2:
			cfg.MemoryBytes = 100_000
		}
		r, want := fillWith(t, cfg, 1+int(seed%4), rows), reference(rows)
		ids, all := collect(t, r)
		if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
			t.Fatalf("seed %d: accounts are not ordered, or come twice", seed)
		}
		groups := 0
		for _, a := range all {
			groups += len(a.Days)
			check(t, a, want)
		}
		accounts, n := r.Len()
		if groups != len(want) || n != len(want) || accounts != len(ids) {
			t.Fatalf("seed %d: %d groups, Len %d, %d; want %d", seed, groups, accounts, n, len(want))
		}
	}
}

// TestHugeIDs has ids that fill a buffer of the Adder, and of a file, alone.
func TestHugeIDs(t *testing.T) {
	t.Parallel()
	var rows []row
	for i := range 300 {
		id := strings.Repeat("x", 1+i%7*40_000) + strconv.Itoa(i%11)
		rows = append(rows, row{id, int32(i % 3), int64(i), i%2 == 0})
	}
	want := reference(rows)
	for _, budget := range []int64{0, 1, 1 << 20} {
		r := fillWith(t, rollup.Config{MemoryBytes: budget, TempDir: t.TempDir()}, 2, rows)
		_, all := collect(t, r)
		for _, a := range all {
			check(t, a, want)
		}
		if accounts, groups := r.Len(); accounts != len(all) || groups != len(want) || (r.Spilled() > 0) != (budget > 0) {
			t.Errorf("budget %d: %d accounts, %d groups, %d bytes spilled", budget, accounts, groups, r.Spilled())
		}
	}
}

func check(t *testing.T, a rollup.Account, want map[key]*sums) {
	t.Helper()
	if !slices.IsSortedFunc(a.Days, func(x, y rollup.Day) int { return int(int64(x.Day) - int64(y.Day)) }) {
		t.Fatalf("days of %q are not ascending", a.ID)
	}
	for _, d := range a.Days {
		s := want[key{a.ID, d.Day}]
		if s == nil || d.Total.Big().Cmp(s.total) != 0 || d.Revenue.Big().Cmp(s.revenue) != 0 || d.Count != s.count {
			t.Fatalf("%q on %d: %+v, want %+v", a.ID, d.Day, d, s)
		}
	}
}

func TestOrderOfRowsMeansNothing(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 7))
	rows := randomRows(rng, 5000)
	_, want := collect(t, fill(t, rows))
	orders := map[string]func(a, b row) int{
		"by day":     func(a, b row) int { return int(int64(a.day) - int64(b.day)) },
		"days back":  func(a, b row) int { return int(int64(b.day) - int64(a.day)) },
		"by account": func(a, b row) int { return slices.Compare([]byte(a.account), []byte(b.account)) },
	}
	for name, order := range orders {
		slices.SortStableFunc(rows, order)
		if _, got := collect(t, fill(t, rows)); !equal(got, want) {
			t.Errorf("%s: other sums", name)
		}
	}
	for range 5 {
		rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		if _, got := collect(t, fill(t, rows)); !equal(got, want) {
			t.Error("shuffled: other sums")
		}
	}
}

func equal(a, b []rollup.Account) bool {
	return slices.EqualFunc(a, b, func(x, y rollup.Account) bool { return x.ID == y.ID && slices.Equal(x.Days, y.Days) })
}

func TestMaxDay(t *testing.T) {
	t.Parallel()
	r := fill(t, []row{{"a", 10, 1, true}, {"b", -5, 1, true}, {"a", 12, 1, true}})
	for _, c := range []struct {
		limit, day int32
		ok         bool
	}{
		{math.MaxInt32, 12, true}, {12, 12, true}, {11, 10, true}, {9, -5, true}, {-5, -5, true}, {-6, 0, false},
	} {
		if day, ok := r.MaxDay(c.limit); day != c.day || ok != c.ok {
			t.Errorf("MaxDay(%d) = %d, %v; want %d, %v", c.limit, day, ok, c.day, c.ok)
		}
	}
	if _, ok := rollup.New(rollup.Config{}).MaxDay(math.MaxInt32); ok {
		t.Error("an empty rollup has a greatest day")
	}
}

func BenchmarkAdd(b *testing.B) {
	const accounts, days = 1000, 90
	ids := make([][]byte, accounts)
	for i := range ids {
		ids[i] = fmt.Appendf(nil, "ACC-%010d", i*7919)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	orders := map[string]func(i int) (account int, day int32){
		"by-day":     func(i int) (int, int32) { return i % accounts, int32(i / accounts % days) },
		"by-account": func(i int) (int, int32) { return i / days % accounts, int32(i % days) },
		"random":     func(int) (int, int32) { return rng.IntN(accounts), rng.Int32N(days) },
	}
	for name, order := range orders {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			r := rollup.New(rollup.Config{})
			a := r.Adder()
			for i := 0; b.Loop(); i++ {
				account, day := order(i)
				if err := a.Add(ids[account], day, int64(i), i%2 == 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
