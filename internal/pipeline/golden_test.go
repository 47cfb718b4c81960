package pipeline_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"math/big"
	"os"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/money"
)

// goldenSettings are what a user must say of each of the three real files.
var goldenSettings = map[string]struct{ data, parse string }{
	"berka_trans_49102": {"transactions/berka_trans_49102.asc", `{"columns":{"account_id":"account_id"},"date_format":"YYMMDD",
		"direction":{"column":"type","credit":["PRIJEM"],"debit":["VYDAJ","VYBER"]}}`},
	"anz_us_dates": {"transactions/anz_us_dates.csv", `{"columns":{"account_id":"account","date":"date"},"date_format":"M/D/YY",
		"direction":{"column":"movement","credit":["credit"],"debit":["debit"]}}`},
	"fraud_handbook_2018-04": {
		"transactions/fraud_handbook_2018-04.csv.gz",
		`{"columns":{"account_id":"CUSTOMER_ID","date":"TX_DATETIME","debit":"TX_AMOUNT"}}`,
	},
}

// TestGolden holds the sums of the real files to the cent, day by day, and a
// decision for each of their accounts.
func TestGolden(t *testing.T) {
	t.Parallel()
	var golden map[string]struct {
		Rows     int64  `json:"rows"`
		Accounts int    `json:"accounts"`
		Pairs    int64  `json:"account_date_pairs"`
		Last     string `json:"last_date"`
	}
	text, err := os.ReadFile(sharedData(t, "golden/golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	for name, set := range goldenSettings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := os.ReadFile(sharedData(t, set.data))
			if err != nil {
				t.Fatal(err)
			}
			o, want := job{file: file, parse: set.parse}.run(t), golden[name]
			if o.err != nil {
				t.Fatal(o.err)
			}
			if o.Accepted != want.Rows || o.Rejected != 0 || o.Accounts != want.Accounts || o.Aggregates != want.Pairs || iso(o.AsOf) != want.Last {
				t.Errorf("%d rows, %d rejected, %d accounts, %d aggregates, as of %s; want %+v",
					o.Accepted, o.Rejected, o.Accounts, o.Aggregates, iso(o.AsOf), want)
			}
			compareGolden(t, name, o)
			if decided := o.Tally.Approved + o.Tally.Declined; len(o.offers) != want.Accounts || decided != int64(want.Accounts) || o.Tally.Skipped != 0 {
				t.Errorf("%d decisions, %+v, for %d accounts", len(o.offers), o.Tally, want.Accounts)
			}
			if name == "fraud_handbook_2018-04" && (o.Tally.Approved != 0 || o.Compression != "gzip") {
				t.Errorf("approved %d accounts without revenue; compression %q", o.Tally.Approved, o.Compression)
			}
		})
	}
}

// compareGolden compares every account and day, and the order of both.
func compareGolden(t *testing.T, name string, o outcome) {
	t.Helper()
	type sums struct{ net, revenue, count string }
	want := map[string]sums{}
	for _, r := range goldenRows(t, name) {
		want[r[0]+" "+r[1]] = sums{cents(t, r[5]), cents(t, r[3]), r[2]}
	}
	before := ""
	for _, r := range o.aggregates {
		key := r.AccountID + " " + iso(r.Day)
		got := sums{r.Total.String(), r.Revenue.String(), strconv.FormatInt(r.Count, 10)}
		if w, ok := want[key]; !ok || got != w {
			t.Fatalf("%s: %+v, want %+v", key, got, w)
		}
		if key <= before {
			t.Fatalf("%s comes after %s", key, before)
		}
		before = key
		delete(want, key)
	}
	if len(want) > 0 {
		t.Errorf("%d aggregates are missing", len(want))
	}
	for i := 1; i < len(o.offers); i++ {
		if o.offers[i].AccountID <= o.offers[i-1].AccountID {
			t.Fatalf("offer of %s comes after %s", o.offers[i].AccountID, o.offers[i-1].AccountID)
		}
	}
}

func goldenRows(t *testing.T, name string) [][]string {
	t.Helper()
	path := "golden/" + name + ".by_account_date.csv"
	if name == "fraud_handbook_2018-04" {
		path += ".gz"
	}
	text, err := os.ReadFile(sharedData(t, path))
	if err != nil {
		t.Fatal(err)
	}
	var r io.Reader = bytes.NewReader(text)
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(r); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

// cents turns a decimal of the golden files into minor units.
func cents(t *testing.T, text string) string {
	t.Helper()
	v, ok := new(big.Rat).SetString(text)
	if !ok || !v.Mul(v, big.NewRat(100, 1)).IsInt() {
		t.Fatalf("%q is no amount", text)
	}
	i, ok := money.FromBig(v.Num())
	if !ok {
		t.Fatalf("%q does not fit", text)
	}
	return i.String()
}
