package aggregate_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"sluice/internal/aggregate"
	"sluice/internal/money"
)

const groupRows = 100 // small, so that few rows make many row groups

// wide returns ±(10^38-1), the ends of DECIMAL(38).
func wide(t testing.TB, sign int64) money.Int {
	t.Helper()
	v := new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)
	i, ok := money.FromBig(v.Sub(v, big.NewInt(1)).Mul(v, big.NewInt(sign)))
	if !ok {
		t.Fatal("10^38-1 does not fit")
	}
	return i
}

// rowsOf makes accounts with the given numbers of days.
func rowsOf(days ...int) []aggregate.Row {
	var rows []aggregate.Row
	for a, n := range days {
		for d := range n {
			rows = append(rows, aggregate.Row{
				AccountID: fmt.Sprintf("ACC-%05d", a), HasAccount: true, Day: int32(d*2 - 40), HasDate: true,
				Total: money.FromInt64(int64(a*d) - 1000), Revenue: money.FromInt64(int64(d)), Count: int64(d + 1),
			})
		}
	}
	return rows
}

// mixed has accounts that share row groups, fill one exactly, and span several.
func mixed() []aggregate.Row { return rowsOf(1, 30, 69, 100, 350, 1, 2, 500, 7) }

func write(t testing.TB, cfg aggregate.Config, rows []aggregate.Row) []byte {
	t.Helper()
	var out bytes.Buffer
	w := aggregate.NewWriter(&out, cfg)
	for part := range slices.Chunk(rows, 37) {
		if err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// counter counts the reads of a file, each of which is a request to S3.
type counter struct {
	*bytes.Reader
	reads int
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.Reader.ReadAt(p, off)
}

func open(t testing.TB, file []byte) (*aggregate.File, *counter) {
	t.Helper()
	c := &counter{Reader: bytes.NewReader(file)}
	f, err := aggregate.Open(c, int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return f, c
}

func all(t testing.TB, f *aggregate.File, account *string) []aggregate.Row {
	t.Helper()
	var rows []aggregate.Row
	for row, err := range f.All(account) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// paged reads everything a page at a time, as REST does.
func paged(t *testing.T, f *aggregate.File, account *string, limit int) []aggregate.Row {
	t.Helper()
	var rows []aggregate.Row
	var after *aggregate.Cursor
	for {
		page, err := f.Page(after, account, limit)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, page...)
		if len(page) < limit {
			return rows
		}
		at := page[len(page)-1].Cursor()
		after = &at
	}
}

func diff(t *testing.T, name string, want, got []aggregate.Row) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b money.Int) bool { return a == b })); d != "" {
		t.Errorf("%s (-want +got):\n%.2000s", name, d)
	}
}

func TestReadsBackWhatWasWritten(t *testing.T) {
	t.Parallel()
	extremes := []aggregate.Row{
		{AccountID: "\x00", HasAccount: true, HasDate: true, Day: -719162, Total: wide(t, -1), Revenue: wide(t, 1), Count: 1 << 62},
		{AccountID: "a", HasAccount: true, HasDate: true, Day: 2932896, Total: money.FromInt64(-1)},
		{AccountID: "é", HasAccount: true, HasDate: true, Total: wide(t, 1), Revenue: wide(t, -1)},
	}
	byDate, byAccount := rowsOf(250), rowsOf(slices.Repeat([]int{1}, 250)...)
	for i := range byDate {
		byDate[i].AccountID, byDate[i].HasAccount = "", false
		byAccount[i].Day, byAccount[i].HasDate = 0, false
	}
	for name, rows := range map[string][]aggregate.Row{
		"none": nil, "extremes": extremes, "accounts and days": mixed(), "days": byDate, "accounts": byAccount,
	} {
		f, _ := open(t, write(t, aggregate.Config{Exponent: 3, RowGroupRows: groupRows}, rows))
		if f.Exponent() != 3 {
			t.Errorf("%s: exponent %d", name, f.Exponent())
		}
		diff(t, name, rows, all(t, f, nil))
		for _, limit := range []int{1, 7, 1000} {
			diff(t, fmt.Sprintf("%s by %d", name, limit), rows, paged(t, f, nil, limit))
		}
	}
}

func TestAccountFilter(t *testing.T) {
	t.Parallel()
	rows := mixed()
	f, _ := open(t, write(t, aggregate.Config{RowGroupRows: groupRows}, rows))
	for _, id := range []string{"ACC-00000", "ACC-00003", "ACC-00004", "ACC-00007", "ACC-00008", "ACC", "ACC-00004x", "Z", ""} {
		var want []aggregate.Row
		for _, r := range rows {
			if r.AccountID == id {
				want = append(want, r)
			}
		}
		diff(t, id, want, all(t, f, &id))
		for _, limit := range []int{1, 7, 1000} {
			diff(t, fmt.Sprintf("%s by %d", id, limit), want, paged(t, f, &id, limit))
		}
	}
	if page, err := f.Page(nil, nil, 0); err != nil || len(page) != 0 {
		t.Errorf("a page of no rows has %d rows, %v", len(page), err)
	}
}

// TestReads holds the promise that one account is one read, however many row
// groups there are and wherever in its rows a page begins.
func TestReads(t *testing.T) {
	t.Parallel()
	file := write(t, aggregate.Config{RowGroupRows: groupRows}, rowsOf(slices.Repeat([]int{50}, 100)...))
	f, c := open(t, file)
	if c.reads != 1 {
		t.Errorf("%d reads to open a file", c.reads)
	}
	for _, id := range []string{"ACC-00000", "ACC-00049", "ACC-00099"} {
		before := c.reads
		if got := len(all(t, f, &id)); got != 50 || c.reads != before+1 {
			t.Errorf("%s: %d rows in %d reads", id, got, c.reads-before)
		}
	}
	f, c = open(t, write(t, aggregate.Config{RowGroupRows: groupRows}, rowsOf(5000)))
	before := c.reads
	page, err := f.Page(&aggregate.Cursor{AccountID: "ACC-00000", Day: 4449*2 - 40}, nil, 50)
	if err != nil || len(page) != 50 || page[0].Day != 4450*2-40 || c.reads != before+1 {
		t.Errorf("page within a long account: %d rows, %d reads, %v", len(page), c.reads-before, err)
	}
}

// TestOthersCanRead reads the file by its names and types alone, as any tool would.
func TestOthersCanRead(t *testing.T) {
	t.Parallel()
	type record struct {
		Account *string  `parquet:"account_id,optional"`
		Date    *int32   `parquet:"date,optional,date"`
		Total   [16]byte `parquet:"total_amount"`
		Revenue [16]byte `parquet:"revenue_amount"`
		Count   int64    `parquet:"transaction_count"`
	}
	rows := mixed()
	file := write(t, aggregate.Config{Exponent: 2, RowGroupRows: groupRows}, rows)
	r := parquet.NewGenericReader[record](bytes.NewReader(file))
	defer r.Close()
	got := make([]record, len(rows))
	if n, err := r.Read(got); n != len(rows) || err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("read %d of %d rows: %v", n, len(rows), err)
	}
	for i, g := range got {
		w := rows[i]
		if *g.Account != w.AccountID || *g.Date != w.Day || money.FromBytes(g.Total) != w.Total || money.FromBytes(g.Revenue) != w.Revenue || g.Count != w.Count {
			t.Fatalf("row %d: %+v, want %+v", i, g, w)
		}
	}
}

// TestBoundsAreTrue holds that no bound in the file excludes a value that is
// there, in the order Parquet gives a DECIMAL: signed.
func TestBoundsAreTrue(t *testing.T) {
	t.Parallel()
	file := write(t, aggregate.Config{RowGroupRows: groupRows}, mixed()) // totals of -1000 to 2493
	p, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range p.Metadata().RowGroups {
		for _, c := range g.Columns[2:4] {
			if s := c.MetaData.Statistics; s.MinValue != nil || s.MaxValue != nil || s.Min != nil || s.Max != nil {
				t.Errorf("%v has bounds that are ordered as unsigned", c.MetaData.PathInSchema)
			}
		}
	}
	for _, index := range p.ColumnIndexes() {
		if len(index.MinValues) != len(index.NullPages) || len(index.MaxValues) != len(index.NullPages) {
			t.Fatalf("a page index of %d pages has %d and %d bounds", len(index.NullPages), len(index.MinValues), len(index.MaxValues))
		}
		for i := range index.MinValues {
			if len(index.MinValues[i]) == 16 && len(index.MaxValues[i]) == 16 {
				least, greatest := money.FromBytes([16]byte(index.MinValues[i])), money.FromBytes([16]byte(index.MaxValues[i]))
				if least.Cmp(money.FromInt64(-1000)) > 0 || greatest.Cmp(money.FromInt64(2493)) < 0 {
					t.Errorf("page %d is bounded by %s and %s", i, least, greatest)
				}
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	row := func(id string, day int32) aggregate.Row {
		return aggregate.Row{AccountID: id, HasAccount: true, Day: day, HasDate: true}
	}
	huge := row("b", 2)
	huge.Revenue = wide(t, -1).AddInt64(-1)
	for name, c := range map[string]struct {
		row  aggregate.Row
		want error
	}{
		"same place":        {row("b", 1), aggregate.ErrOrder},
		"day before":        {row("b", 0), aggregate.ErrOrder},
		"account before":    {row("a", 9), aggregate.ErrOrder},
		"more than DECIMAL": {huge, aggregate.ErrRange},
	} {
		w := aggregate.NewWriter(io.Discard, aggregate.Config{})
		if err := w.Write([]aggregate.Row{row("b", 1), c.row}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	var other bytes.Buffer
	if err := parquet.Write(&other, []struct{ A, B int }{{1, 2}}); err != nil {
		t.Fatal(err)
	}
	if _, err := aggregate.Open(bytes.NewReader(other.Bytes()), int64(other.Len())); !errors.Is(err, aggregate.ErrFormat) {
		t.Errorf("another Parquet file: %v", err)
	}
	whole := write(t, aggregate.Config{}, mixed())
	for _, n := range []int{0, 7, len(whole) / 2, len(whole) - 1} {
		if _, err := aggregate.Open(bytes.NewReader(whole[:n]), int64(n)); err == nil {
			t.Errorf("a file cut to %d bytes was opened", n)
		}
	}
}

// torn fails once cut is set.
type torn struct {
	*bytes.Reader
	cut bool
}

var errTorn = errors.New("torn")

func (r *torn) ReadAt(p []byte, off int64) (int, error) {
	if r.cut {
		return 0, errTorn
	}
	return r.Reader.ReadAt(p, off)
}

func TestErrorOfTheSource(t *testing.T) {
	t.Parallel()
	file := write(t, aggregate.Config{}, mixed())
	source := &torn{Reader: bytes.NewReader(file)}
	f, err := aggregate.Open(source, source.Size())
	if err != nil {
		t.Fatal(err)
	}
	source.cut = true
	if _, err := f.Page(nil, nil, 10); !errors.Is(err, errTorn) {
		t.Errorf("page: %v", err)
	}
	source.cut = false
	if page, err := f.Page(nil, nil, 10); err != nil || len(page) != 10 {
		t.Errorf("page after the source came back: %d rows, %v", len(page), err)
	}
}

func BenchmarkWrite(b *testing.B) {
	rows := rowsOf(slices.Repeat([]int{30}, 3200)...)
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(write(b, aggregate.Config{Exponent: 2}, rows))))
	}
	b.ReportMetric(float64(len(rows)*b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkPage(b *testing.B) {
	file := write(b, aggregate.Config{Exponent: 2}, rowsOf(slices.Repeat([]int{30}, 3200)...))
	b.ReportAllocs()
	id := "ACC-01600"
	for b.Loop() {
		f, err := aggregate.Open(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			b.Fatal(err)
		}
		if page, err := f.Page(nil, &id, 100); err != nil || len(page) != 30 {
			b.Fatal(len(page), err)
		}
	}
}
