package parser_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"sluice/parser"
)

func TestParseConfig(t *testing.T) {
	t.Parallel()
	no, rows, ratio := false, int64(5), 0.25
	got := config(t, `{
		"encoding": "windows-1252", "delimiter": "\t", "has_header": false,
		"columns": {"account_id": 3, "date": 1, "amount": 2, "is_revenue": null},
		"date_format": "DD.MM.YYYY", "decimal_separator": ",", "thousands_separator": ".",
		"direction": {"column": 4, "credit": ["C"], "debit": ["D", "X"]},
		"on_error": {"mode": "abort", "max_rows": 5, "max_ratio": 0.25}, "dry_run": true
	}`)
	want := parser.Config{
		Encoding: "windows-1252", Delimiter: '\t', HasHeader: &no,
		Columns: map[parser.Column]parser.Ref{
			parser.AccountID: {Position: 3}, parser.Date: {Position: 1}, parser.Amount: {Position: 2},
		},
		DateFormat: "DD.MM.YYYY", DecimalSeparator: ',', ThousandsSeparator: '.',
		Direction: &parser.Direction{Column: parser.Ref{Position: 4}, Credit: []string{"C"}, Debit: []string{"D", "X"}},
		OnError:   parser.OnError{Mode: parser.Abort, MaxRows: &rows, MaxRatio: &ratio}, DryRun: true, CurrencyExponent: 2,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, text := range []string{"", " \n", "{}"} {
		if got := config(t, text); !reflect.DeepEqual(got, parser.Config{CurrencyExponent: 2}) {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}

func TestParseConfigErrors(t *testing.T) {
	t.Parallel()
	for text, field := range map[string]string{
		`[]`:                                            "",
		`{"delimiter":","`:                              "",
		`{} {}`:                                         "",
		`{"date":1}`:                                    "date",
		`{"dry_run":true,"dry_run":1}`:                  "dry_run",
		`{"dry_run":"yes"}`:                             "dry_run",
		`{"encoding":""}`:                               "encoding",
		`{"delimiter":""}`:                              "delimiter",
		`{"delimiter":"ab"}`:                            "delimiter",
		`{"delimiter":"\""}`:                            "delimiter",
		`{"delimiter":"a"}`:                             "delimiter",
		`{"has_header":1}`:                              "has_header",
		`{"header_line":0}`:                             "header_line",
		`{"header_line":1.5}`:                           "header_line",
		`{"header_line":10001}`:                         "header_line",
		`{"columns":[]}`:                                "columns",
		`{"columns":{"balance":1}}`:                     "columns.balance",
		`{"columns":{"date":0}}`:                        "columns.date",
		`{"columns":{"date":16385}}`:                    "columns.date",
		`{"columns":{"date":""}}`:                       "columns.date",
		`{"columns":{"date":"_-"}}`:                     "columns.date",
		`{"columns":{"date":true}}`:                     "columns.date",
		`{"columns":{"amount":1,"debit":2}}`:            "columns.amount",
		`{"columns":{"account_id":1},"account_id":"A"}`: "account_id",
		`{"account_id":" "}`:                            "account_id",
		`{"has_header":false,"header_line":2}`:          "header_line",
		`{"has_header":false,"columns":{"date":1,"amount":2}}`:               "columns.account_id",
		`{"has_header":false,"columns":{"date":1,"account_id":2}}`:           "columns.amount",
		`{"has_header":false,"columns":{"debit":1,"account_id":2}}`:          "columns.date",
		`{"has_header":false,"columns":{"date":"d"}}`:                        "columns.date",
		`{"date_format":"DD.MM"}`:                                            "date_format",
		`{"date_format":"DD.MM.YYY"}`:                                        "date_format",
		`{"date_format":"DD-MMMM-YYYY"}`:                                     "date_format",
		`{"ragged":"yes"}`:                                                   "ragged",
		`{"date_format":"DMYYYY"}`:                                           "date_format",
		`{"date_format":"YYYY-MM-DD-DD"}`:                                    "date_format",
		`{"date_format":"yyyy-mm-dd"}`:                                       "date_format",
		`{"decimal_separator":"'"}`:                                          "decimal_separator",
		`{"thousands_separator":"."}`:                                        "thousands_separator",
		`{"thousands_separator":"x"}`:                                        "thousands_separator",
		`{"direction":{"credit":["C"]}}`:                                     "direction.column",
		`{"direction":{"column":"t"}}`:                                       "direction",
		`{"direction":{"column":"t","credit":"C"}}`:                          "direction.credit",
		`{"direction":{"column":"t","credit":["C"],"debit":["C"]}}`:          "direction.debit",
		`{"direction":{"column":"t","sign":["C"]}}`:                          "direction.sign",
		`{"direction":{"column":"t","credit":["C"]},"columns":{"credit":1}}`: "direction",
		`{"on_error":{"mode":"stop"}}`:                                       "on_error.mode",
		`{"on_error":{"max_rows":-1}}`:                                       "on_error.max_rows",
		`{"on_error":{"max_ratio":1.01}}`:                                    "on_error.max_ratio",
		`{"on_error":{"max":1}}`:                                             "on_error.max",
		`{"currency_exponent":3}`:                                            "currency_exponent",
	} {
		_, err := parser.ParseConfig([]byte(text))
		e := new(parser.ConfigError)
		if !errors.As(err, &e) || e.Field != field || e.Detail == "" || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: got %v, want an error for %q", text, err, field)
		}
	}
}

// NewReader checks what a program built without ParseConfig.
func TestNewReaderConfigErrors(t *testing.T) {
	t.Parallel()
	for field, cfg := range map[string]parser.Config{
		"currency_exponent": {CurrencyExponent: 7},
		"block_bytes":       {BlockBytes: -1},
		"header_line":       {HeaderLine: -1},
		"columns.date":      {Columns: map[parser.Column]parser.Ref{parser.Date: {Name: "a", Position: 1}}},
	} {
		_, err := parser.NewReader(strings.NewReader("account_id,date,amount\n"), cfg)
		if e := new(parser.ConfigError); !errors.As(err, &e) || e.Field != field {
			t.Errorf("got %v, want an error for %q", err, field)
		}
	}
}
