package pipeline_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/pipeline"
)

// vector is a case of credit_vectors.json, which is the specification.
type vector struct {
	Name      string          `json:"name"`
	Config    json.RawMessage `json:"config"`
	GroupBy   json.RawMessage `json:"group_by"`
	Reference string          `json:"reference_date"`
	Rows      [][]any         `json:"rows"`
	Expect    struct {
		AsOf       string     `json:"as_of"`
		FutureRows int64      `json:"future_rows"`
		Decisions  []decision `json:"decisions"`
	} `json:"expect"`
}

type decision struct {
	AccountID *string  `json:"account_id"`
	Date      *string  `json:"date"`
	Decision  string   `json:"decision"`
	OfferType string   `json:"offer_type"`
	Amount    int64    `json:"amount_minor"`
	Score     int      `json:"credit_score"`
	Level     string   `json:"risk_level"`
	Count     int64    `json:"transaction_count"`
	AsOf      string   `json:"as_of"`
	Months    int      `json:"months"`
	Total     int64    `json:"window_total"`
	Revenue   int64    `json:"window_revenue"`
	Composite int64    `json:"composite_ppm"`
	Reasons   []string `json:"reason_codes"`
}

func newDecision(o *pipeline.Offer) decision {
	d := decision{
		Decision: "declined", OfferType: o.OfferType, Amount: o.AmountMinor, Score: o.CreditScore, Level: string(o.RiskLevel),
		Count: o.TransactionCount, AsOf: iso(o.Decision.AsOf), Months: o.Months, Composite: o.CompositePPM, Reasons: []string{},
	}
	d.Total, _ = o.WindowTotal.Int64()
	d.Revenue, _ = o.WindowRevenue.Int64()
	if o.Approved {
		d.Decision = "approved"
	}
	if o.HasAccount {
		d.AccountID = &o.AccountID
	}
	if o.HasDay {
		date := iso(o.Day)
		d.Date = &date
	}
	for _, code := range o.ReasonCodes {
		d.Reasons = append(d.Reasons, string(code))
	}
	return d
}

// csv writes the rows of a vector as a file; order says which comes when.
func (v *vector) csv(order func(rows []string)) []byte {
	rows := make([]string, len(v.Rows))
	for i, r := range v.Rows {
		revenue := ""
		if r[3] != nil {
			revenue = fmt.Sprint(r[3])
		}
		rows[i] = fmt.Sprintf("%s,%s,%.2f,%s", r[0], r[1], r[2].(float64)/100, revenue)
	}
	order(rows)
	return lines(append([]string{"account_id,date,amount,is_revenue"}, rows...)...)
}

// TestVectors takes the specification's cases through the whole path, as the
// files they would be, with their rows in one order and in another.
func TestVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../credit/testdata/credit_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) != 23 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		for name, order := range map[string]func([]string){"as written": func([]string) {}, "turned round": slices.Reverse[[]string]} {
			t.Run(v.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				o := job{
					file: v.csv(order), credit: string(v.Config), aggregate: fmt.Sprintf(`{"group_by":%s}`, v.GroupBy), reference: dayOf(t, v.Reference),
				}.run(t)
				if o.err != nil {
					t.Fatal(o.err)
				}
				if !o.HasAsOf || iso(o.AsOf) != v.Expect.AsOf || o.FutureRows != v.Expect.FutureRows {
					t.Errorf("as of %s, %d future rows", iso(o.AsOf), o.FutureRows)
				}
				var got []decision
				for i := range o.offers {
					got = append(got, newDecision(&o.offers[i]))
				}
				if d := cmp.Diff(v.Expect.Decisions, got); d != "" {
					t.Errorf("decisions (-want +got):\n%s", d)
				}
			})
		}
	}
}

// spread is three accounts over more than a month, one of them in the future
// of 2024-03-10 alone.
var spread = lines("account_id,date,amount",
	"b,2024-01-10,100.00", "b,2024-03-01,50.00", "b,2024-03-01,-20.00", "a,2024-02-09,10.00", "a,2024-03-10,5.00", "a,2024-03-11,7.00",
	"c,2024-03-12,900.00", "b,2024-03-12,1.00")

func TestGrouping(t *testing.T) {
	t.Parallel()
	both := "a 2024-02-09 1000 1000 1\na 2024-03-10 500 500 1\na 2024-03-11 700 700 1\n" +
		"b 2024-01-10 10000 10000 1\nb 2024-03-01 3000 5000 2\nb 2024-03-12 100 100 1\nc 2024-03-12 90000 90000 1"
	dates := "- 2024-01-10 10000 10000 1\n- 2024-02-09 1000 1000 1\n- 2024-03-01 3000 5000 2\n- 2024-03-10 500 500 1\n" +
		"- 2024-03-11 700 700 1\n- 2024-03-12 90100 90100 2"
	for _, c := range []struct{ aggregate, credit, sums, offers, asOf string }{
		{``, ``, both, "a - b -", "2024-03-11"},
		{``, `{"offer_scope":"group"}`, both, "a 2024-02-09 a 2024-03-10 a 2024-03-11 b 2024-01-10 b 2024-03-01", "2024-03-11"},
		{`{"group_by":"account_id"}`, ``, "a - 2200 2200 3\nb - 13100 15100 4\nc - 90000 90000 1", "a - b -", "2024-03-11"},
		{`{"group_by":"account_id"}`, `{"offer_scope":"group"}`, "a - 2200 2200 3\nb - 13100 15100 4\nc - 90000 90000 1", "a - b -", "2024-03-11"},
		{`{"group_by":"date"}`, ``, dates, "- 2024-01-10 - 2024-02-09 - 2024-03-01 - 2024-03-10 - 2024-03-11", "2024-03-11"},
		{`{"group_by":"date"}`, `{"offer_scope":"entity"}`, dates, "- -", "2024-03-11"},
		{``, `{"future_tolerance_days":2}`, both, "a - b - c -", "2024-03-12"},
		{``, `{"as_of":"2024-02-09"}`, both, "a - b -", "2024-02-09"},
		{``, `{"as_of":"2024-12-31"}`, both, "a - b -", "2024-12-31"},
		{``, `{"as_of":"2023-12-31"}`, both, "", "2023-12-31"},
		{`{"date_range":"last_11_days"}`, ``, "a 2024-03-10 500 500 1\na 2024-03-11 700 700 1\nb 2024-03-01 3000 5000 2", "a - b -", "2024-03-11"},
		{`{"date_range":"last_10_days"}`, ``, "a 2024-03-10 500 500 1\na 2024-03-11 700 700 1", "a -", "2024-03-11"},
		{`{"date_range":"last_10_days","group_by":"account_id"}`, ``, "a - 1200 1200 2", "a -", "2024-03-11"},
		{`{"date_range":"last_2_days","group_by":"date"}`, ``, "- 2024-03-10 500 500 1\n- 2024-03-11 700 700 1", "- 2024-03-10 - 2024-03-11", "2024-03-11"},
	} {
		o := job{file: spread, aggregate: c.aggregate, credit: c.credit, reference: dayOf(t, "2024-03-10")}.run(t)
		if o.err != nil || o.sums() != c.sums || iso(o.AsOf) != c.asOf || o.Aggregates != int64(len(o.aggregates)) {
			t.Errorf("%s %s: %v, as of %s, %d aggregates\n%s", c.aggregate, c.credit, o.err, iso(o.AsOf), o.Aggregates, o.sums())
		}
		if got := o.whose(); got != c.offers {
			t.Errorf("%s %s: offers %q, want %q", c.aggregate, c.credit, got, c.offers)
		}
		if want := map[bool]int64{true: 0, false: 2}[strings.Contains(c.credit, "tolerance")]; o.FutureRows != want {
			t.Errorf("%s %s: %d future rows", c.aggregate, c.credit, o.FutureRows)
		}
	}
}

// whose lists the account and the date of each offer.
func (o outcome) whose() string {
	var names []string
	for _, offer := range o.offers {
		account, date := "-", "-"
		if offer.HasAccount {
			account = offer.AccountID
		}
		if offer.HasDay {
			date = iso(offer.Day)
		}
		names = append(names, account, date)
	}
	return strings.Join(names, " ")
}

func TestNoAccountColumnIsNeededWhenPooled(t *testing.T) {
	t.Parallel()
	o := job{file: lines("date,amount", "2024-01-05,1", "2024-01-05,-3"), aggregate: `{"group_by":["date"]}`}.run(t)
	if o.err != nil || o.sums() != "- 2024-01-05 -200 100 2" || o.Accounts != 1 {
		t.Errorf("%v, %d accounts, %q", o.err, o.Accounts, o.sums())
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	o := job{file: spread, reference: dayOf(t, "2024-03-10")}.run(t)
	want := pipeline.Tally{Declined: 2, Skipped: 1}
	if o.Tally != want {
		t.Errorf("%+v, want %+v", o.Tally, want)
	}
	for range o.Result.Offers() {
		break
	}
	again := 0
	for range o.Result.Offers() {
		again++
	}
	if o.Tally != want || again != len(o.offers) {
		t.Errorf("run again, %d offers, %+v", again, o.Tally)
	}
	o = job{file: spread, reference: dayOf(t, "2023-12-31"), aggregate: `{"date_range":"last_30_days"}`}.run(t)
	if o.err != nil || o.HasAsOf || o.FutureRows != 8 || len(o.aggregates) != 7 || o.Tally != (pipeline.Tally{Skipped: 3}) {
		t.Errorf("all in the future: %v, as of %v, %d future rows, %d aggregates, %+v", o.err, o.HasAsOf, o.FutureRows, len(o.aggregates), o.Tally)
	}
	o = job{file: spread, parse: `{"dry_run":true}`}.run(t)
	if o.err != nil || len(o.offers) != 0 || o.Tally != (pipeline.Tally{}) || o.Accepted != 8 || len(o.aggregates) == 0 {
		t.Errorf("dry run: %v, %d offers, %+v, %d rows", o.err, len(o.offers), o.Tally, o.Accepted)
	}
}
