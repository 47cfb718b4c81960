package main_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/devstack/devtest"
)

// realFile is a bank's own export and how it is read.
type realFile struct {
	path, golden   string
	args           []string
	rows, accounts int
	declined       bool // all of them: the file has no revenue
}

func realFiles(t *testing.T) map[string]realFile {
	t.Helper()
	config := filepath.Join(t.TempDir(), "anz.json")
	err := os.WriteFile(config, []byte(`{"columns":{"account_id":"account"},"date_format":"M/D/YY",
		"direction":{"column":"movement","credit":["credit"],"debit":["debit"]}}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]realFile{
		"berka by flags": {
			path: "berka_trans_49102.asc", golden: "berka_trans_49102.by_account_date.csv",
			args: []string{
				"--date-format=YYMMDD", "--direction=type", "--credit-values=PRIJEM", "--debit-values=VYDAJ,VYBER",
				"--column=account_id=account_id",
			},
			rows: 49_102, accounts: 1_229,
		},
		"anz by parse_config": {
			path: "anz_us_dates.csv", golden: "anz_us_dates.by_account_date.csv",
			args: []string{"--parse-config=@" + config},
			rows: 12_043, accounts: 100,
		},
		"handbook, gzipped": {
			path: "fraud_handbook_2018-04.csv.gz", golden: "fraud_handbook_2018-04.by_account_date.csv.gz",
			args: []string{"--column=account_id=CUSTOMER_ID", "--column=date=TX_DATETIME", "--column=debit=TX_AMOUNT"},
			rows: 288_062, accounts: 4_959, declined: true,
		},
	}
}

// TestRealFiles: from a bank's file to offers through the real binary, equal to
// sums made by other means to the cent, and a decision for every account.
func TestRealFiles(t *testing.T) {
	t.Parallel()
	s := serve(t, stackEnv(t), "127.0.0.1:0")
	t.Run("files", func(t *testing.T) {
		for name, f := range realFiles(t) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				path, golden := devtest.SharedData(t, "transactions/"+f.path), devtest.SharedData(t, "golden/"+f.golden)
				f.check(t, s.url, golden, upload(t, s.url, append(f.args, path)...))
			})
		}
	})
	s.stop(t)
}

// check compares everything the job made with the golden sums.
func (f realFile) check(t *testing.T, url, golden, id string) {
	t.Helper()
	var status struct {
		RowsAccepted int `json:"rows_accepted"`
		RowsRejected int `json:"rows_rejected"`
	}
	if err := json.Unmarshal(fetch(t, url+"/api/jobs/"+id+"/status/", "application/json"), &status); err != nil {
		t.Fatal(err)
	}
	if status.RowsAccepted != f.rows || status.RowsRejected != 0 {
		t.Errorf("rows: %+v, want %d accepted", status, f.rows)
	}
	want := map[string]string{}
	for _, row := range readTable(t, golden) {
		want[row["account_id"]+" "+row["date"]] = plain(row["net"]) + " " + plain(row["sum_revenue"]) + " " + row["n"]
	}
	got := map[string]string{}
	for _, row := range table(t, fetch(t, url+"/api/jobs/"+id+"/aggregates/", "text/csv")) {
		got[row["account_id"]+" "+row["date"]] = plain(row["total_amount"]) + " " + plain(row["revenue_amount"]) + " " + row["transaction_count"]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("aggregates differ from the golden ones:\n%.2000s", diff)
	}
	accounts := map[string]bool{}
	for _, row := range table(t, fetch(t, url+"/api/jobs/"+id+"/offers/?decision=all", "text/csv")) {
		if accounts[row["account_id"]] {
			t.Errorf("account %s is decided twice", row["account_id"])
		}
		accounts[row["account_id"]] = true
		if f.declined && row["decision"] != "declined" {
			t.Errorf("account %s is %s without revenue", row["account_id"], row["decision"])
		}
	}
	if len(accounts) != f.accounts {
		t.Errorf("%d accounts decided, want %d", len(accounts), f.accounts)
	}
}

// fetch returns the body of a GET that must be answered 200.
func fetch(t testing.TB, url, accept string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v\n%.500s", url, resp.Status, err, body)
	}
	return body
}

// readTable reads a CSV file, gzipped or not, by its header.
func readTable(t testing.TB, path string) []map[string]string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".gz") {
		inflated, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body, err = io.ReadAll(inflated); err != nil {
			t.Fatal(err)
		}
	}
	return table(t, body)
}

func table(t testing.TB, body []byte) []map[string]string {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil || len(records) == 0 {
		t.Fatalf("read CSV: %v in %.200q", err, body)
	}
	rows := make([]map[string]string, len(records)-1)
	for i, record := range records[1:] {
		rows[i] = map[string]string{}
		for column, name := range records[0] {
			rows[i][name] = record[column]
		}
	}
	return rows
}

// plain is a decimal without the zeros that end its fraction: 600.00 is 600.
func plain(decimal string) string {
	if strings.Contains(decimal, ".") {
		decimal = strings.TrimSuffix(strings.TrimRight(decimal, "0"), ".")
	}
	return decimal
}
