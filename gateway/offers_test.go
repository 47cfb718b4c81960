package gateway_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/job"
)

// walk follows next_cursor through a list and returns its rows, each as the
// text that the page held.
func (s *server) walk(path, list string, query url.Values, limit int) (rows []string) {
	s.t.Helper()
	query = cloneQuery(query)
	query.Set("limit", fmt.Sprint(limit))
	for {
		var page map[string]json.RawMessage
		s.read(path+"?"+query.Encode(), &page)
		var some []json.RawMessage
		decode(s.t, string(page[list]), &some)
		for _, r := range some {
			rows = append(rows, string(r))
		}
		var next *string
		decode(s.t, string(page["next_cursor"]), &next)
		if len(some) > limit || len(some) < limit && next != nil {
			s.t.Fatalf("a page of %d has %d rows", limit, len(some))
		}
		if next == nil {
			return rows
		}
		query.Set("cursor", *next)
	}
}

func cloneQuery(q url.Values) url.Values {
	c := url.Values{}
	for k, v := range q {
		c[k] = slices.Clone(v)
	}
	return c
}

// lines returns the NDJSON of a list.
func (s *server) lines(path string) []string {
	s.t.Helper()
	a := s.get(path, "application/x-ndjson")
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "application/x-ndjson") {
		s.t.Fatalf("%s as NDJSON: %d %s", path, a.status, a.body)
	}
	return slices.DeleteFunc(strings.Split(a.body, "\n"), func(l string) bool { return l == "" })
}

// table returns the CSV of a list, header first.
func (s *server) table(path string) [][]string {
	s.t.Helper()
	a := s.get(path, "text/csv")
	if a.status != 200 || a.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(a.header.Get("Content-Disposition"), ".csv") {
		s.t.Fatalf("%s as CSV: %d %v %s", path, a.status, a.header, a.body)
	}
	records, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil {
		s.t.Fatal(err)
	}
	return records
}

// tableOf writes JSON rows as the CSV must have them: objects flattened,
// lists joined by spaces, null empty, numbers as they stand.
func tableOf(t *testing.T, header []string, rows []string) [][]string {
	t.Helper()
	out := [][]string{header}
	for _, r := range rows {
		var row map[string]any
		decode(t, r, &row)
		if factors, ok := row["factors"].(map[string]any); ok {
			maps.Copy(row, factors)
		}
		record := make([]string, len(header))
		for i, name := range header {
			switch v := row[name].(type) {
			case nil:
			case []any:
				record[i] = strings.Trim(fmt.Sprint(v), "[]")
			default:
				record[i] = fmt.Sprint(v)
			}
		}
		out = append(out, record)
	}
	return out
}

var levels = []string{"LOW", "MEDIUM", "HIGH"}

// someOffers are n offers in order, every third declined.
func someOffers(n int) (offers []job.Offer) {
	for i := range n {
		o := job.Offer{
			AccountID: fmt.Sprintf("acc-%05d", i), Day: job.NoDay, Approved: true, RiskLevel: levels[i%2], AmountMinor: int64(i) * 1050,
			CreditScore: 300 + i, TransactionCount: int64(i), Months: 12, AsOfDay: 19_782,
			CompositePPM: 818_218, VolumePPM: 500_000, RatioPPM: 1_000_000, ConsistencyPPM: int64(i), ReasonCodes: []string{"SHORT_HISTORY", "LOW_REVENUE_RATIO"},
		}
		if i%3 == 0 {
			o.Approved, o.RiskLevel, o.AmountMinor, o.ReasonCodes = false, "HIGH", 0, nil
		}
		offers = append(offers, o)
	}
	return offers
}

func TestOffersInEveryForm(t *testing.T) {
	t.Parallel()
	s := start(t)
	path := "/api/jobs/" + s.completed(outcome{exponent: 2, offers: someOffers(100)}) + "/offers/"
	for name, c := range map[string]struct {
		query string
		want  int
	}{
		"approved by default": {"", 66},
		"approved":            {"decision=approved", 66},
		"declined":            {"decision=declined", 34},
		"all":                 {"decision=all", 100},
		"level":               {"decision=all&risk_level=MEDIUM", 33},
		"level of approved":   {"risk_level=HIGH", 0},
		"account":             {"decision=all&account_id=acc-00007", 1},
		"declined account":    {"account_id=acc-00006", 0},
		"unknown account":     {"decision=all&account_id=acc", 0},
		"no account":          {"decision=all&account_id=", 0},
	} {
		query, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		rows := s.walk(path, "offers", query, 1000)
		if len(rows) != c.want {
			t.Errorf("%s: got %d offers, want %d", name, len(rows), c.want)
		}
		for _, limit := range []int{7, 33, 66} {
			if diff := cmp.Diff(rows, s.walk(path, "offers", query, limit)); diff != "" {
				t.Errorf("%s: pages of %d: %s", name, limit, diff)
			}
		}
		if diff := cmp.Diff(rows, s.lines(path+"?"+c.query)); diff != "" && c.want > 0 {
			t.Errorf("%s: NDJSON: %s", name, diff)
		}
		table := s.table(path + "?" + c.query)
		if diff := cmp.Diff(tableOf(t, table[0], rows), table); diff != "" {
			t.Errorf("%s: CSV: %s", name, diff)
		}
	}
	if got := s.walk(path, "offers", url.Values{"decision": {"all"}}, 1); len(got) != 100 {
		t.Errorf("pages of one: %d offers", len(got))
	}
}

func TestOfferIsExact(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.completed(outcome{exponent: 2, offers: []job.Offer{
		{
			AccountID: "A&<1>", Day: job.NoDay, Approved: true, RiskLevel: "LOW", AmountMinor: 9_007_199_254_740_993, CreditScore: 750, TransactionCount: 360,
			Months: 12, AsOfDay: 20_077, CompositePPM: 818_218, VolumePPM: 631_250, RatioPPM: 885_728, ConsistencyPPM: 1_000_000,
		},
		{
			AccountID: "B", Day: job.NoDay, RiskLevel: "HIGH", CreditScore: 306, TransactionCount: 12, Months: 12, AsOfDay: 20_077,
			CompositePPM: 10_000, VolumePPM: 25_000, ReasonCodes: []string{"NO_REVENUE"},
		},
		{AccountID: "C", Day: job.NoDay, Approved: true, RiskLevel: "LOW", AmountMinor: 1_000_000, Months: 1, AsOfDay: -719_528},
	}})
	want := []string{
		`{"account_id":"A&<1>","date":null,"offer_type":"credit_line","amount":90071992547409.93,"interest_rate":0.0500,"credit_score":750,"risk_level":"LOW","transaction_count":360,"decision":"approved","months":12,"composite":0.818218,"factors":{"transaction_volume":0.63125,"revenue_ratio":0.885728,"consistency":1},"reason_codes":[],"as_of":"2024-12-20","model_version":"v2.1"}`,
		`{"account_id":"B","date":null,"offer_type":"credit_line","amount":0,"interest_rate":null,"credit_score":306,"risk_level":"HIGH","transaction_count":12,"decision":"declined","months":12,"composite":0.01,"factors":{"transaction_volume":0.025,"revenue_ratio":0,"consistency":0},"reason_codes":["NO_REVENUE"],"as_of":"2024-12-20","model_version":"v2.1"}`,
		`{"account_id":"C","date":null,"offer_type":"credit_line","amount":10000,"interest_rate":0.0500,"credit_score":0,"risk_level":"LOW","transaction_count":0,"decision":"approved","months":1,"composite":0,"factors":{"transaction_volume":0,"revenue_ratio":0,"consistency":0},"reason_codes":[],"as_of":"0000-01-01","model_version":"v2.1"}`,
	}
	if diff := cmp.Diff(want, s.lines("/api/jobs/"+id+"/offers/?decision=all")); diff != "" {
		t.Error(diff)
	}
	want = []string{strings.Replace(want[0], "90071992547409.93", "9007199254740993", 1)}
	id = s.completed(outcome{exponent: 0, offers: []job.Offer{{
		AccountID: "A&<1>", Day: job.NoDay, Approved: true, RiskLevel: "LOW", AmountMinor: 9_007_199_254_740_993, CreditScore: 750, TransactionCount: 360,
		Months: 12, AsOfDay: 20_077, CompositePPM: 818_218, VolumePPM: 631_250, RatioPPM: 885_728, ConsistencyPPM: 1_000_000,
	}}})
	if diff := cmp.Diff(want, s.walk("/api/jobs/"+id+"/offers/", "offers", nil, 5)); diff != "" {
		t.Error(diff)
	}
}

func TestOffersOfDates(t *testing.T) {
	t.Parallel()
	s := start(t)
	var offers []job.Offer
	for day := range int32(20) {
		offers = append(offers, job.Offer{Day: day - 10, Approved: true, RiskLevel: "LOW", AsOfDay: day - 10})
	}
	path := "/api/jobs/" + s.completed(outcome{offers: offers}) + "/offers/"
	rows := s.walk(path, "offers", nil, 3)
	if len(rows) != 20 || !strings.HasPrefix(rows[0], `{"account_id":null,"date":"1969-12-22",`) || !strings.HasPrefix(rows[19], `{"account_id":null,"date":"1970-01-10",`) {
		t.Errorf("got %d offers: %v", len(rows), rows)
	}
	if diff := cmp.Diff(rows, s.lines(path)); diff != "" {
		t.Error(diff)
	}
}

func TestSummaryOfOffers(t *testing.T) {
	t.Parallel()
	s := start(t)
	config := `{"big":123456789012345678901234567890.10,"interest_rates":{},"offer_type":"credit_line"}`
	id := s.completed(outcome{exponent: 2, config: config, offers: someOffers(1)})
	want := `{"offers":[],"pipeline_summary":{"transactions_processed":12,"rows_rejected":3,"future_rows":1,"aggregates_created":0,"offers_generated":2,"declined":1,"skipped":4,"duration_seconds":1.234},` +
		`"credit_model_results":{"engine":"cashflow-1","model_version":"v2.1","as_of":"2024-02-29","config_sha256":"` + strings.Repeat("ab", 32) + `","config_used":` + config + `},"next_cursor":null}` + "\n"
	if got := s.get("/api/jobs/" + id + "/offers/").body; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOffersSorted(t *testing.T) {
	t.Parallel()
	s := start(t)
	path := "/api/jobs/" + s.completed(outcome{exponent: 2, offers: someOffers(30)}) + "/offers/"
	first := func(rows []string) string {
		return strings.SplitN(rows[0], `"`, 5)[3] + " " + strings.SplitN(rows[len(rows)-1], `"`, 5)[3]
	}
	for sort, want := range map[string]string{
		"account_id": "acc-00000 acc-00029", "-account_id": "acc-00029 acc-00000",
		"amount": "acc-00000 acc-00029", "-amount": "acc-00029 acc-00027", // of those declined, whose amount is 0, the last
		"credit_score": "acc-00000 acc-00029", "-credit_score": "acc-00029 acc-00000",
		"risk_level": "acc-00002 acc-00027", "-risk_level": "acc-00000 acc-00028",
	} {
		query := url.Values{"decision": {"all"}, "sort": {sort}}
		rows := s.walk(path, "offers", query, 1000)
		if got := first(rows); got != want || len(rows) != 30 {
			t.Errorf("%s: %d offers from and to %s, want %s", sort, len(rows), got, want)
		}
		for _, limit := range []int{1, 7, 30} {
			if diff := cmp.Diff(rows, s.walk(path, "offers", query, limit)); diff != "" {
				t.Errorf("%s: pages of %d: %s", sort, limit, diff)
			}
		}
	}
	var page struct {
		Next string `json:"next_cursor"`
	}
	s.read(path+"?limit=1&sort=-amount", &page)
	for _, query := range []string{"sort=amount", "", "sort=-credit_score"} {
		wantProblem(t, s.get(path+"?"+query+"&cursor="+page.Next), http.StatusBadRequest, "a cursor of another order: "+query)
	}
	for _, sort := range []string{"balance", "--amount", "-", "Amount", "amount,account_id"} {
		wantProblem(t, s.get(path+"?sort="+sort), http.StatusBadRequest, sort)
	}
	wantProblem(t, s.get(path+"?sort=amount", "text/csv"), http.StatusBadRequest, "CSV in another order")
}

// A spreadsheet must not run what a file's account column says, and numbers
// must stay numbers.
func TestCSVHoldsNoFormula(t *testing.T) {
	t.Parallel()
	s := start(t)
	var offers []job.Offer
	for _, id := range []string{"\tx", "+1,000.5", "+x", "-", "-12", "=1+1", "@x", "a,\"b\"", "a=b", "\n=1", "\uFF1D1+1", "\uFF0Bx", "\uFF0D1", "\uFF20x", "\uFF21", "-5"} {
		offers = append(offers, job.Offer{AccountID: id, Day: job.NoDay, Approved: true, RiskLevel: "LOW"})
	}
	var got []string
	for _, record := range s.table("/api/jobs/" + s.completed(outcome{offers: offers}) + "/offers/")[1:] {
		got = append(got, record[0])
	}
	want := []string{"'\tx", "'\n=1", "+1,000.5", "'+x", "'-", "-12", "-5", "'=1+1", "'@x", "a,\"b\"", "a=b", "'\uFF0Bx", "'\uFF0D1", "'\uFF1D1+1", "'\uFF20x", "\uFF21"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAcceptDecidesTheForm(t *testing.T) {
	t.Parallel()
	s := start(t)
	path := "/api/jobs/" + s.completed(outcome{}) + "/aggregates/"
	for accept, want := range map[string]string{
		"":              "application/json",
		"*/*":           "application/json",
		"application/*": "application/json",
		"text/html,application/xhtml+xml,*/*;q=0.8": "application/json",
		"text/*":                                 "text/csv; charset=utf-8",
		"text/csv; charset=utf-8":                "text/csv; charset=utf-8",
		"TEXT/CSV":                               "text/csv; charset=utf-8",
		"application/json;q=0.5, text/csv;q=0.6": "text/csv; charset=utf-8",
		"text/csv;q=0.5, application/x-ndjson":   "application/x-ndjson; charset=utf-8",
		"*/*, application/json;q=0":              "text/csv; charset=utf-8",
		"application/vnd.apache.parquet":         "application/vnd.apache.parquet",
		"text/csv;q=NaN, application/json;q=0.1": "application/json",
		";;;, application/x-ndjson":              "application/x-ndjson; charset=utf-8",
	} {
		a := s.get(path, accept)
		if a.status != 200 || a.header.Get("Content-Type") != want || a.header.Get("Vary") != "Accept" {
			t.Errorf("Accept %q: %d %s, want %s", accept, a.status, a.header.Get("Content-Type"), want)
		}
	}
}

func BenchmarkStreamOfOffers(b *testing.B) {
	s := start(b)
	const count = 20_000
	path := "/api/jobs/" + s.completed(outcome{exponent: 2, offers: someOffers(count)}) + "/offers/?decision=all"
	for _, media := range []string{"application/x-ndjson", "text/csv"} {
		b.Run(media, func(b *testing.B) {
			for b.Loop() {
				if a := s.get(path, media); strings.Count(a.body, "\n") < count {
					b.Fatal("rows are missing")
				}
			}
			b.ReportMetric(float64(b.N)*count/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
