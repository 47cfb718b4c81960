package gateway_test

import (
	"bytes"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/aggregate"
	"sluice/internal/job"
	"sluice/internal/money"
)

// someSums are n rows of sums, four days to an account.
func someSums(n int) (rows []aggregate.Row) {
	for i := range n {
		rows = append(rows, aggregate.Row{
			AccountID: fmt.Sprintf("acc-%05d", i/4), HasAccount: true, Day: int32(19_000 + i%4), HasDate: true,
			Total: money.FromInt64(int64(i)*37 - 1000), Revenue: money.FromInt64(int64(i) * 11), Count: int64(i % 9),
		})
	}
	return rows
}

func TestAggregatesInEveryForm(t *testing.T) {
	t.Parallel()
	s := start(t)
	sums := someSums(2_345) // three row groups
	path := "/api/jobs/" + s.completed(outcome{exponent: 2, rows: sums}) + "/aggregates/"
	for name, c := range map[string]struct {
		query  url.Values
		want   int
		limits []int
	}{
		"all":             {nil, 2_345, []int{997, 469}},
		"account":         {url.Values{"account_id": {"acc-00250"}}, 4, []int{1, 3, 4}}, // on a border of row groups
		"last account":    {url.Values{"account_id": {"acc-00586"}}, 1, []int{1}},
		"unknown account": {url.Values{"account_id": {"acc"}}, 0, []int{1}},
	} {
		rows := s.walk(path, "aggregates", c.query, 1000)
		if len(rows) != c.want {
			t.Errorf("%s: got %d rows, want %d", name, len(rows), c.want)
		}
		for _, limit := range c.limits {
			if diff := cmp.Diff(rows, s.walk(path, "aggregates", c.query, limit)); diff != "" {
				t.Errorf("%s: pages of %d: %s", name, limit, diff)
			}
		}
		if diff := cmp.Diff(rows, s.lines(path+"?"+c.query.Encode())); diff != "" && c.want > 0 {
			t.Errorf("%s: NDJSON: %s", name, diff)
		}
		table := s.table(path + "?" + c.query.Encode())
		if diff := cmp.Diff(tableOf(t, table[0], rows), table); diff != "" {
			t.Errorf("%s: CSV: %s", name, diff)
		}
	}

	a := s.get(path, "application/vnd.apache.parquet")
	file, err := aggregate.Open(strings.NewReader(a.body), int64(len(a.body)))
	if err != nil {
		t.Fatal(err)
	}
	var inFile []aggregate.Row
	for r, err := range file.All(nil) {
		if err != nil {
			t.Fatal(err)
		}
		inFile = append(inFile, r)
	}
	if diff := cmp.Diff(sums, inFile, cmp.Comparer(func(a, b money.Int) bool { return a == b })); diff != "" {
		t.Errorf("Parquet: %s", diff)
	}
	if got := a.header.Get("Content-Length"); got != fmt.Sprint(len(a.body)) || !strings.Contains(a.header.Get("Content-Disposition"), ".parquet") {
		t.Errorf("Parquet comes with %v", a.header)
	}
}

func TestAggregateIsExact(t *testing.T) {
	t.Parallel()
	s := start(t)
	limit, _ := new(big.Int).SetString(strings.Repeat("9", 38), 10)
	most, _ := money.FromBig(limit)
	rows := []aggregate.Row{
		{AccountID: "\u00e9 & <b>", HasAccount: true, Day: -719_528, HasDate: true, Total: most, Revenue: most.Neg(), Count: 1 << 62},
		{AccountID: "\u00e9 & <b>", HasAccount: true, Day: 2_932_896, HasDate: true, Total: money.FromInt64(5), Revenue: money.FromInt64(-100), Count: 1},
	}
	nines := strings.Repeat("9", 36) + ".99"
	want := []string{
		`{"account_id":"é & <b>","date":"0000-01-01","total_amount":` + nines + `,"revenue_amount":-` + nines + `,"transaction_count":4611686018427387904}`,
		`{"account_id":"é & <b>","date":"9999-12-31","total_amount":0.05,"revenue_amount":-1.00,"transaction_count":1}`,
	}
	path := "/api/jobs/" + s.completed(outcome{exponent: 2, rows: rows}) + "/aggregates/"
	if diff := cmp.Diff(want, s.lines(path)); diff != "" {
		t.Error(diff)
	}
	if got := s.walk(path, "aggregates", nil, 1); !slices.Equal(got, want) {
		t.Errorf("pages hold %v", got)
	}
	path = "/api/jobs/" + s.completed(outcome{exponent: 0, rows: rows[1:]}) + "/aggregates/"
	if got := s.lines(path); !strings.Contains(got[0], `"total_amount":5,"revenue_amount":-100,`) {
		t.Errorf("without decimals: %v", got)
	}
}

func TestAggregatesOfOtherGroupings(t *testing.T) {
	t.Parallel()
	s := start(t)
	for want, row := range map[string]aggregate.Row{
		`{"account_id":null,"date":"1970-01-02","total_amount":1,"revenue_amount":0,"transaction_count":2}`: {Day: 1, HasDate: true, Total: money.FromInt64(1), Count: 2},
		`{"account_id":"a","date":null,"total_amount":1,"revenue_amount":0,"transaction_count":2}`:          {AccountID: "a", HasAccount: true, Total: money.FromInt64(1), Count: 2},
	} {
		id := s.completed(outcome{rows: []aggregate.Row{row}})
		if got := s.lines("/api/jobs/" + id + "/aggregates/"); !slices.Equal(got, []string{want}) {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

// What cannot be told to its end is cut, so that the client sees an error and
// not a list that lacks rows.
func TestBrokenStreamIsCut(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := parquetOf(t, 2, someSums(2_000)) // two row groups, each beyond what is held back
	second := len(file)/2 + 100
	copy(file[second:], bytes.Repeat([]byte{0xff}, len(file)/8))
	path := "/api/jobs/" + s.completed(outcome{exponent: 2, parquet: file}) + "/aggregates/"
	for _, media := range []string{"text/csv", "application/x-ndjson"} {
		a, err := s.try("GET", path, fields{"Accept": media}, nil)
		if err == nil {
			t.Errorf("%s: the answer of %d bytes ends as if it were whole: %d", media, len(a.body), a.status)
		}
		if len(a.body) == 0 {
			t.Errorf("%s: nothing was sent, so a problem could have been", media)
		}
	}
}

func TestLostFileIsAProblem(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.completed(outcome{rows: someSums(3), rejects: "line,reason,detail\n"})
	if err := s.bucket.Delete(t.Context(), job.ResultPrefix(job.DefaultTenant, id)+"1/aggregates.parquet", job.ResultPrefix(job.DefaultTenant, id)+"1/rejects.csv"); err != nil {
		t.Fatal(err)
	}
	for _, accept := range []string{"application/json", "text/csv", "application/vnd.apache.parquet"} {
		a := s.get("/api/jobs/"+id+"/aggregates/", accept)
		wantProblem(t, a, 500, accept)
		if a.header.Get("Content-Disposition") != "" || strings.Contains(a.body, "parquet") {
			t.Errorf("%s: %v %s", accept, a.header, a.body)
		}
	}
	wantProblem(t, s.get("/api/jobs/"+id+"/rejects/"), 500, "rejects")
}
