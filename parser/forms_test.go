package parser_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/parser"
)

// amounts reads a file of nothing but amounts, given with "|" between them,
// and returns them in minor units, "!" for one that is rejected.
func amounts(t testing.TB, list, settings string) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("account_id|date|amount\n")
	for amount := range strings.SplitSeq(list, "|") {
		fmt.Fprintf(&text, "a|2024-01-01|%s\n", amount)
	}
	rows, err := outcome(t, text.String(), config(t, settings))
	if err != nil && code(err) != parser.NoValidRows {
		t.Fatalf("%q: %v", list, err)
	}
	for i, row := range rows {
		if fields := strings.Fields(row); fields[0] == "a" {
			rows[i] = fields[2]
		} else {
			rows[i] = "!"
		}
	}
	return strings.Join(rows, " ")
}

// Amounts are of the one form that reads them all; a file in which plain reads
// any is plain.
func TestAmountForms(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"1.50|-2":                     "150 -200",
		"1,50|-2,00":                  "150 -200",
		"1,50|2":                      "! 200", // a plain one: so all are
		"1,50|-1.234,56":              "150 -123456",
		"1,50|2.00":                   "! 200",
		"1,000.00|2,500.50":           "100000 250050",
		"1,000|2,500":                 "! !", // 1.00 or 1000.00
		"1,234|2,501":                 "123400 250100",
		"1.234|2.501":                 "! !", // more decimals than there are
		"1.234|2,50":                  "123400 250",
		"1 234,56|-12,00":             "123456 -1200",
		"1\u00a0234,56|2\u202f000,00": "123456 200000",
		"1'234.50|2'000.00":           "123450 200000",
		"1’234.50|2’000.00":           "123450 200000",
		"\u22125,00|5,00":             "-500 500",
		"$1.50|-$1,826.06|$-2":        "150 -182606 -200",
		"$1.50|2":                     "! 200",
		"$1.50|€2.00":                 "! !",
		"1,50 €|-2,00 €":              "150 -200",
		"EUR 1,50|-2,00 EUR":          "150 -200",
		"R$ 1.234,56|-R$ 2,00":        "123456 -200",
		"12,00 kr|-1 200,50 kr":       "1200 -120050",
		"$5.00|($3.00)":               "500 -300",
		"(5.00)|(3.00)":               "-500 -300",
		"5.00|(3.00)":                 "500 !",
		"5.00-|3.00-":                 "-500 -300",
		"5,00-|3,00":                  "! !", // not every one has the mark
		"5.00CR|3.00 DR|1,000.00 dr":  "500 -300 -100000",
		"5.00 CR|3.00":                "! 300",
		"--5|--6":                     "! !",
		"-(5)|-(6)":                   "! !",
		"$|€":                         "! !",
		"1e5|2e5":                     "! !",
		"NAN|INF":                     "! !",
		"$1.505|$1.50":                "! !", // read by no form, as it has too many decimals
		"99999999999999999999,00|1,5": "! 150",
	} {
		if got := amounts(t, list, ""); got != want {
			t.Errorf("%s: got %s, want %s", list, got, want)
		}
	}
	for settings, want := range map[string]string{
		`{"decimal_separator":","}`:                                "! 150 200",
		`{"thousands_separator":","}`:                              "! ! 200",
		`{"decimal_separator":",","thousands_separator":"."}`:      "123456 150 200",
		`{"decimal_separator":",","thousands_separator":"\u0020"}`: "! 150 200",
	} {
		if got := amounts(t, "1.234,56|1,5|2", settings); got != want {
			t.Errorf("%s: got %s, want %s", settings, got, want)
		}
	}
}

// A file of which nothing could be read says which setting would help.
func TestHints(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"account_id;date;amount\na;2024-01-01;1,000\n":                       "decimal_separator must say which",
		"account_id;date;amount\na;2024-01-01;1,50\na;2024-01-01;x\n":        "decimal_separator and thousands_separator can give it",
		"account_id;date;amount\na;01.01.2024;1\na;x;1\n":                    "date_format can give it",
		"Buchungstag;Betrag;W\xe4hrung;account\n":                            "",
		"Kontonummer;Buchungstag;W\xe4hrung;Umsatz vom\n01.01.2024;1,00;EUR": "encoding must say what it is",
	} {
		_, err := outcome(t, text, config(t, ""))
		if says != "" && (err == nil || !strings.Contains(err.Error(), says)) || says == "" && err != nil {
			t.Errorf("%q: got %v, want %q", text, err, says)
		}
	}
}

// How exports are laid out, and their last row.
func TestBankLayouts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ config, text, want string }{
		"old Mac":                {``, "account_id,date,amount\r\"a\rb\",2024-01-01,1\rc,2024-01-01,2", "c 19723 200 true"},
		"old Mac, quoted":        {``, "account_id,date,amount\rc,2024-01-01,2\r\"a\rb\",2024-01-01,\"1\"\r", "a\rb 19723 100 true"},
		"old Mac, stray quote":   {``, "account_id,date,amount,x\rc,2024-01-01,2,6\"\ra,2024-01-01,1,\r", "a 19723 100 true"},
		"old Mac, header line":   {`{"header_line":2}`, "x\raccount_id,date,amount\ra,2024-01-01,1\r", "a 19723 100 true"},
		"month names":            {``, "account_id,date,amount\na,1 JAN 2024,1\n", "a 19723 100 true"},
		"month names first":      {``, "account_id;date;amount\na;Jan 1, 2024;1\n", "a 19723 100 true"},
		"month names configured": {`{"date_format":"DD-MMM-YY"}`, "account_id,date,amount\na,01-Jan-24,1\n", "a 19723 100 true"},
		"no such month":          {`{"date_format":"DD-MMM-YY"}`, "account_id,date,amount\nb,01-Jan-24,1\na,01-Jax-24,1\n", "bad_date date: 01-Jax-24"},
		"short month":            {`{"date_format":"DD MMM YY"}`, "account_id,date,amount\nb,01 Jan 24,1\na,01 Ja,1\n", "bad_date date: 01 Ja"},
		"one digit of hours":     {``, "account_id,date,amount\na,2024-01-01 6:11:59,1\n", "a 19723 100 true"},
		"no digit of hours":      {``, "account_id,date,amount\nb,2024-01-01,1\na,2024-01-01 :11:59,1\n", "bad_date date: 2024-01-01 :11:59"},
		"years of our time":      {``, "account_id,date,amount\na,20121115,1\n", "a 15659 100 true"},
		"ragged":                 {`{"ragged":true}`, "account_id,date,amount,x\na,2024-01-01,1,,,\nb,2024-01-01,2\n", "b 19723 200 true"},
		"ragged, short":          {`{"ragged":true}`, "account_id,date,amount,x\na,2024-01-01,1\nb,2024-01-01\n", "missing_field 2 fields where the header has 4"},
		"ragged, no header": {
			`{"ragged":true,"has_header":false,"columns":{"account_id":1,"date":2,"amount":3}}`,
			"a,2024-01-01,1,x,x,x\nb,2024-01-01,2\n", "b 19723 200 true",
		},
		"value date alone":    {``, "account,Value Date,amount\na,2024-01-01,1\n", "a 19723 100 true"},
		"better than that":    {``, "Kontonummer;Auftragskonto;Buchungstag;Valutadatum;Betrag\nb;a;2024-01-01;x;1\n", "a 19723 100 true"},
		"currency in a name":  {``, "Account,Date,Paid out (GBP),Paid in (GBP)\na,2024-01-01,1,\n", "a 19723 -100 false"},
		"amount, not half":    {``, "Rekeningnummer;Datum;Bedrag;credit\na;2024-01-01;-1;\n", "a 19723 -100 false"},
		"signs in columns":    {``, "account,date,debit,credit\na,2024-01-01,,+2\na,2024-01-01,-1,\n", "a 19723 -100 false"},
		"zero in columns":     {``, "account;date;debit;credit\nb;2024-01-01;0,00;+2,00\na;2024-01-01;-1,00;0,00\n", "a 19723 -100 false"},
		"wrong sign":          {``, "account;date;debit;credit\n" + strings.Repeat("b;2024-01-01;-1,00;\n", 1000) + "a;2024-01-01;+1,00;\n", "bad_amount debit: +1,00"},
		"sign left out":       {``, "account;date;debit;credit\n" + strings.Repeat("b;2024-01-01;-1,00;\n", 1000) + "a;2024-01-01;1,00;\n", "bad_amount debit: 1,00"},
		"currency left out":   {``, "account;date;amount\n" + strings.Repeat("b;2024-01-01;$1\n", 1000) + "a;2024-01-01;1\n", "bad_amount amount: 1"},
		"letters left out":    {``, "account;date;amount\n" + strings.Repeat("b;2024-01-01;1 CR\n", 1000) + "a;2024-01-01;1\n", "bad_amount amount: 1"},
		"grouped later":       {``, "account;date;amount\n" + strings.Repeat("b;2024-01-01;1,50\n", 1000) + "a;2024-01-01;1.000,00\n", "a 19723 100000 true"},
		"direction":           {``, "Rekening,Datum,Af Bij,Bedrag\nb,2024-01-01,Bij,2\na,2024-01-01,Af,1\n", "a 19723 -100 false"},
		"direction, any case": {``, "Account,Date,Transaction Type,Amount\nb,2024-01-01,credit,2\na,2024-01-01,DEBIT,1\n", "a 19723 -100 false"},
		"direction, a word":   {``, "Account,Date,Transaction Type,Amount\nb,2024-01-01,credit,2\na,2024-01-01,fee,1\n", "a 19723 100 true"},
		"direction, later":    {``, "Account,Date,D/C,Amount\n" + strings.Repeat("b,2024-01-01,C,2\n", 1000) + "a,2024-01-01,x,1\n", "bad_direction D/C: x"},
		"number before name":  {``, "Account Name,Account Number,Date,Amount\nb,a,2024-01-01,1\n", "a 19723 100 true"},
		"direction, signed":   {``, "Account,Date,Transaction Type,Amount\nb,2024-01-01,credit,2\na,2024-01-01,debit,-1\n", "a 19723 -100 false"},
		"direction, no words": {``, "Account,Date,Transaction Type,Amount\na,2024-01-01,payment,1\n", "a 19723 100 true"},
		"direction twice":     {``, "Account,Date,D/C,C/D,Amount\na,2024-01-01,d,d,1\n", "a 19723 100 true"},
		"letters and words":   {``, "Account,Date,D/C,Amount\nb,2024-01-01,C,1 CR\na,2024-01-01,D,1 DR\n", "a 19723 -100 false"},
	} {
		rows, err := outcome(t, test.text, config(t, test.config))
		if err != nil || len(rows) == 0 || rows[len(rows)-1] != test.want {
			t.Errorf("%s: got %q, %v; want %q", name, rows[max(0, len(rows)-2):], err, test.want)
		}
	}
}

// The layout says what a person would want to check.
func TestLayoutForms(t *testing.T) {
	t.Parallel()
	r, err := parser.NewReader(strings.NewReader("account;date;amount;D/C\na;13.01.2024;€ 1.234,56;C\n"), config(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	l := r.Layout()
	if l.AmountForm != "€ 1.234,56" || l.DateFormat != "D.M.YYYY" || l.DecimalSeparator != ',' || l.ThousandsSeparator != '.' {
		t.Errorf("layout %+v", l)
	}
	if d := l.Direction; d == nil || d.Column.Position != 4 || !slices.Contains(d.Credit, "C") || !slices.Contains(d.Debit, "D") {
		t.Errorf("direction %+v", l.Direction)
	}
}

// Every name that was counted in real exports finds its column.
func TestVocabulary(t *testing.T) {
	t.Parallel()
	var counted map[string]map[string]int
	if err := json.NewDecoder(sharedData(t, "header_vocabulary.json")).Decode(&counted); err != nil {
		t.Fatal(err)
	}
	columns := map[string]parser.Column{
		"date": parser.Date, "amount": parser.Amount, "account": parser.AccountID, "debit": parser.Debit, "credit": parser.Credit,
		"description": parser.Description,
	}
	for role, names := range counted {
		for name := range names {
			if role == "balance" || role == "currency" || role == "indicator" || strings.Contains(name, "\uFFFD") {
				continue // not read; known only beside its words; damaged when it was counted
			}
			column := columns[role]
			header := []string{}
			for _, needed := range []parser.Column{parser.AccountID, parser.Date, parser.Amount} {
				if needed != column && (needed != parser.Amount || column != parser.Debit && column != parser.Credit) {
					header = append(header, string(needed))
				}
			}
			header = append(header, name)
			r, err := parser.NewReader(strings.NewReader(strings.Join(header, "\t")+"\n"), config(t, ""))
			if err != nil {
				t.Errorf("%s %q: %v", role, name, err)
				continue
			}
			if l := r.Layout(); l.Columns[column] != len(header) {
				t.Errorf("%s %q: %+v", role, name, l.Columns)
			}
		}
	}
}
