package parser

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Record is one transaction, whole and exact.
type Record struct {
	Account []byte // as written but for surrounding blanks; nil under NoAccount. Valid until the next Read
	Day     int32  // civil date: days since 1970-01-01, proleptic Gregorian, years 1 to 9999
	Amount  int64  // minor units, negative for a debit
	Revenue bool   // the is_revenue column, else Amount > 0
	Line    int64  // 1-based line on which the record begins
	Offset  int64  // bytes before the record in the stream given to NewReader, a byte order mark included
}

// Reason names why a row is rejected.
type Reason string

// The reasons. Where several apply, the one listed first is given; within the
// values the order is account_id, date, direction, amount, is_revenue.
const (
	RecordTooLong Reason = "record_too_long" // over 4 MiB without its line end
	FieldTooLong  Reason = "field_too_long"  // a field over 1 MiB as written, quotes included
	BareQuote     Reason = "bare_quote"      // a quote inside an unquoted field, or text after a closing quote
	MissingField  Reason = "missing_field"   // fewer fields than the header
	TooManyFields Reason = "too_many_fields" // more fields than the header
	EmptyField    Reason = "empty_field"     // account_id, date or amount empty or blank
	NULByte       Reason = "nul_byte"        // in account_id
	InvalidUTF8   Reason = "invalid_utf8"    // in account_id
	BadDate       Reason = "bad_date"        // not a real day in the file's form
	BadDirection  Reason = "bad_direction"   // a word in neither list of Config.Direction
	BadAmount     Reason = "bad_amount"      // not a number in the file's form, or more decimals than the currency has
	OutOfRange    Reason = "out_of_range"    // does not fit 64-bit minor units
	BadBool       Reason = "bad_bool"        // is_revenue is none of its words
)

// maxShown is how many characters of a value a Reject shows (PARSING.md).
const maxShown = 64

// Reject is a row that is not booked, and why. It belongs to the Reader and is
// valid, with all it holds, until the function it was handed to returns.
type Reject struct {
	Line, Offset int64 // as in Record
	Reason       Reason
	Column       string   // the offending column as the header spells it, cut like Value, else its known name; "" when no one column is at fault
	Value        string   // the offending value: at most 64 characters, valid UTF-8, "…" at the end of one cut
	Fields       [][]byte // the row's own columns in their order, unquoted; a field with a bare quote stays as written
	Truncated    bool     // Fields is not the whole row: over 4 MiB, or over 16,384 fields

	got, want int // fields of the row and of the header
}

// Detail says in words which column is at fault and what it holds.
func (r *Reject) Detail() string {
	switch r.Reason {
	case MissingField, TooManyFields:
		return fmt.Sprintf("%d fields where the header has %d", r.got, r.want)
	case RecordTooLong:
		return fmt.Sprintf("row over %d bytes, cut", maxRecordBytes)
	case EmptyField:
		return r.Column + " is empty"
	}
	return r.Column + ": " + r.Value
}

// shown returns at most maxShown characters of b, fit for a sentence.
func shown(b []byte) string {
	end, n := 0, 0
	for end < len(b) && n < maxShown {
		_, size := utf8.DecodeRune(b[end:])
		end += size
		n++
	}
	cut := ""
	if end < len(b) {
		// The mark takes the place of the last character, so that 64 stays the limit.
		_, size := utf8.DecodeLastRune(b[:end])
		end -= size
		cut = "…"
	}
	return strings.ToValidUTF8(string(b[:end]), "\uFFFD") + cut
}
