package pipeline_test

import (
	"encoding/json"
	"os"
	"testing"

	"sluice/internal/aggregate"
	"sluice/internal/money"
)

// one is the setting that most exports need: they are of one account, and do
// not say which.
const one = `{"account_id":"1"}`

// bankConfigs is what a user must say of each sample export; "" = nothing.
var bankConfigs = map[string]string{
	"bank2ynab/20171001-20171106.csv":                                 `{"account_id":"1"}`, // Kontonummer is the other party's
	"bank2ynab/2018-04-14_10-52-13_bunq-transactieoverzicht.csv":      ``,
	"bank2ynab/20180226-1000594757-umsatz.CSV":                        ``,
	"bank2ynab/20180226_12345678.csv":                                 `{"account_id":"1","date_format":"DD/MM/YYYY"}`,
	"bank2ynab/2019-03-02_11-50-46_bunq-statement.csv":                ``,
	"bank2ynab/MonzoDataExport_February2018_2018-02-26_174335.csv":    one,
	"bank2ynab/TH_20180521-20180523.csv":                              one,
	"bank2ynab/Umsaetze_KtoNr538917600_EUR_02-03-2018_1503.CSV":       `{"date_format":"DD.MM.YYYY"}`,
	"bank2ynab/dba33fceecd62c3c727893361e0ba4d3.P000000027355791.csv": `{"account_id":"1","has_header":false,"columns":{"date":1,"debit":3,"credit":4}}`,
	"bank2ynab/export_BE11123456789012_20180304_1422.csv":             ``,
	"bank2ynab/statement_1.csv":                                       `{"account_id":"1","has_header":false,"columns":{"date":1,"credit":6,"debit":7}}`,
	"bank2ynab/test_BOI_TransactionExport.csv":                        one,
	"bank2ynab/test_headers.csv":                                      `{"account_id":"1","date_format":"DD.MM.YYYY","decimal_separator":",","thousands_separator":"."}`, // its footer is as wide as a row
	"bank2ynab/test_raiffeisen_01.csv":                                `{"account_id":"1","has_header":false,"columns":{"date":1,"amount":4}}`,
	"bank2ynab/test_row_format_CD_flag.csv": `{"account_id":"1","has_header":false,"columns":{"date":1,"amount":4},"date_format":"DD.MM.YYYY","decimal_separator":",",
		"direction":{"column":5,"credit":["I"],"debit":["O","EUR"]}}`,
	"beancount-import/examples/data/importers/bank.csv":         one,
	"beancount-import/examples/data/importers/creditcard.csv":   one,
	"beangulp/beangulp/file_type_testdata/example.csv":          one,
	"beangulp/examples/tests/csvbank/statement.csv":             one,
	"beangulp/examples/tests/utrade/UTrade20140713.csv":         one,
	"csv2ofx/capitalone.csv":                                    ``,
	"csv2ofx/gls.csv":                                           `{"date_format":"DD.MM.YYYY"}`,
	"csv2ofx/ingesp.csv":                                        one,
	"csv2ofx/mint.csv":                                          `{"thousands_separator":","}`,
	"csv2ofx/n26-fr.csv":                                        ``,
	"csv2ofx/pcmastercard.csv":                                  `{"columns":{"debit":"Amount"}}`, // positive is spending
	"csv2ofx/stripe-default.csv":                                one,
	"csv2ofx/xero.csv":                                          ``,
	"hledger/csv/apps/monefy.csv":                               `{"thousands_separator":",","date_format":"DD/MM/YYYY"}`,
	"hledger/csv/banking/csb43.csv":                             ``,
	"hledger/csv/other/stripe.csv":                              one,
	"ofxstatement-austrian/easybank-creditcard.csv":             `{"has_header":false,"columns":{"account_id":1,"date":3,"amount":5}}`,
	"ofxstatement-austrian/ing-diba.csv":                        ``,
	"ofxstatement-austrian/raiffeisen.csv":                      `{"account_id":"1","has_header":false,"columns":{"date":1,"amount":4}}`,
	"ofxstatement-de-ing/test_without_saldo_1.csv":              one,
	"ofxstatement-dutch/ing_ok.csv":                             ``,
	"ofxstatement-dutch/ing_ok_Mutatiesoort_Extra_Unquoted.csv": ``,
	"ofxstatement-revolut/2021-october.csv":                     one,
	"ofxstatement-russian/alfabank.csv":                         `{"encoding":"windows-1251","decimal_separator":","}`,
	"reckon/data_fixtures/austrian_example.csv":                 `{"has_header":false,"columns":{"account_id":1,"date":3,"amount":5}}`,
	"reckon/data_fixtures/broker_canada_example.csv":            `{"account_id":"1","has_header":false,"columns":{"date":1,"amount":9}}`,
	"reckon/data_fixtures/english_date_example.csv":             `{"account_id":"1","has_header":false,"columns":{"date":1,"debit":4,"credit":5}}`,
	"reckon/data_fixtures/french_example.csv":                   `{"has_header":false,"columns":{"account_id":1,"date":2,"amount":5}}`,
	"reckon/data_fixtures/ing.csv": `{"has_header":false,"columns":{"account_id":3,"date":1,"amount":7},"ragged":true,
		"direction":{"column":6,"credit":["Bij"],"debit":["Af"]}}`,
	"reckon/data_fixtures/intuit_mint_example.csv": `{"has_header":false,"columns":{"account_id":7,"date":1,"amount":4},
		"direction":{"column":5,"credit":["credit"],"debit":["debit"]}}`,
	"reckon/data_fixtures/suntrust.csv":          `{"account_id":"1","has_header":false,"columns":{"date":1,"debit":4,"credit":5}}`,
	"reckon/data_fixtures/two_money_columns.csv": `{"account_id":"1","has_header":false,"columns":{"date":1,"debit":4,"credit":5}}`,
}

// bankTotals are what a sample holds, to the cent.
type bankTotals struct {
	Rows   int64  `json:"rows"`
	Others int64  `json:"non_transaction_rows"`
	In     string `json:"sum_in"`
	Out    string `json:"sum_out"`
	First  string `json:"first_date"`
	Last   string `json:"last_date"`
}

// csb43 is the one sample without totals; they were added up by hand.
var csb43 = bankTotals{Rows: 2, In: "1500.00", Out: "500.00", First: "2019-11-02", Last: "2019-11-10"}

// TestBankSamples reads exports of 47 banks, as importers keep them for their
// own tests.
func TestBankSamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(sharedData(t, "bank_samples/GOLDEN.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden map[string]bankTotals
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	golden["hledger/csv/banking/csb43.csv"] = csb43
	if len(golden) != len(bankConfigs) {
		t.Errorf("%d samples, %d configurations", len(golden), len(bankConfigs))
	}
	for name, want := range golden {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := os.ReadFile(sharedData(t, "bank_samples/"+name))
			if err != nil {
				t.Fatal(err)
			}
			config, ok := bankConfigs[name]
			o := job{file: file, parse: config}.run(t)
			if !ok || o.err != nil {
				t.Fatalf("configured %t: %v\n%s", ok, o.err, o.rejects)
			}
			if got := totals(t, o); got != want.inCents(t) {
				t.Errorf("got %+v, want %+v\n%s%+v", got, want.inCents(t), o.rejects, o.Layout)
			}
		})
	}
}

func (b bankTotals) inCents(t *testing.T) bankTotals {
	t.Helper()
	b.In, b.Out = cents(t, b.In), cents(t, b.Out)
	return b
}

// totals adds the aggregates up: what is not revenue went out.
func totals(t *testing.T, o outcome) bankTotals {
	t.Helper()
	got := bankTotals{Rows: o.Accepted, Others: o.Rejected}
	var in, net money.Int
	for _, r := range o.aggregates {
		in, net = in.Add(r.Revenue), net.Add(r.Total)
		got.span(r)
	}
	got.In, got.Out = in.String(), in.Sub(net).String()
	return got
}

func (b *bankTotals) span(r aggregate.Row) {
	day := iso(r.Day)
	if b.First == "" || day < b.First {
		b.First = day
	}
	b.Last = max(b.Last, day)
}
