package parser_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"sluice/parser"
)

// FuzzAmountForms reads columns of amounts, whatever their form is found to
// be: what is booked has the digits and the sign of what is written.
func FuzzAmountForms(f *testing.F) {
	for _, list := range []string{
		"1.50\n-2", "1,50\n-1.234,56", "1,000.00\n2,500.50", "1'234.50\n2’000.00", "\u22125,00\n5,00", "1\u00a0234,56\n2\u202f000,00",
		"$1.50\n-$1,826.06\n$-2\n($3.00)", "EUR 1,50\n-2,00 EUR", "(5.00)\n(3.00)", "5.00-\n3.00-", "5.00CR\n1,000.00 dr", "1,5\n",
		"$\n€", "--5\n-(5)", "R$ 1.234,56\n-R$ 2,00", "kr. 5\nkr. 6", "1 2\n3 4", "$1-\n$2-\n$3", "DR 5\nCR 5", "1ADR\n2ADR", "5 IDR", "-5 DR\n5 DR", "USD5CR",
	} {
		f.Add(list, uint8(2))
	}
	f.Fuzz(func(t *testing.T, list string, exponent uint8) {
		var file strings.Builder
		file.WriteString("account_id\tdate\tamount\n")
		written := strings.Split(list, "\n")
		for i, amount := range written {
			fmt.Fprintf(&file, "%d\t2024-01-01\t\"%s\"\n", i, strings.ReplaceAll(amount, `"`, `""`))
		}
		cfg := config(t, "")
		cfg.CurrencyExponent = int(exponent % 7)
		r, err := parser.NewReader(strings.NewReader(file.String()), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for record, err := range r.All() {
			if err != nil {
				break
			}
			i, err := strconv.Atoi(string(record.Account))
			if err != nil {
				t.Fatal(err)
			}
			if text := written[i]; digitsOf(text) != digitsOf(strconv.FormatInt(record.Amount, 10)) || record.Amount < 0 && !isNegative(text) || record.Amount > 0 && isNegative(text) {
				t.Errorf("%q of %q is booked as %d", text, list, record.Amount)
			}
		}
		if s := r.Stats(); s.Accepted+s.Rejected != int64(len(written)) {
			t.Errorf("%q: %+v", list, s)
		}
	})
}

// digitsOf returns the digits of a number but for zeros at either end.
func digitsOf(text string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text), "0")
}

// isNegative tells DR from the end of a currency, such as IDR.
func isNegative(text string) bool {
	before, debit := strings.CutSuffix(strings.ToUpper(strings.TrimSpace(text)), "DR")
	last, _ := utf8.DecodeLastRuneInString(before)
	return strings.ContainsAny(text, "-(\u2212") || debit && !unicode.IsLetter(last)
}

// FuzzSniff reads any bytes as a file without a setting: it is understood in
// the same way however it comes, and no record is lost.
func FuzzSniff(f *testing.F) {
	for _, text := range []string{
		"account_id,date,amount\ra,2024-01-01,1\r\"b\rc\",2024-01-01,2\r", "x\n\nKonto;Datum;Soll;Haben\n1;31.01.2024;1,50;\n1;01.02.2024;;2.000,00\n",
		"Rekening,Datum,Af Bij,Bedrag\nb,2024-01-01,Bij,2\na,2024-01-01,Af,1\n", "account\tdate\tamount\na\t1 Jan 2024\t$5\n",
		"account_id,date,amount\na,01/02/2024,1\n", "account|date|amount\r\na|20240131|(1)\r\n", "\"\r", "\ufeffaccount,date,debit\na,2024-01-01 6:00,-1\n",
	} {
		f.Add([]byte(text), uint16(7))
	}
	f.Fuzz(func(t *testing.T, text []byte, block uint16) {
		cfg := config(t, "")
		whole := sniffed(bytes.NewReader(text), cfg)
		cfg.BlockBytes = 1 + int(block)
		if pieces := sniffed(iotest.OneByteReader(bytes.NewReader(text)), cfg); !reflect.DeepEqual(whole, pieces) {
			t.Errorf("%q:\n%+v\n%+v", text, whole, pieces)
		}
		if rows := whole.stats.Accepted + whole.stats.Rejected; rows != int64(whole.rows) {
			t.Errorf("%q: %d rows of %d", text, rows, whole.rows)
		}
	})
}

type sniffedFile struct {
	err    string
	layout parser.Layout
	stats  parser.Stats
	sum    int64
	rows   int
}

func sniffed(src io.Reader, cfg parser.Config) (s sniffedFile) {
	r, err := parser.NewReader(src, cfg)
	if err != nil {
		s.err = err.Error()
		return s
	}
	r.OnReject = func(*parser.Reject) error {
		s.rows++
		return nil
	}
	batch := make([]parser.Record, 3)
	for err == nil {
		var n int
		n, err = r.Read(batch)
		s.rows += n
		for _, record := range batch[:n] {
			s.sum += record.Amount // may wrap, in both in the same way
		}
	}
	if !errors.Is(err, io.EOF) {
		s.err = err.Error()
	}
	s.layout, s.stats = r.Layout(), r.Stats()
	return s
}
