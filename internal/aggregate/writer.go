package aggregate

import (
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/parquet-go/parquet-go"

	"sluice/internal/money"
)

// Errors of Write, which is a fault of the caller's, not of the file.
var (
	ErrOrder = errors.New("aggregate not behind the one before it")
	ErrRange = errors.New("aggregate has more than 38 digits")
)

// DefaultRowGroupRows is some 300 KB compressed: small enough to be read for
// one account, large enough that a scan of the file is few reads.
const DefaultRowGroupRows = 20_000

// amountLimit is 10^38-1, the greatest DECIMAL(38).
var amountLimit = func() money.Int {
	ten38 := new(big.Int).Exp(big.NewInt(10), big.NewInt(decimalPrecision), nil)
	limit, _ := money.FromBig(ten38.Sub(ten38, big.NewInt(1)))
	return limit
}()

// Config of a Writer.
type Config struct {
	// Exponent is the number of decimals of the currency, 0 to 6.
	Exponent int
	// RowGroupRows is the number of rows read together. Default 20,000.
	RowGroupRows int
}

// Writer writes rows in order. It holds one row group in memory, and is for
// one goroutine at a time.
type Writer struct {
	out    *parquet.GenericWriter[any]
	begun  bool
	last   Cursor // of the last row, once begun
	values []parquet.Value
	bytes  []byte // what the values point to
	rows   []parquet.Row
}

// NewWriter returns a Writer to w, which it does not close.
func NewWriter(w io.Writer, cfg Config) *Writer {
	if cfg.RowGroupRows <= 0 {
		cfg.RowGroupRows = DefaultRowGroupRows
	}
	return &Writer{out: parquet.NewGenericWriter[any](w,
		newSchema(cfg.Exponent),
		parquet.Compression(&parquet.Zstd),
		parquet.MaxRowsPerRowGroup(int64(cfg.RowGroupRows)),
		parquet.SortingWriterConfig(parquet.SortingColumns(parquet.Ascending(columnAccount), parquet.Ascending(columnDate))),
		parquet.SkipPageBounds(columnTotal), parquet.SkipPageBounds(columnRevenue),
		parquet.SkipPageStatistics(columnTotal), parquet.SkipPageStatistics(columnRevenue),
	)}
}

// Write appends rows, each behind the one before it in account and day, or it
// is ErrOrder. It keeps nothing of rows but an account id.
func (w *Writer) Write(rows []Row) error {
	w.values, w.rows, w.bytes = w.values[:0], w.rows[:0], w.bytes[:0]
	for i := range rows {
		if err := w.check(&rows[i]); err != nil {
			return err
		}
		w.append(&rows[i])
	}
	for i := range rows {
		w.rows = append(w.rows, w.values[i*places:(i+1)*places:(i+1)*places])
	}
	if _, err := w.out.WriteRows(w.rows); err != nil {
		return fmt.Errorf("write aggregates: %w", err)
	}
	return nil
}

func (w *Writer) check(r *Row) error {
	at := r.Cursor()
	if w.begun && w.last.compare(at) >= 0 {
		return fmt.Errorf("write account %.64q, day %d: %w", r.AccountID, r.Day, ErrOrder)
	}
	w.begun, w.last = true, at
	for _, amount := range []money.Int{r.Total, r.Revenue} {
		if amount.Cmp(amountLimit) > 0 || amount.Cmp(amountLimit.Neg()) < 0 {
			return fmt.Errorf("write account %.64q, day %d: %w", r.AccountID, r.Day, ErrRange)
		}
	}
	return nil
}

func (w *Writer) append(r *Row) {
	account := parquet.NullValue().Level(0, 0, placeAccount)
	if r.HasAccount {
		account = parquet.ByteArrayValue(w.keep(r.AccountID)).Level(0, 1, placeAccount)
	}
	date := parquet.NullValue().Level(0, 0, placeDate)
	if r.HasDate {
		date = parquet.Int32Value(r.Day).Level(0, 1, placeDate)
	}
	w.values = append(
		w.values, account, date,
		w.amount(r.Revenue).Level(0, 0, placeRevenue),
		w.amount(r.Total).Level(0, 0, placeTotal),
		parquet.Int64Value(r.Count).Level(0, 0, placeCount),
	)
}

func (w *Writer) amount(v money.Int) parquet.Value {
	b := v.Bytes()
	return parquet.FixedLenByteArrayValue(w.keep(string(b[:])))
}

// keep copies s to where a value may point until the rows are written. Values
// of before the buffer grew point into the old one, which they keep alive.
func (w *Writer) keep(s string) []byte {
	n := len(w.bytes)
	w.bytes = append(w.bytes, s...)
	return w.bytes[n:]
}

// Close writes what is left and the footer. A file without a Close, or whose
// Close gave an error, cannot be read.
func (w *Writer) Close() error {
	if err := w.out.Close(); err != nil {
		return fmt.Errorf("close aggregates: %w", err)
	}
	return nil
}
