package aggregate

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"sluice/internal/money"
)

// ErrFormat is returned by Open for a file that Writer did not write.
var ErrFormat = errors.New("not a file of aggregates")

// tailBytes is read at once when a file is opened; it holds the whole footer
// of about 100 row groups (2 million rows).
const tailBytes = 64 << 10

// File reads what Writer wrote. It is for one goroutine at a time.
type File struct {
	window   *window
	groups   []parquet.RowGroup
	extents  []extent
	exponent int
}

// Open reads the footer of a file of size bytes: one read, or two when it has
// more than some 2 million rows. r must stay readable while File is in use.
func Open(r io.ReaderAt, size int64) (*File, error) {
	w := &window{r: r}
	p, err := parquet.OpenFile(w, size, parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true),
		parquet.SkipBloomFilters(true), parquet.OptimisticRead(true), parquet.ReadBufferSize(tailBytes))
	if err != nil {
		return nil, fmt.Errorf("open aggregates: %w", err)
	}
	exponent, ok := scale(p.Metadata())
	if !ok {
		return nil, fmt.Errorf("open aggregates: %w", ErrFormat)
	}
	f := &File{window: w, groups: p.RowGroups(), exponent: exponent}
	for i, g := range f.groups {
		f.extents = append(f.extents, newExtent(g, &p.Metadata().RowGroups[i]))
	}
	return f, nil
}

// scale finds the currency's exponent, and whether the columns are ours.
func scale(m *format.FileMetaData) (exponent int, ok bool) {
	names := [places]string{columnAccount, columnDate, columnRevenue, columnTotal, columnCount}
	if len(m.Schema) != 1+places { // the first element is the root
		return 0, false
	}
	for i, name := range names {
		if m.Schema[1+i].Name != name {
			return 0, false
		}
	}
	logical, ok := m.Schema[1+placeTotal].LogicalType.Value.(*format.DecimalType)
	if !ok {
		return 0, false
	}
	return int(logical.Scale), true
}

// Exponent returns the number of decimals of the amounts.
func (f *File) Exponent() int { return f.exponent }

// All yields every row in order, or those of one account when account is not
// nil. It reads one row group at a time, each once, and ends after an error.
func (f *File) All(account *string) iter.Seq2[Row, error] { return f.rows(nil, account) }

// Page returns the first limit rows behind after (nil: from the start), of one
// account when account is not nil. Fewer than limit rows are the last ones.
func (f *File) Page(after *Cursor, account *string, limit int) ([]Row, error) {
	var page []Row
	if limit <= 0 {
		return nil, nil
	}
	for row, err := range f.rows(after, account) {
		if err != nil {
			return nil, err
		}
		if page = append(page, row); len(page) == limit {
			break
		}
	}
	return page, nil
}

func (f *File) rows(after *Cursor, account *string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for i := range f.groups {
			if !f.extents[i].wanted(after, account) {
				continue
			}
			for row, err := range f.group(i) {
				if err == nil && (after != nil && row.Cursor().compare(*after) <= 0 || account != nil && !row.of(*account)) {
					continue
				}
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

func (r *Row) of(account string) bool { return r.HasAccount && r.AccountID == account }

// batch is the number of rows decoded at a time.
const batch = 256

// group yields the rows of one row group, fetched in one read.
func (f *File) group(i int) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := f.window.load(f.extents[i].offset, f.extents[i].length); err != nil {
			yield(Row{}, fmt.Errorf("read aggregates: %w", err))
			return
		}
		rows := f.groups[i].Rows()
		defer rows.Close()
		var row Row
		buf := make([]parquet.Row, batch)
		for {
			n, err := rows.ReadRows(buf)
			for _, values := range buf[:n] {
				if row.set(values); !yield(row, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Row{}, fmt.Errorf("read aggregates: %w", err))
				return
			}
		}
	}
}

// set reads a row over the one before it, whose id it shares when it can: an
// account has many days.
func (r *Row) set(v parquet.Row) {
	if id := v[placeAccount].ByteArray(); r.AccountID != string(id) {
		r.AccountID = string(id)
	}
	r.HasAccount, r.HasDate = !v[placeAccount].IsNull(), !v[placeDate].IsNull()
	if r.HasDate {
		r.Day = v[placeDate].Int32()
	}
	r.Revenue = money.FromBytes([16]byte(v[placeRevenue].ByteArray()))
	r.Total = money.FromBytes([16]byte(v[placeTotal].ByteArray()))
	r.Count = v[placeCount].Int64()
}

// extent is where a row group lies, and between which rows.
type extent struct {
	offset, length int64
	least          Cursor
	greatest       Cursor
}

func newExtent(g parquet.RowGroup, m *format.RowGroup) extent {
	e := extent{offset: math.MaxInt64}
	var end int64
	for _, c := range m.Columns {
		start := c.MetaData.DataPageOffset
		if d := c.MetaData.DictionaryPageOffset; d > 0 {
			start = min(start, d)
		}
		e.offset, end = min(e.offset, start), max(end, start+c.MetaData.TotalCompressedSize)
	}
	e.length = end - e.offset
	columns := g.ColumnChunks()
	if least, greatest, ok := columns[placeAccount].(*parquet.FileColumnChunk).Bounds(); ok {
		e.least.AccountID, e.greatest.AccountID = string(least.ByteArray()), string(greatest.ByteArray())
	}
	if least, greatest, ok := columns[placeDate].(*parquet.FileColumnChunk).Bounds(); ok {
		e.least.Day, e.greatest.Day = least.Int32(), greatest.Int32()
	}
	return e
}

// wanted tells whether the group can hold a row behind after, of account. The
// bounds of the days are of all accounts of the group together, so the extent
// may be wider than its rows are, and never narrower.
func (e *extent) wanted(after *Cursor, account *string) bool {
	if after != nil && e.greatest.compare(*after) <= 0 {
		return false
	}
	return account == nil || e.least.AccountID <= *account && *account <= e.greatest.AccountID
}

// window is an io.ReaderAt that serves one range from memory: a row group is
// five column chunks side by side, and one request for all of them.
type window struct {
	r      io.ReaderAt
	offset int64
	data   []byte
}

func (w *window) load(offset, length int64) error {
	if w.offset == offset && int64(len(w.data)) == length {
		return nil
	}
	data := make([]byte, length)
	if n, err := w.r.ReadAt(data, offset); int64(n) < length {
		return err
	}
	w.offset, w.data = offset, data
	return nil
}

// ReadAt serves what load fetched, and passes anything else on.
func (w *window) ReadAt(p []byte, offset int64) (int, error) {
	if i := offset - w.offset; i >= 0 && i+int64(len(p)) <= int64(len(w.data)) {
		return copy(p, w.data[i:]), nil
	}
	return w.r.ReadAt(p, offset)
}
