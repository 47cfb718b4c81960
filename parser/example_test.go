package parser_test

import (
	"fmt"
	"log"
	"strings"

	"sluice/parser"
)

func Example() {
	file := strings.NewReader(`Statement of May 2024
Buchungstag;Betrag;Kontonummer
02.05.2024;1.200,00;DE42
03.05.2024;-3,50;DE42
31.06.2024;-3,50;DE42
`)
	cfg, err := parser.ParseConfig([]byte(`{"decimal_separator":",", "thousands_separator":".", "date_format":"DD.MM.YYYY"}`))
	if err != nil {
		log.Fatal(err)
	}
	r, err := parser.NewReader(file, cfg)
	if err != nil {
		log.Fatal(err)
	}
	r.OnReject = func(reject *parser.Reject) error {
		fmt.Println("line", reject.Line, reject.Reason, "in", reject.Detail())
		return nil
	}
	var total int64
	for record, err := range r.All() {
		if err != nil {
			log.Fatal(err)
		}
		total += record.Amount
	}
	fmt.Println(r.Stats().Accepted, "rows,", total, "cents")
	// Output:
	// line 5 bad_date in Buchungstag: 31.06.2024
	// 2 rows, 119650 cents
}

// A file mostly says by itself how it is to be read.
func ExampleReader_Layout() {
	r, err := parser.NewReader(strings.NewReader(`Statement of May 2024
Buchungstag;Betrag;Kontonummer
13.05.2024;1.200,00;DE42
14.05.2024;-3,50;DE42
`), parser.Config{CurrencyExponent: 2})
	if err != nil {
		log.Fatal(err)
	}
	l := r.Layout()
	fmt.Printf("%q, header in line %d, account in column %d\n", l.Delimiter, l.HeaderLine, l.Columns[parser.AccountID])
	fmt.Println(l.DateFormat, l.AmountForm)
	// Output:
	// ';', header in line 2, account in column 3
	// D.M.YYYY -1.234,56
}

// Many goroutines read one file, each into a sum of its own.
func ExampleReader_Each() {
	file := strings.NewReader("account_id,date,amount\n" + strings.Repeat("A,2024-01-05,10.00\nB,2024-01-05,-2.50\n", 50_000))
	cfg, err := parser.ParseConfig(nil)
	if err != nil {
		log.Fatal(err)
	}
	r, err := parser.NewReader(file, cfg)
	if err != nil {
		log.Fatal(err)
	}
	sums := make([]int64, 4)
	err = r.Each(len(sums), func(worker int, batch []parser.Record) error {
		for i := range batch {
			sums[worker] += batch[i].Amount
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Stats().Accepted, "rows,", sums[0]+sums[1]+sums[2]+sums[3], "cents")
	// Output:
	// 100000 rows, 37500000 cents
}
