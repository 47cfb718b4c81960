package parser_test

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/parser"
)

// sharedData opens a file of the test data that lies beside the repository,
// inflated when its name ends in .gz.
func sharedData(t testing.TB, name string) io.Reader {
	t.Helper()
	root, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		root = filepath.Dir(root)
	}
	f, err := os.Open(filepath.Join(root, "../shared/data", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no test data: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if !strings.HasSuffix(name, ".gz") {
		return f
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// config reads a parse_config that a test takes for good.
func config(t testing.TB, text string) parser.Config {
	t.Helper()
	cfg, err := parser.ParseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

type accountDay struct {
	account string
	day     int32
}

type sums struct{ rows, in, out int64 }

// golden reads account_id,date,n,sum_revenue,sum_expense,net by other means
// than the package under test.
func golden(t testing.TB, name string) map[accountDay]sums {
	t.Helper()
	rows, err := csv.NewReader(sharedData(t, "golden/"+name)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	cents := func(s string) int64 {
		whole, fraction, _ := strings.Cut(s, ".")
		n, err := strconv.ParseInt(whole+(fraction + "00")[:2], 10, 64)
		if err != nil || len(fraction) > 2 {
			t.Fatalf("golden amount %q: %v", s, err)
		}
		return n
	}
	want := map[accountDay]sums{}
	for _, row := range rows[1:] {
		date, err := time.Parse(time.DateOnly, row[1])
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseInt(row[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		key := accountDay{account: row[0], day: int32(date.Unix() / 86400)}
		want[key] = sums{rows: n, in: cents(row[3]), out: cents(row[4])}
	}
	return want
}

// realFiles are exports as they came, with the settings they need.
var realFiles = []struct {
	name, file, golden, config string
	rows                       int64
	dateFormat                 string
}{
	{
		name: "berka", file: "transactions/berka_trans_49102.asc", golden: "berka_trans_49102.by_account_date.csv",
		config: `{"date_format":"YYMMDD","direction":{"column":"type","credit":["PRIJEM"],"debit":["VYDAJ","VYBER"]}}`,
		rows:   49_102, dateFormat: "YYMMDD",
	},
	{
		name: "berka, date form found", file: "transactions/berka_trans_49102.asc", golden: "berka_trans_49102.by_account_date.csv",
		config: `{"direction":{"column":"type","credit":["PRIJEM"],"debit":["VYDAJ","VYBER"]}}`,
		rows:   49_102, dateFormat: "YYMMDD",
	},
	{
		name: "anz", file: "transactions/anz_us_dates.csv", golden: "anz_us_dates.by_account_date.csv",
		config: `{"date_format":"M/D/YY","direction":{"column":"movement","credit":["credit"],"debit":["debit"]}}`,
		rows:   12_043, dateFormat: "M/D/YY",
	},
	{
		name: "handbook", file: "transactions/fraud_handbook_2018-04.csv.gz", golden: "fraud_handbook_2018-04.by_account_date.csv.gz",
		config: `{"columns":{"account_id":"CUSTOMER_ID","date":"TX_DATETIME","debit":"TX_AMOUNT"}}`,
		rows:   288_062, dateFormat: "YYYY-MM-DD",
	},
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, test := range realFiles {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := golden(t, test.golden)
			r, err := parser.NewReader(sharedData(t, test.file), config(t, test.config))
			if err != nil {
				t.Fatal(err)
			}
			r.OnReject = func(reject *parser.Reject) error {
				t.Errorf("line %d: %s: %s", reject.Line, reject.Reason, reject.Detail())
				return nil
			}
			got := map[accountDay]sums{}
			for record, err := range r.All() {
				if err != nil {
					t.Fatal(err)
				}
				key := accountDay{account: string(record.Account), day: record.Day}
				s := got[key]
				s.rows++
				s.in += max(record.Amount, 0)
				s.out -= min(record.Amount, 0)
				got[key] = s
			}
			if len(got) != len(want) {
				t.Errorf("got %d account days, want %d", len(got), len(want))
			}
			for key, w := range want {
				if got[key] != w {
					t.Fatalf("%+v: got %+v, want %+v", key, got[key], w)
				}
			}
			if s := r.Stats(); s.Accepted != test.rows {
				t.Errorf("stats %+v, want %d rows", s, test.rows)
			}
			if l := r.Layout(); l.DateFormat != test.dateFormat {
				t.Errorf("date form %q, want %q", l.DateFormat, test.dateFormat)
			}
		})
	}
}

// The US dates of the first 1,000 rows are all in the first days of a month.
func TestGoldenAmbiguousDate(t *testing.T) {
	t.Parallel()
	_, err := parser.NewReader(sharedData(t, "transactions/anz_us_dates.csv"), config(t, ""))
	if e := new(parser.FileError); !errors.As(err, &e) || e.Code != parser.AmbiguousDate {
		t.Fatalf("got %v, want %s", err, parser.AmbiguousDate)
	}
}
