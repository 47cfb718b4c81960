package parser

import (
	"slices"
	"strings"
)

// Column is one of the columns a Reader knows, by its name in parse_config.
type Column string

// The columns. Amount is either given signed, or unsigned as Debit and Credit.
const (
	AccountID   Column = "account_id"
	Date        Column = "date"
	Amount      Column = "amount"
	IsRevenue   Column = "is_revenue"
	Description Column = "description"
	Debit       Column = "debit"
	Credit      Column = "credit"

	direction Column = "direction" // Config.Direction's column, among the others once it is found
)

// Ref points to a column of the file: by header name or, when Name is empty,
// by position.
type Ref struct {
	Name     string // compared as header names are: blanks, case, "_" and "-" do not count
	Position int    // 1-based
}

// Direction says which word of a column makes an unsigned amount positive
// (credit) or negative (debit).
type Direction struct {
	Column Ref
	Credit []string // compared exactly, but for blanks around the value
	Debit  []string
}

// Mode is what a rejected row means for its file.
type Mode string

// The modes of OnError.
const (
	Continue Mode = "continue" // reject rows, go on; the default
	Abort    Mode = "abort"    // without a limit, the first reject fails the file
)

// OnError limits the rejects of a file. A limit that is given holds in either
// mode; the mode says what holds when none is.
type OnError struct {
	Mode     Mode
	MaxRows  *int64   // more rejects than this fail the file at once; nil = no such limit
	MaxRatio *float64 // 0..1; a greater share of rejects fails the file at its end; nil = no such limit
}

// Config is parse_config, decoded. Its zero value reads UTF-8 in the
// dialect it finds, with the dates and amounts it finds, in whole units.
type Config struct {
	Encoding           string         // what the source was before it was transcoded; carried, not used here
	Delimiter          byte           // 0 = sniffed among , ; TAB |
	HasHeader          *bool          // nil = true; false needs Columns by position
	HeaderLine         int            // 1-based line of the header, at most 10,000; 0 = looked for in the first 64 records
	Columns            map[Column]Ref // what is not named here is found by header name
	AccountID          string         // account of every row, for files without such a column
	DateFormat         string         // tokens YYYY YY MMM MM M DD D between separators; "" = YYYY-MM-DD, or found out
	DecimalSeparator   byte           // '.' or ','; 0 = '.', or found out
	ThousandsSeparator byte           // one of , . ' _ and space; 0 = none, or found out
	Direction          *Direction     // nil = amounts carry their sign, unless a column of a known name says that it gives it
	Ragged             bool           // rows may have more or fewer fields than the header, if they hold the columns that are read
	OnError            OnError
	DryRun             bool // carried for the caller: no offers are to be written
	CurrencyExponent   int  // decimals of the minor unit, 0..6; ParseConfig sets 2
	NoAccount          bool // no account is read (group_by ["date"])
	BlockBytes         int  // bytes asked of the source at a time, 1 to 16 MiB; 0 = 256 KiB
}

const (
	defaultExponent   = 2
	maxExponent       = 6
	maxHeaderLine     = 10_000
	defaultBlockBytes = 256 << 10
	maxBlockBytes     = 16 << 20
)

func (c *Config) hasHeader() bool { return c.HasHeader == nil || *c.HasHeader }

// check reports the first setting that is wrong or contradicts another.
func (c *Config) check() error {
	switch {
	case c.Delimiter != 0 && !isDelimiter(c.Delimiter):
		return configErrorf("delimiter", "want one ASCII punctuation mark other than the quote, or a TAB")
	case c.HeaderLine < 0 || c.HeaderLine > maxHeaderLine:
		return configErrorf("header_line", "want 1 to %d", maxHeaderLine)
	case c.HeaderLine > 0 && !c.hasHeader():
		return configErrorf("header_line", "contradicts has_header false")
	case c.DecimalSeparator != 0 && c.DecimalSeparator != '.' && c.DecimalSeparator != ',':
		return configErrorf("decimal_separator", `want "." or ","`)
	case c.ThousandsSeparator != 0 && strings.IndexByte(",.'_ ", c.ThousandsSeparator) < 0:
		return configErrorf("thousands_separator", `want one of , . ' _ and space`)
	case c.ThousandsSeparator != 0 && c.ThousandsSeparator == orElse(c.DecimalSeparator, '.'):
		return configErrorf("thousands_separator", "is the decimal separator")
	case c.CurrencyExponent < 0 || c.CurrencyExponent > maxExponent:
		return configErrorf("currency_exponent", "want 0 to %d", maxExponent)
	case c.BlockBytes < 0 || c.BlockBytes > maxBlockBytes:
		return configErrorf("block_bytes", "want 1 to %d", maxBlockBytes)
	}
	if _, err := compileDateForm(c.DateFormat); err != nil {
		return err
	}
	if err := c.checkColumns(); err != nil {
		return err
	}
	if err := c.checkDirection(); err != nil {
		return err
	}
	return c.OnError.check()
}

func (c *Config) checkColumns() error {
	for column, ref := range c.Columns {
		if err := c.checkRef("columns."+string(column), ref); err != nil {
			return err
		}
	}
	_, account := c.Columns[AccountID]
	_, amount := c.Columns[Amount]
	_, date := c.Columns[Date]
	split := c.splitAmount()
	switch {
	case account && c.AccountID != "":
		return configErrorf("account_id", "contradicts columns.account_id")
	case amount && split:
		return configErrorf("columns.amount", "contradicts columns.debit and columns.credit")
	case split && c.Direction != nil:
		return configErrorf("direction", "contradicts columns.debit and columns.credit")
	case c.hasHeader():
		return nil
	case !date:
		return configErrorf("columns.date", "is needed where has_header is false")
	case !amount && !split:
		return configErrorf("columns.amount", "is needed where has_header is false")
	case !account && c.AccountID == "" && !c.NoAccount:
		return configErrorf("columns.account_id", "is needed where has_header is false")
	}
	return nil
}

// splitAmount reports whether Columns names debit or credit.
func (c *Config) splitAmount() bool {
	_, debit := c.Columns[Debit]
	_, credit := c.Columns[Credit]
	return debit || credit
}

func (c *Config) checkRef(field string, ref Ref) error {
	switch {
	case ref.Name != "" && ref.Position != 0:
		return configErrorf(field, "want a header name or a position, not both")
	case ref.Name == "" && (ref.Position < 1 || ref.Position > maxFields):
		return configErrorf(field, "want a header name or a position from 1 to %d", maxFields)
	case ref.Name != "" && foldName(ref.Name) == "":
		return configErrorf(field, "the header name is blank")
	case ref.Name != "" && !c.hasHeader():
		return configErrorf(field, "want a position, as has_header is false")
	}
	return nil
}

func (c *Config) checkDirection() error {
	d := c.Direction
	if d == nil {
		return nil
	}
	if err := c.checkRef("direction.column", d.Column); err != nil {
		return err
	}
	if len(d.Credit) == 0 && len(d.Debit) == 0 {
		return configErrorf("direction", "names no word for credit or debit")
	}
	for _, word := range d.Debit {
		if slices.Contains(d.Credit, word) {
			return configErrorf("direction.debit", "%q is also a word for credit", word)
		}
	}
	return nil
}

func (o *OnError) check() error {
	switch {
	case o.Mode != "" && o.Mode != Continue && o.Mode != Abort:
		return configErrorf("on_error.mode", `want "continue" or "abort"`)
	case o.MaxRows != nil && *o.MaxRows < 0:
		return configErrorf("on_error.max_rows", "want 0 or more")
	case o.MaxRatio != nil && !(*o.MaxRatio >= 0 && *o.MaxRatio <= 1): // so that NaN is caught
		return configErrorf("on_error.max_ratio", "want 0 to 1")
	}
	return nil
}

// isDelimiter reports whether c can separate fields: a TAB, or ASCII
// punctuation that no amount or date begins with and that is no quote.
func isDelimiter(c byte) bool {
	return c == '\t' || c > ' ' && c < 0x7f && c != '"' && !isAlphanumeric(c)
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func orElse(c, otherwise byte) byte {
	if c == 0 {
		return otherwise
	}
	return c
}
