package parser_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"testing/iotest"

	"sluice/parser"
)

const header = "account_id,date,amount,is_revenue\n"

// outcome reads text to its end; each row is a line "account day amount
// revenue", or "reason detail".
func outcome(t testing.TB, text string, cfg parser.Config) (rows []string, err error) {
	t.Helper()
	r, err := parser.NewReader(strings.NewReader(text), cfg)
	if err != nil {
		return nil, err
	}
	r.OnReject = func(reject *parser.Reject) error {
		rows = append(rows, fmt.Sprintf("%s %s", reject.Reason, reject.Detail()))
		return nil
	}
	batch := make([]parser.Record, 1) // so that records and rejects come in order
	for err == nil {
		var n int
		n, err = r.Read(batch)
		for _, record := range batch[:n] {
			rows = append(rows, fmt.Sprintf("%s %d %d %t", record.Account, record.Day, record.Amount, record.Revenue))
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return rows, err
}

func code(err error) parser.Code {
	if e := new(parser.FileError); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Each row, after one that is valid, and what becomes of it.
func TestRows(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 70)
	for row, want := range map[string]string{
		"007,1970-01-01,1.5,":                           "007 0 150 true",
		" 1e5 ,1969-12-31,-1.50,":                       "1e5 -1 -150 false",
		"a,2024-02-29,+2,":                              "a 19782 200 true",
		"a,2024-02-29 23:59,0,":                         "a 19782 0 false",
		"a,2024-02-29T23:59:60.123+05:30,-0.00,":        "a 19782 0 false",
		"a,2024-02-29 10:00:00 +0000,1.2300000,F":       "a 19782 123 false",
		"a,0001-01-01,1,yES":                            "a -719162 100 true",
		"a,9999-12-31,1,0":                              "a 2932896 100 false",
		"\"x,\"\"y\"\"\n\",\"2024-02-29\",\"1\",\"t\"":  "x,\"y\" 19782 100 true",
		"a,2024-02-29,92233720368547758.07,":            "a 19782 9223372036854775807 true",
		"a,2024-02-29,-92233720368547758.08,":           "a 19782 -9223372036854775808 false",
		"a,2024-02-29,00000000000000000000000000001,":   "a 19782 100 true",
		"a,2024-02-29,92233720368547758.08,":            "out_of_range amount: 92233720368547758.08",
		"a,2024-02-29,-92233720368547758.09,":           "out_of_range amount: -92233720368547758.09",
		"a,2024-02-29,-99999999999999999999999999,":     "out_of_range amount: -99999999999999999999999999",
		"a,2024-02-29,99999999999999999999999999.001,":  "bad_amount amount: 99999999999999999999999999.001",
		"a,2024-02-29,1e30,":                            "bad_amount amount: 1e30",
		"a,2024-02-29,.5,":                              "bad_amount amount: .5",
		"a,2024-02-29,5.,":                              "bad_amount amount: 5.",
		"a,2024-02-29,--5,":                             "bad_amount amount: --5",
		"a,2024-02-29,-,":                               "bad_amount amount: -",
		"a,2024-02-29,1.005,":                           "bad_amount amount: 1.005",
		"a,2024-02-29,0x10,":                            "bad_amount amount: 0x10",
		"a,2024-02-29,NaN,":                             "bad_amount amount: NaN",
		"a,2024-02-29,$5,":                              "bad_amount amount: $5",
		"a,2024-02-29,٣,":                               "bad_amount amount: ٣",
		"a,2024-02-29,\"1,000.00\",":                    "bad_amount amount: 1,000.00",
		"a,2024-02-29,1,000.00,":                        "too_many_fields 5 fields where the header has 4",
		"a,2024-02-29,1":                                "missing_field 3 fields where the header has 4",
		"a,2023-02-29,1,":                               "bad_date date: 2023-02-29",
		"a,1900-02-29,1,":                               "bad_date date: 1900-02-29",
		"a,2024-00-10,1,":                               "bad_date date: 2024-00-10",
		"a,2024-04-31,1,":                               "bad_date date: 2024-04-31",
		"a,0000-01-01,1,":                               "bad_date date: 0000-01-01",
		"a,2024-2-9,1,":                                 "bad_date date: 2024-2-9",
		"a,20240209,1,":                                 "bad_date date: 20240209",
		"a,2024-02-09x,1,":                              "bad_date date: 2024-02-09x",
		"a,2024-02-09 24:00,1,":                         "bad_date date: 2024-02-09 24:00",
		"a,2024-02-09T10:00:61,1,":                      "bad_date date: 2024-02-09T10:00:61",
		"a,2024-02-09T10:00:00.,1,":                     "bad_date date: 2024-02-09T10:00:00.",
		"a,2024-02-09T10:00+5,1,":                       "bad_date date: 2024-02-09T10:00+5",
		"a,2024-02-09T10:00:00.x,1,":                    "bad_date date: 2024-02-09T10:00:00.x",
		"a,\x00\x00\x00\x00,1,":                         "bad_date date: \x00\x00\x00\x00",
		"a,infinity,1,":                                 "bad_date date: infinity",
		"a,2024-02-29,1,maybe":                          "bad_bool is_revenue: maybe",
		"a,2024-02-29,1,truest":                         "bad_bool is_revenue: truest",
		" ,2024-02-29,1,":                               "empty_field account_id is empty",
		"a,,1,":                                         "empty_field date is empty",
		"a,2024-02-29,\" \",":                           "empty_field amount is empty",
		"a\x00b,2024-02-29,1,":                          "nul_byte account_id: a\x00b",
		"a\xff,2024-02-29,1,":                           "invalid_utf8 account_id: a\uFFFD",
		"a\"b,2024-02-29,1,":                            "bare_quote account_id: a\"b",
		"a,\"2024-02-29\"\r,1,":                         "bare_quote date: \"2024-02-29\"\r",
		"a,\"2024-02-29\"x,1,":                          "bare_quote date: \"2024-02-29\"x",
		"a,2024-02-29," + long + ",":                    "bad_amount amount: " + long[:2*63] + "…",
		"a,2024-02-29," + long[:2*64] + ",":             "bad_amount amount: " + long[:2*64],
		"\"a\nb,2024-02-29,1,\nc\",\"2024-02-29\",1,no": "a\nb,2024-02-29,1,\nc 19782 100 false",
	} {
		for _, end := range []string{"", "\n", "\r\n"} {
			rows, err := outcome(t, header+"ok,2024-01-01,1,\n"+row+end, config(t, ""))
			if err != nil || len(rows) != 2 || rows[1] != want {
				t.Errorf("%q: got %q, %v; want %q", row, rows, err, want)
			}
		}
	}
}

// How a file is laid out, and one row of it.
func TestLayouts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ config, text, want string }{
		"plain":               {``, "account_id,date,amount\na,2024-01-01,1\n", "a 19723 100 true"},
		"order mark":          {``, "\ufeffaccount_id,date,amount\na,2024-01-01,1\n", "a 19723 100 true"},
		"folded names":        {``, "ACCOUNT-ID;\" Da te\";A_mount\na;2024-01-01;1", "a 19723 100 true"},
		"tab":                 {``, "amount\tdate\taccount\n1\t2024-01-01\ta", "a 19723 100 true"},
		"earlier header":      {``, "account_id;date;amount\naccount_id,date,amount\na;2024-01-01;1", "a 19723 100 true"},
		"pipe, wide":          {``, "x|x|amount|date|account_id|\n||1|2024-01-01|a|", "a 19723 100 true"},
		"own name first":      {``, "account,account_id,date,amount,value\nx,a,2024-01-01,1,9\n", "a 19723 100 true"},
		"german":              {`{"decimal_separator":","}`, "Kontonummer;Buchungstag;Betrag\na;2024-01-01;-1,5\n", "a 19723 -150 false"},
		"cyrillic":            {``, "НОМЕР СЧЕТА;Дата операции;Приход;Расход\na;2024-01-01;;1.5\n", "a 19723 -150 false"},
		"debit before value":  {``, "account_id,date,value,debit,credit\na,2024-01-01,77,5,0.00\n", "a 19723 -500 false"},
		"least debit":         {``, "account_id,date,debit,credit\na,2024-01-01,92233720368547758.08,\n", "a 19723 -9223372036854775808 false"},
		"amount before debit": {``, "account_id,date,amount,debit,credit\na,2024-01-01,7,5,\n", "a 19723 700 true"},
		"both":                {``, "account_id,date,debit,credit\nb,2024-01-01,1,\na,2024-01-01,1,1\n", "bad_amount credit: 1"},
		"neither":             {``, "account_id,date,debit,credit\nb,2024-01-01,1,\na,2024-01-01,,\n", "empty_field credit is empty"},
		"signed credit":       {``, "account_id,date,credit\nb,2024-01-01,1\na,2024-01-01,-1\n", "bad_amount credit: -1"},
		"signed debit":        {``, "account_id,date,debit\nb,2024-01-01,1\na,2024-01-01,-1\n", "bad_amount debit: -1"},
		"preamble":            {``, "Statement of \"May\"\n\nOwner;x\naccount_id,date,amount\na,2024-01-01,1\n", "a 19723 100 true"},
		"header line":         {`{"header_line":3}`, "\"open\naccount_id,date,amount\naccount,date,amount\na,2024-01-01,1\n", "a 19723 100 true"},
		"one account":         {`{"account_id":" A 1 "}`, "date,amount\n2024-01-01,1\n", "A 1 19723 100 true"},
		"by position":         {`{"columns":{"amount":3,"account_id":1}}`, "x,date,y\na,2024-01-01,1\n", "a 19723 100 true"},
		"by name":             {`{"columns":{"amount":"total sum"}}`, "account_id,date,amount,Total_Sum\na,2024-01-01,9,1\n", "a 19723 100 true"},
		"no header":           {`{"has_header":false,"columns":{"date":2,"amount":3,"account_id":1}}`, "\n b;2024-01-01;3,4\na;2024-01-01;1\n", "a 19723 100 true"},
		"delimiter":           {`{"delimiter":"^"}`, "account_id^date^amount\na^2024-01-01^1\n", "a 19723 100 true"},
		"thousands":           {`{"thousands_separator":","}`, "account_id;date;amount\na;2024-01-01;-1,234,567.8\n", "a 19723 -123456780 false"},
		"ungrouped":           {`{"thousands_separator":","}`, "account_id;date;amount\na;2024-01-01;1234\n", "a 19723 123400 true"},
		"badly grouped":       {`{"thousands_separator":","}`, "account_id;date;amount\nb;2024-01-01;1\na;2024-01-01;12,34\n", "bad_amount amount: 12,34"},
		"grouped later":       {`{"thousands_separator":","}`, "account_id;date;amount\nb;2024-01-01;1\na;2024-01-01;1234,567\n", "bad_amount amount: 1234,567"},
		"credit word":         {`{"direction":{"column":"t","credit":["IN"]}}`, "t,account_id,date,amount\n IN ,a,2024-01-01,1\n", "a 19723 100 true"},
		"no such word":        {`{"direction":{"column":"t","credit":["IN"]}}`, "t,account_id,date,amount\nIN,a,2024-01-01,1\nin,a,2024-01-01,1\n", "bad_direction t: in"},
		"signed by word":      {`{"direction":{"column":"t","credit":["IN"]}}`, "t,account_id,date,amount\nIN,a,2024-01-01,1\nIN,a,2024-01-01,-1\n", "bad_amount amount: -1"},
		"date form":           {`{"date_format":"YYYY年M月D日"}`, "account_id,date,amount\na,2024年1月1日,1\n", "a 19723 100 true"},
		"date form and time":  {`{"date_format":"DD.MM.YY HH:MM"}`, "account_id,date,amount\na,01.01.24 12:30:15,1\n", "a 19723 100 true"},
		"century":             {`{"date_format":"YYMMDD"}`, "account_id,date,amount\na,700101,1\n", "a 0 100 true"},
		"next century":        {`{"date_format":"YYMMDD"}`, "account_id,date,amount\na,691231,1\n", "a 36524 100 true"},
		"dates found":         {``, "account_id,date,amount\na,31/12/2023,1\na,01/01/2024,1\n", "a 19723 100 true"},
		"dates with time":     {``, "account_id,date,amount\na,20240101 10:00,1\n", "a 19723 100 true"},
	} {
		rows, err := outcome(t, test.text, config(t, test.config))
		if err != nil || len(rows) == 0 || rows[len(rows)-1] != test.want {
			t.Errorf("%s: got %q, %v; want %q", name, rows, err, test.want)
		}
	}
}

// Files that cannot be taken, and why.
func TestFileErrors(t *testing.T) {
	t.Parallel()
	wide := strings.Repeat("x,", 16_384)
	for name, test := range map[string]struct {
		config, text string
		code         parser.Code
		says         string
	}{
		"empty":           {``, "", parser.EmptyFile, ""},
		"order mark only": {``, "\ufeff\r\n \n", parser.EmptyFile, ""},
		"workbook":        {``, "PK\x03\x04\x14\x00", parser.Binary, "Excel"},
		"utf-16":          {``, "\xff\xfea\x00,\x00", parser.Binary, "UTF-16"},
		"zeros":           {``, "account" + strings.Repeat("\x00", 99), parser.Binary, "NUL"},
		"json":            {``, `[{"account_id":1}]`, parser.MissingColumn, "JSON"},
		"markup":          {``, "<html>\n<p>\n", parser.MissingColumn, "HTML"},
		"no header, zip":  {`{"has_header":false,"columns":{"date":1,"amount":2},"account_id":"a"}`, "PK\x03\x04", parser.Binary, "Excel"},
		"no header, wide": {`{"has_header":false,"columns":{"date":1,"amount":2},"account_id":"a"}`, wide, parser.TooManyColumns, "16385"},
		"no header, open": {`{"has_header":false,"columns":{"date":1,"amount":2},"account_id":"a"}`, "\n\"", parser.UnterminatedQuote, "line 2"},
		"many names":      {``, "account_id,date" + strings.Repeat(",x", 30) + "," + strings.Repeat("amount", 99), parser.MissingColumn, "and 13 more"},
		"no amount":       {``, "account_id,date,amuont\n", parser.MissingColumn, `nearest to amount is "amuont"`},
		"nearest":         {``, "account_id,date,amonut,amoun\n", parser.MissingColumn, `nearest to amount is "amoun"`},
		"date by a word":  {``, "CUSTOMER_ID,TRANSACTION_ID,account_id,amount,TX_DATETIME,update\n", parser.MissingColumn, `nearest to date is "TX_DATETIME"`},
		"account by word": {``, "id,date,amount,Source account\n", parser.MissingColumn, `nearest to account_id is "Source account"`},
		"slip before it":  {``, "account_id,date,amounts given,amuont\n", parser.MissingColumn, `nearest to amount is "amuont"`},
		"what was found":  {``, "title\nsum;when;who\n1;2;3", parser.MissingColumn, `"sum", "when", "who"`},
		"by name":         {`{"columns":{"description":"memo"}}`, "account_id,date,amount\n", parser.MissingColumn, "description"},
		"direction":       {`{"direction":{"column":"t","credit":["C"]}}`, "account_id,date,amount\n", parser.MissingColumn, "direction"},
		"position":        {`{"has_header":false,"columns":{"date":1,"amount":9},"account_id":"a"}`, "1,2\n", parser.MissingColumn, "column 9"},
		"header line":     {`{"header_line":3}`, "a\nb\n\n", parser.MissingColumn, "line 3"},
		"past the end":    {`{"header_line":30}`, "a\nb\n\n", parser.MissingColumn, "30"},
		"too late":        {``, strings.Repeat("x\n", 64) + header, parser.MissingColumn, ""},
		"twice":           {``, "account_id,date,amount,AMOUNT\n", parser.DuplicateColumn, `"AMOUNT" (column 4)`},
		"synonyms":        {``, "account_id,Booking Date,Posting date,amount\n", parser.DuplicateColumn, "Booking Date"},
		"optional twice":  {``, "account_id,date,amount,is_revenue,isRevenue\n", parser.DuplicateColumn, "is_revenue"},
		"too wide":        {``, wide + header, parser.TooManyColumns, "16384"},
		"open header":     {``, "\"account_id,date,amount\n", parser.UnterminatedQuote, "line 1"},
		"open row":        {``, header + "a,2024-01-01,1,\n\n\"x\n\",\"", parser.UnterminatedQuote, "line 5"},
		"dates":           {``, "account_id,date,amount\na,01/02/2024,1\n", parser.AmbiguousDate, "M/D/YYYY"},
		"no valid row":    {``, header + "a,b,c,d\n", parser.NoValidRows, "1 rows"},
		"first reject":    {`{"on_error":{"mode":"abort"}}`, header + "a,2024-01-01,1,\n,,,\n", parser.TooManyRejects, "line 3"},
		"second reject":   {`{"on_error":{"max_rows":1}}`, header + "a,2024-01-01,1,\n,,,\n,,,\n", parser.TooManyRejects, "line 4"},
		"share":           {`{"on_error":{"max_ratio":0.5}}`, header + "a,2024-01-01,1,\n,,,\n,,,\n", parser.TooManyRejects, "2 of 3"},
	} {
		_, err := outcome(t, test.text, config(t, test.config))
		if code(err) != test.code || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %s and %q", name, err, test.code, test.says)
		}
	}
}

func TestPolicyGrants(t *testing.T) {
	t.Parallel()
	rows := strings.Repeat("a,2024-01-01,1,\n", 71) + strings.Repeat(",,,\n", 29)
	for _, text := range []string{
		``, `{"on_error":{"mode":"continue"}}`, `{"on_error":{"max_rows":29}}`, `{"on_error":{"max_ratio":0.29}}`,
		`{"on_error":{"mode":"abort","max_rows":29,"max_ratio":1}}`,
	} {
		if got, err := outcome(t, header+rows, config(t, text)); err != nil || len(got) != 100 {
			t.Errorf("%s: %d rows, %v", text, len(got), err)
		}
	}
	if rows, err := outcome(t, header, config(t, `{"on_error":{"max_ratio":0}}`)); err != nil || rows != nil {
		t.Errorf("header only: %q, %v", rows, err)
	}
}

func TestNoAccount(t *testing.T) {
	t.Parallel()
	cfg := config(t, "")
	cfg.NoAccount, cfg.CurrencyExponent = true, 0
	rows, err := outcome(t, "date,amount,account_id\n2024-01-01,12.0,\n", cfg)
	if err != nil || rows[0] != " 19723 12 true" {
		t.Errorf("got %q, %v", rows, err)
	}
}

func TestSourceError(t *testing.T) {
	t.Parallel()
	torn := errors.New("torn")
	rows := strings.Repeat("a,2024-01-01,1,\n", 100_000)
	r, err := parser.NewReader(io.MultiReader(strings.NewReader(header+rows+"half"), iotest.ErrReader(torn)), config(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	for range r.All() {
	}
	_, err = r.Read(make([]parser.Record, 1))
	if s := r.Stats(); !errors.Is(err, torn) || s.Accepted != 100_000 || s.Rejected != 0 {
		t.Errorf("got %v, %+v", err, s)
	}
	if _, err := parser.NewReader(iotest.ErrReader(torn), config(t, "")); !errors.Is(err, torn) {
		t.Errorf("got %v", err)
	}
}

func TestAllStops(t *testing.T) {
	t.Parallel()
	r, err := parser.NewReader(strings.NewReader(header+strings.Repeat("a,2024-01-01,1,\n", 9)), config(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range r.All() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d records after a break at 3", n)
	}
}

func TestOnRejectError(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	r, err := parser.NewReader(strings.NewReader(header+"a,2024-01-01,1,\n,,,\na,2024-01-01,1,\n"), config(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	r.OnReject = func(*parser.Reject) error { return full }
	n, err := r.Read(make([]parser.Record, 9))
	if n != 1 || !errors.Is(err, full) {
		t.Errorf("got %d, %v", n, err)
	}
	if n, err := r.Read(make([]parser.Record, 9)); n != 0 || !errors.Is(err, full) {
		t.Errorf("again: got %d, %v", n, err)
	}
}

func TestLayoutAndStats(t *testing.T) {
	t.Parallel()
	text := "\ufeffMy bank\n\nAccount;date;\"amount\";x\na;2024-01-01;1;\n;;;\n;\n"
	r, err := parser.NewReader(strings.NewReader(text), config(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	l := r.Layout()
	columns := map[parser.Column]int{parser.AccountID: 1, parser.Date: 2, parser.Amount: 3}
	if l.Delimiter != ';' || l.HeaderLine != 3 || strings.Join(l.Header, " ") != "Account date amount x" || !maps.Equal(l.Columns, columns) ||
		l.DateFormat != "YYYY-MM-DD" || l.DecimalSeparator != '.' || l.ThousandsSeparator != 0 {
		t.Errorf("layout %+v", l)
	}
	records := make([]parser.Record, 2)
	n, err := r.Read(records)
	if n != 1 || records[0].Line != 4 || records[0].Offset != int64(strings.Index(text, "a;2024")) {
		t.Errorf("%d records, %v: %+v", n, err, records)
	}
	if n, err := r.Read(records); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d, %v", n, err)
	}
	s := r.Stats()
	reasons := map[parser.Reason]int64{parser.EmptyField: 1, parser.MissingField: 1}
	if s.Accepted != 1 || s.Rejected != 2 || s.Lines != 6 || s.Bytes != int64(len(text)) || !maps.Equal(s.ByReason, reasons) {
		t.Errorf("stats %+v", s)
	}
}

// Reading a row allocates nothing: a file ten times as long costs no more.
func TestAllocations(t *testing.T) {
	read := func(rows int) float64 {
		text := string(transactions(rows))
		cfg, batch := config(t, ""), make([]parser.Record, 512)
		return testing.AllocsPerRun(5, func() {
			r, err := parser.NewReader(strings.NewReader(text), cfg)
			for err == nil {
				_, err = r.Read(batch)
			}
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		})
	}
	if few, many := read(20_000), read(200_000); many > few+10 {
		t.Errorf("%v allocations for 20,000 rows, %v for 200,000", few, many)
	}
}
