package parser_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/parser"
)

// bankFormat is what an importer's configuration, or a sample, tells of a
// bank's export. Positions are from 0.
type bankFormat struct {
	ID          int
	Bank        string
	Country     string
	Delimiter   string
	Skip        int            // lines before the rows, the header among them; in a sample, before the header
	Observed    bool           // a sample told it
	Header      []string       // as written, where that is known
	Headerless  bool           // there is none, for sure
	Width       int            // columns
	Columns     map[string]int // account, date, amount, debit, credit, indicator
	Style       string
	CreditWords []string `json:"credit_words"`
	DebitWords  []string `json:"debit_words"`
	DateFormat  string   `json:"date_format"` // strptime's, PHP's or ours
	Decimal     string   // where it is known
	Thousands   string
}

// bankDate is a date as the format's importer writes forms, in Go's and in ours.
type bankDate struct{ layout, format string }

// dateTokens are strptime's and PHP's, and the rest of what the list has.
var (
	goDates  = strings.NewReplacer("%d", "02", "%m", "01", "%Y", "2006", "%y", "06", "%b", "Jan", "%-m", "1", "%-d", "2", "%F", "2006-01-02", "%H:%M:%S", "15:04:05", "%T", "15:04:05", "%H:%M", "15:04", "%z", "+0000", "DD", "02", "*D", "2", "MM", "01", "*M", "1", "YYYY", "2006", "YY", "06")
	ourDates = strings.NewReplacer("%d", "DD", "%m", "MM", "%Y", "YYYY", "%y", "YY", "%b", "MMM", "%-m", "M", "%-d", "D", "%F", "YYYY-MM-DD", "%H:%M:%S", "HH:MM:SS", "%T", "HH:MM:SS", "%H:%M", "HH:MM", " %z", "", " +0000", "", "*D", "D", "*M", "M")
	goPHP    = strings.NewReplacer("d", "02", "j", "2", "m", "01", "n", "1", "M", "Jan", "Y", "2006", "y", "06", "H:i:s", "15:04:05", "H:i", "15:04", ".v", ".000")
	ourPHP   = strings.NewReplacer("d", "DD", "j", "D", "m", "MM", "n", "M", "M", "MMM", "Y", "YYYY", "y", "YY", "H:i:s", "HH:MM:SS", "H:i", "HH:MM", ".v", "")
)

func (f *bankFormat) date() bankDate {
	if php, ok := strings.CutPrefix(f.DateFormat, "php:"); ok {
		php = strings.TrimPrefix(php, "fr:")
		return bankDate{layout: goPHP.Replace(php), format: ourPHP.Replace(php)}
	}
	return bankDate{layout: goDates.Replace(f.DateFormat), format: ourDates.Replace(f.DateFormat)}
}

// bankRows are booked in every format. Each day is past the twelfth, and each
// amount has decimals: so the files say by themselves how they are to be read.
var bankRows = []struct {
	day      string
	minor    int64
	unsigned [2]string // with a point and with a comma
}{
	{"2024-02-29", -123_456, [2]string{"1,234.56", "1.234,56"}},
	{"2023-12-31", 2_005, [2]string{"20.05", "20,05"}},
	{"2024-01-15", -99, [2]string{"0.99", "0,99"}},
}

// decimal is the separator that the format tells, or that goes with its
// delimiter where it does not.
func (f *bankFormat) decimal() string {
	if f.Decimal == "" && f.Delimiter == ";" {
		return ","
	}
	return orElse(f.Decimal, ".")
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// direction returns the words that say so in the format.
func (f *bankFormat) direction() (credit, debit string) {
	if len(f.CreditWords) == 0 {
		return "C", "D"
	}
	return f.CreditWords[0], f.DebitWords[0]
}

// text builds a small export in the format.
func (f *bankFormat) text() string {
	var b strings.Builder
	before := f.Skip
	if !f.Observed && before > 0 {
		before-- // the last line is the header
	}
	for i := range before {
		fmt.Fprintf(&b, "Statement of account, line %d\n", i+1)
	}
	if header := f.header(); header != nil {
		f.write(&b, header)
	}
	for i := range bankRows {
		f.write(&b, f.row(i))
	}
	return b.String()
}

// header is the file's; one whose names nobody tells has names that say nothing.
func (f *bankFormat) header() []string {
	if f.Header != nil || f.Skip == 0 {
		return f.Header
	}
	header := make([]string, f.Width)
	for i := range header {
		header[i] = fmt.Sprintf("Column %d", i+1)
	}
	return header
}

func (f *bankFormat) row(i int) []string {
	source := bankRows[i]
	fields := make([]string, f.Width)
	for i := range fields {
		fields[i] = "x"
	}
	put := func(column, value string) {
		if at, ok := f.Columns[column]; ok {
			fields[at] = value
		}
	}
	day, _ := time.Parse(time.DateOnly, source.day)
	put("account", "0042")
	put("date", day.Format(f.date().layout))
	amount := source.unsigned[0]
	if f.decimal() == "," {
		amount = source.unsigned[1]
	}
	credit, debit := f.direction()
	came := source.minor > 0
	put("debit", map[bool]string{false: amount}[came])
	put("credit", map[bool]string{true: amount}[came])
	put("indicator", map[bool]string{true: credit, false: debit}[came])
	if _, ok := f.Columns["indicator"]; !ok && !came {
		amount = "-" + amount
	}
	if strings.Contains(f.Style, "positive=spending") {
		amount = map[bool]string{true: "-" + amount, false: strings.TrimPrefix(amount, "-")}[came]
	}
	put("amount", amount)
	return fields
}

func (f *bankFormat) write(b *strings.Builder, fields []string) {
	for i, field := range fields {
		if i > 0 {
			b.WriteString(f.Delimiter)
		}
		if strings.Contains(field, f.Delimiter) {
			field = `"` + field + `"`
		}
		b.WriteString(field)
	}
	b.WriteByte('\n')
}

// config is the parse_config of one who knows no more than the format tells.
func (f *bankFormat) config() string {
	columns := map[string]any{}
	for name, at := range f.Columns {
		switch {
		case name == "indicator":
		case name == "account":
			columns["account_id"] = at + 1
		case name == "amount" && f.Columns["debit"]+f.Columns["credit"] > 0: // which it repeats
		default:
			columns[name] = at + 1
		}
	}
	settings := map[string]any{
		"delimiter": f.Delimiter, "columns": columns, "date_format": f.date().format,
		"decimal_separator": f.decimal(), "thousands_separator": map[string]string{".": ",", ",": "."}[f.decimal()],
	}
	if _, ok := f.Columns["account"]; !ok {
		settings["account_id"] = "0042"
	}
	if at, ok := f.Columns["indicator"]; ok {
		credit, debit := f.direction()
		settings["direction"] = map[string]any{"column": at + 1, "credit": []string{credit}, "debit": []string{debit}}
	}
	switch {
	case f.header() == nil:
		settings["has_header"] = false
	case f.Observed:
		settings["header_line"] = f.Skip + 1
	default:
		settings["header_line"] = max(f.Skip, 1)
	}
	text, err := json.Marshal(settings)
	if err != nil {
		panic(err) // strings, numbers and maps of them
	}
	return string(text)
}

// understood reports whether the text is read to the cent under the settings,
// all on one account, which must be account where that is not "".
func (f *bankFormat) understood(t *testing.T, settings string) bool {
	t.Helper()
	cfg, err := parser.ParseConfig([]byte(settings))
	if err != nil {
		return false
	}
	r, err := parser.NewReader(strings.NewReader(f.text()), cfg)
	if err != nil {
		return false
	}
	var got, want []string
	for record, err := range r.All() {
		if err != nil {
			return false
		}
		got = append(got, fmt.Sprint(string(record.Account), record.Day, record.Amount))
	}
	for _, row := range bankRows {
		day, err := time.Parse(time.DateOnly, row.day)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprint("0042", day.Unix()/86400, row.minor))
	}
	return reflect.DeepEqual(got, want)
}

// TestBankFormats builds a small export from the description of each of 351
// formats, and says which are read with no setting at all, which once the
// account of the export is given, and which by a parse_config that says what
// the description does. Of the rest 49 are described without columns, nine
// without a date and nine without its form; ten give what was spent as positive
// and so turn every sign round; and seven are odd ones, with dates without a
// year, a time before the date, or a column for one direction only.
func TestBankFormats(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/bank_formats.json")
	if err != nil {
		t.Fatal(err)
	}
	var formats []bankFormat
	if err := json.Unmarshal(text, &formats); err != nil {
		t.Fatal(err)
	}
	by := map[string][]string{}
	for _, f := range formats {
		how := "not"
		switch {
		case f.understood(t, ""):
			how = "no setting"
		case f.understood(t, `{"account_id":"0042"}`):
			how = "account_id"
		case f.understood(t, f.config()):
			how = "parse_config"
		}
		by[how] = append(by[how], fmt.Sprintf("%d %s", f.ID, f.Bank))
	}
	for how, want := range map[string]int{"no setting": 10, "account_id": 12, "parse_config": 245, "not": 84} {
		slices.Sort(by[how])
		t.Logf("%s: %d: %s", how, len(by[how]), strings.Join(by[how], "; "))
		if len(by[how]) != want {
			t.Errorf("%s: %d formats, want %d", how, len(by[how]), want)
		}
	}
}
