package parser_test

import (
	"bytes"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sluice/parser"
)

// The reference reader: PARSING.md once more, a byte and a regular expression
// at a time, sharing nothing with the package but its names.

// form is what a reference reader knows of a file. The header has a plain row
// after it, so that no form of the amounts is looked for.
type form struct {
	header        string
	config        parser.Config
	delimiter     byte
	columns       map[parser.Column]int // from 0
	date          *regexp.Regexp        // with groups y, m and d
	amount        *regexp.Regexp
	decimal       string
	thousands     string
	exponent      int
	credit, debit []string
}

// parsed is a Config made once, for many files.
func parsed(text string) parser.Config {
	cfg, err := parser.ParseConfig([]byte(text))
	if err != nil {
		panic(err)
	}
	return cfg
}

const clock = `([T ]([01]?\d|2[0-3]):[0-5]\d(:([0-5]\d|60)([.,]\d+)?)?( ?(Z|UTC|[+-]([01]\d|2[0-3])(:?[0-5]\d)?))?)?$`

var forms = []form{
	{
		header: "account_id,date,amount,is_revenue\np,2024-01-01,1,\n", config: parsed(`{"delimiter":",","date_format":"YYYY-MM-DD"}`), delimiter: ',',
		columns: map[parser.Column]int{"account_id": 0, "date": 1, "amount": 2, "is_revenue": 3},
		date:    regexp.MustCompile(`^(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)` + clock),
		amount:  regexp.MustCompile(`^[+-]?\d+(\.\d+)?$`), decimal: ".", exponent: 2,
	},
	{
		header: "credit;x;date;debit;account_id\r\n1;;1.1.2024;;p\r\n", delimiter: ';',
		config:  parsed(`{"delimiter":";","date_format":"D.M.YYYY HH:MM","decimal_separator":",","thousands_separator":"."}`),
		columns: map[parser.Column]int{"account_id": 4, "date": 2, "debit": 3, "credit": 0},
		date:    regexp.MustCompile(`^(?P<d>\d\d?)\.(?P<m>\d\d?)\.(?P<y>\d{4})` + clock),
		amount:  regexp.MustCompile(`^(\d+|\d{1,3}(\.\d{3})+)(,\d+)?$`), decimal: ",", thousands: ".", exponent: 2,
	},
	{
		header: "\"type\"\tamount\tdate\taccount\nC\t1\t700101\tp\n", delimiter: '\t',
		config:  parsed(`{"delimiter":"\t","date_format":"YYMMDD","direction":{"column":1,"credit":["C","CR"],"debit":["D"]}}`),
		columns: map[parser.Column]int{"account_id": 3, "date": 2, "amount": 1, "direction": 0},
		date:    regexp.MustCompile(`^(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)` + clock),
		amount:  regexp.MustCompile(`^\d+(\.\d+)?$`), decimal: ".", exponent: 2,
		credit: []string{"C", "CR"}, debit: []string{"D"},
	},
}

// verdict is what became of one record.
type verdict struct {
	line, offset int64
	reason       parser.Reason
	account      string
	day          int32
	amount       int64
	revenue      bool
	fields       []string // of a reject
}

// reference reads a file of the form f whose header is its first record. open
// is the line of the quote that is still open at the end, or 0.
func reference(f *form, text []byte) (verdicts []verdict, open int64) {
	at, header := 0, true
	lines, counted := int64(1), 0
	lineOf := func(place int) int64 {
		lines += int64(bytes.Count(text[counted:place], []byte("\n")))
		counted = place
		return lines
	}
	for at < len(text) {
		line, _, _ := bytes.Cut(text[at:], []byte("\n"))
		if blank(f, line) {
			at += len(line) + 1
			continue
		}
		v := verdict{line: lineOf(at), offset: int64(at)}
		var bare bool
		var quote int
		v.fields, bare, quote, at = cut(f, text, at)
		if quote >= 0 {
			return verdicts, lineOf(quote)
		}
		if !header {
			f.judge(&v, bare)
			verdicts = append(verdicts, v)
		}
		header = false
	}
	return verdicts, 0
}

func blank(f *form, line []byte) bool {
	return len(bytes.Trim(line, " \t\n\v\f\r")) == 0 && bytes.IndexByte(line, f.delimiter) < 0
}

// cut takes the record at text[at:] apart; quote is where one is open at the
// end of the text, or -1.
func cut(f *form, text []byte, at int) (fields []string, bare bool, quote, next int) {
	var raw, value []byte
	state, quoted, spoiled := "start", false, false
	finish := func(lineEnd bool) {
		if !quoted || spoiled {
			if lineEnd {
				raw = bytes.TrimSuffix(raw, []byte("\r"))
			}
			value = raw
		}
		fields = append(fields, string(value))
		bare = bare || spoiled
		raw, value, state, quoted, spoiled = nil, nil, "start", false, false
	}
	for ; at < len(text); at++ {
		c := text[at]
		if state != "quotes" && c == '\n' {
			finish(true)
			return fields, bare, -1, at + 1
		}
		if state != "quotes" && c == f.delimiter {
			finish(false)
			continue
		}
		raw = append(raw, c)
		switch {
		case state == "quotes" && c == '"':
			state = "closed"
		case state == "quotes":
			value = append(value, c)
		case state == "closed" && c == '"':
			state, value = "quotes", append(value, c)
		case state == "closed" && c == '\r' && (at+1 == len(text) || text[at+1] == '\n'):
		case state == "closed":
			state, spoiled = "bare", true
		case state == "start" && c == '"':
			state, quoted, quote = "quotes", true, at
		default:
			state, spoiled = "bare", spoiled || c == '"'
		}
	}
	if state == "quotes" {
		return nil, false, quote, at
	}
	finish(true)
	return fields, bare, -1, at
}

// judge books the fields of v or finds the reason not to.
func (f *form) judge(v *verdict, bare bool) {
	names, _, _ := strings.Cut(f.header, "\n")
	width := strings.Count(names, string(f.delimiter)) + 1
	switch {
	case bare:
		v.reason = parser.BareQuote
	case len(v.fields) < width:
		v.reason = parser.MissingField
	case len(v.fields) > width:
		v.reason = parser.TooManyFields
	default:
		v.reason = f.book(v)
	}
	if v.reason == "" {
		v.fields = nil
		return
	}
	*v = verdict{line: v.line, offset: v.offset, reason: v.reason, fields: v.fields}
}

func (f *form) book(v *verdict) parser.Reason {
	get := func(c parser.Column) (string, bool) {
		i, ok := f.columns[c]
		if !ok {
			return "", false
		}
		return strings.Trim(v.fields[i], " \t\n\v\f\r"), true
	}
	date, _ := get("date")
	if v.account, _ = get("account_id"); v.account == "" {
		return parser.EmptyField
	}
	switch {
	case strings.Contains(v.account, "\x00"):
		return parser.NULByte
	case !utf8.ValidString(v.account):
		return parser.InvalidUTF8
	case date == "":
		return parser.EmptyField
	}
	day, ok := f.day(date)
	if !ok {
		return parser.BadDate
	}
	v.day = day
	if reason := f.bookAmount(v, get); reason != "" {
		return reason
	}
	v.revenue = v.amount > 0
	word, _ := get("is_revenue")
	switch word = strings.ToLower(word); {
	case word == "":
	case slices.Contains([]string{"true", "t", "yes", "y", "1"}, word):
		v.revenue = true
	case slices.Contains([]string{"false", "f", "no", "n", "0"}, word):
		v.revenue = false
	default:
		return parser.BadBool
	}
	return ""
}

func (f *form) bookAmount(v *verdict, get func(parser.Column) (string, bool)) (reason parser.Reason) {
	if amount, ok := get("amount"); ok {
		word, directed := get("direction")
		switch {
		case directed && !slices.Contains(f.credit, word) && !slices.Contains(f.debit, word):
			return parser.BadDirection
		case amount == "":
			return parser.EmptyField
		}
		v.amount, reason = f.minor(amount, directed && slices.Contains(f.debit, word))
		return reason
	}
	debit, _ := get("debit")
	credit, _ := get("credit")
	if debit == "" && credit == "" {
		return parser.EmptyField
	}
	var less int64
	if debit != "" {
		if less, reason = f.minor(debit, true); reason != "" {
			return reason
		}
	}
	if credit != "" {
		if v.amount, reason = f.minor(credit, false); reason != "" {
			return reason
		}
	}
	if less != 0 && v.amount != 0 {
		return parser.BadAmount
	}
	v.amount += less
	return ""
}

// minor reads an amount by way of a fraction of any size.
func (f *form) minor(text string, debit bool) (int64, parser.Reason) {
	if !f.amount.MatchString(text) {
		return 0, parser.BadAmount
	}
	text = strings.ReplaceAll(text, f.thousands, "")
	if f.thousands == "" {
		text = strings.ReplaceAll(text, ",", "")
	}
	value, ok := new(big.Rat).SetString(strings.Replace(text, f.decimal, ".", 1))
	if !ok {
		return 0, parser.BadAmount
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(f.exponent)), nil)
	value.Mul(value, new(big.Rat).SetInt(unit))
	if debit {
		value.Neg(value)
	}
	switch {
	case !value.IsInt():
		return 0, parser.BadAmount
	case !value.Num().IsInt64():
		return 0, parser.OutOfRange
	}
	return value.Num().Int64(), ""
}

func (f *form) day(text string) (int32, bool) {
	m := f.date.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	pad := func(group string) string {
		s := m[f.date.SubexpIndex(group)]
		if len(s) == 1 {
			s = "0" + s
		}
		return s
	}
	year := pad("y")
	if len(year) == 2 {
		year = map[bool]string{true: "19", false: "20"}[year >= "70"] + year
	}
	t, err := time.Parse(time.DateOnly, year+"-"+pad("m")+"-"+pad("d"))
	if err != nil || t.Year() == 0 {
		return 0, false
	}
	return int32((t.Unix() - time.Unix(0, 0).Unix()) / 86400), true
}
