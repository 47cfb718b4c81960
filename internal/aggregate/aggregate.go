// Package aggregate writes and reads a job's aggregates: one Parquet object,
// ordered by account and date, of which one page costs one ranged read.
//
// It knows the columns and their order. It does not know how the sums came
// about, where the object lies, or who may read it.
package aggregate

import (
	"cmp"
	"strings"

	"github.com/parquet-go/parquet-go"

	"sluice/internal/money"
)

// Row is one aggregate: the sums of an account, of a day, or of both.
type Row struct {
	AccountID  string    // empty where HasAccount is false
	Day        int32     // days since 1970-01-01; 0 where HasDate is false
	HasAccount bool      // false in every row of a file grouped by date alone
	HasDate    bool      // false in every row of a file grouped by account alone
	Total      money.Int // minor units, within ±(10^38-1)
	Revenue    money.Int // minor units, within ±(10^38-1)
	Count      int64     // rows summed
}

// Cursor is the place of a row in the order of the file.
type Cursor struct {
	AccountID string
	Day       int32
}

// Cursor returns the place of r; Page(after) begins with the row behind it.
func (r *Row) Cursor() Cursor { return Cursor{AccountID: r.AccountID, Day: r.Day} }

// compare orders by the bytes of the account id, then by day.
func (c Cursor) compare(d Cursor) int {
	return cmp.Or(strings.Compare(c.AccountID, d.AccountID), cmp.Compare(c.Day, d.Day))
}

// Names of the columns, as downloads show them.
const (
	columnAccount = "account_id"
	columnDate    = "date"
	columnTotal   = "total_amount"
	columnRevenue = "revenue_amount"
	columnCount   = "transaction_count"
)

// Places of the columns: a parquet.Group orders its fields by name.
const (
	placeAccount = iota
	placeDate
	placeRevenue
	placeTotal
	placeCount
	places
)

func newSchema(exponent int) *parquet.Schema {
	return parquet.NewSchema("aggregate", parquet.Group{
		columnAccount: parquet.Encoded(parquet.Optional(parquet.String()), &parquet.RLEDictionary),
		columnDate:    parquet.Optional(parquet.Date()),
		columnTotal:   newDecimal(exponent),
		columnRevenue: newDecimal(exponent),
		columnCount:   parquet.Leaf(parquet.Int64Type),
	})
}

// decimalPrecision is the most digits of which every value fits 16 bytes.
const decimalPrecision = 38

// newDecimal is DECIMAL(38, exponent) in 16 bytes of two's complement.
func newDecimal(exponent int) parquet.Node {
	return parquet.Leaf(decimal{parquet.Decimal(exponent, decimalPrecision, parquet.FixedLenByteArrayType(16)).Type()})
}

// decimal keeps parquet-go from writing wrong bounds. It orders 16-byte values
// as unsigned, Parquet orders a DECIMAL as signed, so a reader that prunes by
// bounds would miss rows as soon as one amount is negative. The other bounds
// are switched off by options of the writer; the page index cannot be, and is
// given bounds that are wide and true.
type decimal struct{ parquet.Type }

func (d decimal) NewColumnIndexer(sizeLimit int) parquet.ColumnIndexer {
	return wideIndexer{d.Type.NewColumnIndexer(sizeLimit)}
}

type wideIndexer struct{ parquet.ColumnIndexer }

func (x wideIndexer) IndexPage(numValues, numNulls int64, _, _ parquet.Value) {
	least, greatest := amountLimit.Neg().Bytes(), amountLimit.Bytes()
	x.ColumnIndexer.IndexPage(numValues, numNulls,
		parquet.FixedLenByteArrayValue(least[:]), parquet.FixedLenByteArrayValue(greatest[:]))
}
