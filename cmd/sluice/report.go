package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"sluice/internal/pipeline"
	"sluice/parser"
)

// report is what `sluice check` says of one file; its JSON is for programs, so
// names are only ever added.
type report struct {
	File        string        `json:"file"`
	OK          bool          `json:"ok"` // the job would be JOB_COMPLETE
	Error       *reportError  `json:"error,omitempty"`
	SizeBytes   int64         `json:"size_bytes"`
	Compression string        `json:"compression,omitempty"`
	Encoding    string        `json:"encoding,omitempty"`
	Layout      *layout       `json:"layout,omitempty"` // absent where it was not found
	Accepted    int64         `json:"rows_accepted"`
	Rejected    int64         `json:"rows_rejected"`
	Rejects     []*rejectKind `json:"rejects"`           // in the order of their first row
	Outcome     *checkOutcome `json:"outcome,omitempty"` // of a file that is ok

	kinds    map[parser.Reason]*rejectKind
	settings pipeline.Settings
}

type reportError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// layout is what was understood of the file.
type layout struct {
	Delimiter          string                      `json:"delimiter"`
	HeaderLine         int64                       `json:"header_line,omitempty"` // absent where there is no header
	Header             []string                    `json:"header,omitempty"`
	Columns            map[parser.Column]columnRef `json:"columns"`
	Direction          *directionRef               `json:"direction,omitempty"`
	DateFormat         string                      `json:"date_format"`
	AmountForm         string                      `json:"amount_form"` // an example, for people
	DecimalSeparator   string                      `json:"decimal_separator"`
	ThousandsSeparator string                      `json:"thousands_separator,omitempty"`
}

type columnRef struct {
	Position int    `json:"position"`
	Name     string `json:"name,omitempty"`
}

type directionRef struct {
	columnRef
	Credit []string `json:"credit"`
	Debit  []string `json:"debit"`
}

type rejectKind struct {
	Reason  parser.Reason  `json:"reason"`
	Rows    int64          `json:"rows"`
	Samples []rejectSample `json:"samples"`
}

type rejectSample struct {
	Line   int64  `json:"line"`
	Detail string `json:"detail"`
}

// checkOutcome is what a job would end with. Sums are decimals in the unit of
// the currency.
type checkOutcome struct {
	Revenue    string     `json:"sum_revenue"`
	Net        string     `json:"sum_net"`
	Accounts   int        `json:"accounts"`
	Aggregates int64      `json:"aggregates"`
	FutureRows int64      `json:"future_rows"`
	AsOf       string     `json:"as_of,omitempty"`
	Approved   int64      `json:"approved"`
	Declined   int64      `json:"declined"`
	Skipped    int64      `json:"skipped"`
	Decisions  []decision `json:"decisions"` // the first
}

func newReport(path string, settings pipeline.Settings) *report {
	return &report{File: path, Rejects: []*rejectKind{}, kinds: map[parser.Reason]*rejectKind{}, settings: settings}
}

func (r *report) failure() error {
	if r.Error == nil {
		return nil
	}
	return fmt.Errorf("%s: %s", r.Error.Code, printable(r.Error.Message))
}

// fill takes what Run found, and the decisions of a file that is ok.
func (r *report) fill(result *pipeline.Result) error {
	r.OK = r.Error == nil
	r.SizeBytes, r.Compression, r.Encoding = result.Source.SizeBytes, result.Compression, result.Encoding
	r.Accepted, r.Rejected = result.Accepted, result.Rejected
	if result.Layout.Delimiter != 0 {
		r.Layout = newLayout(&result.Layout)
	}
	if !r.OK {
		return nil
	}
	exponent := r.settings.Credit.Exponent()
	decisions, err := decide(result, exponent)
	if err != nil {
		return err
	}
	r.Outcome = &checkOutcome{
		Revenue:  string(result.Revenue.AppendDecimal(nil, exponent)),
		Net:      string(result.Total.AppendDecimal(nil, exponent)),
		Accounts: result.Accounts, Aggregates: result.Aggregates, FutureRows: result.FutureRows,
		Approved: result.Tally.Approved, Declined: result.Tally.Declined, Skipped: result.Tally.Skipped,
		Decisions: decisions,
	}
	if result.HasAsOf {
		r.Outcome.AsOf = isoDate(result.AsOf)
	}
	return nil
}

func newLayout(found *parser.Layout) *layout {
	l := &layout{
		Delimiter: string(found.Delimiter), HeaderLine: found.HeaderLine, Header: found.Header,
		Columns: map[parser.Column]columnRef{}, DateFormat: found.DateFormat,
		AmountForm: found.AmountForm, DecimalSeparator: string(found.DecimalSeparator),
	}
	if found.ThousandsSeparator != 0 {
		l.ThousandsSeparator = string(found.ThousandsSeparator)
	}
	ref := func(position int) columnRef {
		if position <= len(found.Header) {
			return columnRef{Position: position, Name: found.Header[position-1]}
		}
		return columnRef{Position: position}
	}
	for column, position := range found.Columns {
		l.Columns[column] = ref(position)
	}
	if d := found.Direction; d != nil {
		l.Direction = &directionRef{columnRef: ref(d.Column.Position), Credit: d.Credit, Debit: d.Debit}
	}
	return l
}

// writeReport writes r for people.
func writeReport(w io.Writer, r *report) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	verdict := "would be processed"
	if !r.OK {
		verdict = "would fail: " + r.Error.Code
	}
	fmt.Fprintf(&b, "%s: %s\n", r.File, verdict)
	line("size", "%d bytes%s", r.SizeBytes, map[bool]string{true: ", " + r.Compression}[r.Compression != ""])
	if r.Encoding != "" {
		line("encoding", "%s", r.Encoding)
	}
	if r.Layout != nil {
		r.Layout.write(line)
		line("rows", "%d accepted, %d rejected", r.Accepted, r.Rejected)
	}
	for _, kind := range r.Rejects {
		line("rejects", "%d %s", kind.Rows, kind.Reason)
		for _, sample := range kind.Samples {
			line("", "  line %d: %s", sample.Line, printable(sample.Detail))
		}
	}
	if o := r.Outcome; o != nil {
		line("sums", "%s revenue, %s net", o.Revenue, o.Net)
		line("accounts", "%d, in %d aggregates%s", o.Accounts, o.Aggregates, map[bool]string{true: ", as of " + o.AsOf}[o.AsOf != ""])
		if o.FutureRows > 0 {
			line("", "%d rows are too far in the future for the model", o.FutureRows)
		}
		line("decisions", "%d approved, %d declined, %d skipped", o.Approved, o.Declined, o.Skipped)
		for _, d := range o.Decisions {
			line("", "  %s", &d)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (l *layout) write(line func(name, format string, args ...any)) {
	line("delimiter", "%q", l.Delimiter)
	if l.HeaderLine > 0 {
		line("header", "line %d, %d columns", l.HeaderLine, len(l.Header))
	} else {
		line("header", "none")
	}
	for _, column := range [...]parser.Column{
		parser.AccountID, parser.Date, parser.Amount, parser.Debit, parser.Credit, parser.IsRevenue, parser.Description,
	} {
		if ref, ok := l.Columns[column]; ok {
			line(string(column), "%s", ref)
		}
	}
	if d := l.Direction; d != nil {
		line("direction", "%s: %q came, %q went", d.columnRef, d.Credit, d.Debit)
	}
	line("dates", "%s", l.DateFormat)
	line("amounts", "such as %s", l.AmountForm)
}

func (c columnRef) String() string {
	if c.Name == "" {
		return fmt.Sprintf("column %d", c.Position)
	}
	return fmt.Sprintf("column %d, %q", c.Position, c.Name)
}

// printable is text out of a file, made safe for a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
