package parser_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sluice/parser"
)

// rejected reads a file that holds no transactions as if it did: so every
// record becomes a reject, which carries the record's own fields.
func rejected(t testing.TB, text []byte, cfg parser.Config) ([][]string, []parser.Reason, error) {
	t.Helper()
	no := false
	cfg.HasHeader, cfg.NoAccount = &no, true
	cfg.Columns = map[parser.Column]parser.Ref{parser.Date: {Position: 1}, parser.Amount: {Position: 1}}
	r, err := parser.NewReader(bytes.NewReader(text), cfg)
	if err != nil {
		return nil, nil, err
	}
	var rows [][]string
	var reasons []parser.Reason
	r.OnReject = func(reject *parser.Reject) error {
		var row []string
		for _, field := range reject.Fields {
			row = append(row, string(field))
		}
		rows, reasons = append(rows, row), append(reasons, reject.Reason)
		return nil
	}
	n, err := r.Read(make([]parser.Record, 8))
	if n != 0 {
		t.Errorf("%d records were accepted", n)
	}
	if e := new(parser.FileError); errors.As(err, &e) && e.Code == parser.NoValidRows {
		err = nil
	}
	return rows, reasons, err
}

// csv-spectrum: the CSV that every reader should understand.
func TestSpectrum(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"comma_in_quotes", "empty", "empty_crlf", "escaped_quotes", "json", "newlines", "newlines_crlf",
		"quotes_and_newlines", "simple", "simple_crlf", "utf8",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := io.ReadAll(sharedData(t, "messy/csv-spectrum/csvs/"+name+".csv"))
			if err != nil {
				t.Fatal(err)
			}
			if name == "newlines_crlf" { // its repository lost the carriage returns that its JSON has
				text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
			}
			var want []map[string]string
			if err := json.NewDecoder(sharedData(t, "messy/csv-spectrum/json/"+name+".json")).Decode(&want); err != nil {
				t.Fatal(err)
			}
			rows, _, err := rejected(t, text, parser.Config{Delimiter: ','})
			if err != nil {
				t.Fatal(err)
			}
			var got []map[string]string
			for _, row := range rows[1:] {
				object := map[string]string{}
				for i, field := range row {
					object[rows[0][i]] = field
				}
				got = append(got, object)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// location_coordinates has a bare quote, as degrees in seconds, which JSON's
// expectation passes over and PARSING.md rejects.
func TestSpectrumBareQuote(t *testing.T) {
	t.Parallel()
	text, err := io.ReadAll(sharedData(t, "messy/csv-spectrum/csvs/location_coordinates.csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows, reasons, err := rejected(t, text, parser.Config{Delimiter: ','})
	if err != nil || len(rows) != 2 || reasons[1] != parser.BareQuote || rows[1][3] != "Stanislaus" {
		t.Errorf("got %q, %v, %v", rows, reasons, err)
	}
}

// The cases of encoding/csv that are read alike. The others are lazy quotes,
// comments, trimming, delimiters that are none here, and these differences:
var encodingCSVDiffers = map[string]string{
	"BinaryBlobField":    "the case's JSON lost the bytes that are no UTF-8",
	"CRLFInQuotedField":  "a line end in quotes is kept as written",
	"FieldCRCRLFCRCR":    "a line of lone carriage returns is blank",
	"FieldCR":            "a file without a line feed is one of the old Mac",
	"FieldCRCR":          "a file without a line feed is one of the old Mac",
	"QuotedTrailingCRCR": "a file without a line feed is one of the old Mac",
	"StartLine2":         "an open quote fails the file after its rows, which the case leaves out",
}

func TestEncodingCSV(t *testing.T) {
	t.Parallel()
	var tests []struct {
		Name, Comma, Comment         string
		InputB64                     []byte
		Output                       [][]string
		Errors                       []string
		LazyQuotes, TrimLeadingSpace bool
	}
	if err := json.NewDecoder(sharedData(t, "messy/go-encoding-csv/read_tests.json")).Decode(&tests); err != nil {
		t.Fatal(err)
	}
	run := 0
	for _, test := range tests {
		if test.LazyQuotes || test.Comment != "" || test.TrimLeadingSpace || len(test.Comma) > 1 || test.Comma == "\n" || test.Comma == "\r" || test.Comma == "\"" {
			continue
		}
		if encodingCSVDiffers[test.Name] != "" || len(bytes.TrimSpace(test.InputB64)) == 0 {
			continue
		}
		run++
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			comma := byte(',')
			if test.Comma != "" {
				comma = test.Comma[0]
			}
			rows, reasons, err := rejected(t, test.InputB64, parser.Config{Delimiter: comma})
			if test.Output == nil {
				if err == nil && !slices.Contains(reasons, parser.BareQuote) {
					t.Errorf("got %q, %v; want an error as %q", rows, reasons, test.Errors)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(rows, test.Output) {
				t.Errorf("got %q, %v; want %q", rows, err, test.Output)
			}
		})
	}
	if run < 25 {
		t.Errorf("only %d cases were run", run)
	}
}

// papaCase is a test of PapaParse's. Its data are rows only where there is no
// setting.
type papaCase struct {
	Description, Input string
	Config             map[string]any
	Expected           struct{ Data json.RawMessage }
}

// The cases of PapaParse that need none of its settings. A blank line is a
// record of one empty field to it, and none here; blanks after a closing quote
// are nothing to it, and text here; what is wrong with a quote it mends, where
// here it fails the file or rejects the row.
func TestPapaParse(t *testing.T) {
	t.Parallel()
	run := 0
	for _, name := range []string{"core_parser_tests.json", "parse_tests.json"} {
		var tests []papaCase
		if err := json.NewDecoder(sharedData(t, "messy/papaparse/"+name)).Decode(&tests); err != nil {
			t.Fatal(err)
		}
		for _, test := range tests {
			if len(test.Config) > 0 || strings.TrimSpace(test.Input) == "" {
				continue
			}
			run++
			t.Run(test.Description, func(t *testing.T) {
				t.Parallel()
				test.compare(t)
			})
		}
	}
	if run < 70 {
		t.Errorf("only %d cases were run", run)
	}
}

// compare reads the case's input: in the same way, but where a quote is wrong.
func (c *papaCase) compare(t *testing.T) {
	t.Helper()
	var want [][]string
	if err := json.Unmarshal(c.Expected.Data, &want); err != nil {
		t.Fatal(err)
	}
	want = slices.DeleteFunc(want, func(row []string) bool { return len(row) == 1 && strings.TrimSpace(row[0]) == "" })
	rows, reasons, err := rejected(t, []byte(c.Input), parser.Config{})
	if err == nil && !slices.Contains(reasons, parser.BareQuote) && !reflect.DeepEqual(rows, want) {
		t.Errorf("%q: got %q, %v; want %q", c.Input, rows, reasons, want)
	}
	if err != nil && code(err) != parser.UnterminatedQuote {
		t.Errorf("%q: %v", c.Input, err)
	}
}
