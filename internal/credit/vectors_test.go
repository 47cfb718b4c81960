package credit_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/credit"
	"sluice/internal/money"
)

// vector is one case of testdata/credit_vectors.json.
type vector struct {
	Name          string          `json:"name"`
	Config        json.RawMessage `json:"config"`
	GroupBy       []string        `json:"group_by"`
	ReferenceDate string          `json:"reference_date"`
	Rows          []vectorRow     `json:"rows"`
	Expect        vectorResult    `json:"expect"`
}

type vectorRow struct {
	account string
	day     int32
	amount  int64
	revenue bool
}

func (r *vectorRow) UnmarshalJSON(text []byte) error {
	var date string
	var revenue *bool
	err := json.Unmarshal(text, &[]any{&r.account, &date, &r.amount, &revenue})
	r.day = dayOf(date)
	r.revenue = r.amount > 0
	if revenue != nil {
		r.revenue = *revenue
	}
	return err
}

type vectorResult struct {
	AsOf       string           `json:"as_of"`
	FutureRows int              `json:"future_rows"`
	Decisions  []vectorDecision `json:"decisions"`
}

type vectorDecision struct {
	AccountID        *string          `json:"account_id"`
	Date             *string          `json:"date"`
	Decision         string           `json:"decision"`
	OfferType        string           `json:"offer_type"`
	AmountMinor      int64            `json:"amount_minor"`
	Amount           json.Number      `json:"amount"`
	InterestRate     *json.Number     `json:"interest_rate"`
	CreditScore      int              `json:"credit_score"`
	RiskLevel        credit.Level     `json:"risk_level"`
	TransactionCount int64            `json:"transaction_count"`
	AsOf             string           `json:"as_of"`
	Months           int              `json:"months"`
	WindowTotal      json.Number      `json:"window_total"`
	WindowRevenue    json.Number      `json:"window_revenue"`
	FactorsPPM       map[string]int64 `json:"factors_ppm"`
	CVPPM            *int64           `json:"cv_ppm"`
	CompositePPM     int64            `json:"composite_ppm"`
	ReasonCodes      []credit.Reason  `json:"reason_codes"`
}

func TestVectors(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/credit_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields() // so that no expected field goes unread
	var vectors []vector
	if err := decoder.Decode(&vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) != 23 {
		t.Fatalf("%d vectors, want 23", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(v.Expect, v.run(t)); diff != "" {
				t.Errorf("decisions (-want +got):\n%s", diff)
			}
		})
	}
}

// run does what the pipeline does around the model.
func (v *vector) run(t *testing.T) (result vectorResult) {
	t.Helper()
	config := parse(t, string(v.Config))
	group, err := credit.ParseGroupBy(v.GroupBy)
	if err != nil {
		t.Fatal(err)
	}
	series, asOf, future := v.series(config, group)
	result.FutureRows, result.AsOf = future, dateOf(asOf)
	model := credit.NewModel(config)
	for _, account := range slices.Sorted(maps.Keys(series)) {
		var id *string
		if group.HasAccount() {
			id = &account
		}
		if config.PerDate(group) {
			for d, ok := range model.DecideEach(series[account], asOf) {
				if date := dateOf(d.AsOf); ok {
					result.Decisions = append(result.Decisions, render(config, id, &date, d))
				}
			}
		} else if d, ok := model.Decide(series[account], asOf); ok {
			result.Decisions = append(result.Decisions, render(config, id, nil, d))
		}
	}
	return result
}

// series sums the rows that the future rule leaves, per account and day.
func (v *vector) series(c credit.Config, g credit.GroupBy) (byAccount map[string][]credit.Day, asOf int32, future int) {
	byAccount = make(map[string][]credit.Day)
	asOf, fixed := c.AsOf()
	slices.SortStableFunc(v.Rows, func(a, b vectorRow) int { return int(a.day - b.day) })
	for _, r := range v.Rows {
		if r.day > dayOf(v.ReferenceDate)+int32(c.FutureToleranceDays()) {
			future++
			continue
		}
		if !fixed {
			asOf = r.day
		}
		if !g.HasAccount() {
			r.account = ""
		}
		days := byAccount[r.account]
		if len(days) == 0 || days[len(days)-1].Day != r.day {
			days = append(days, credit.Day{Day: r.day})
		}
		last := &days[len(days)-1]
		last.Total = last.Total.AddInt64(r.amount)
		if r.revenue {
			last.Revenue = last.Revenue.AddInt64(r.amount)
		}
		last.Count++
		byAccount[r.account] = days
	}
	return byAccount, asOf, future
}

func render(c credit.Config, account, date *string, d credit.Decision) vectorDecision {
	amount := string(money.FromInt64(d.AmountMinor).AppendDecimal(nil, c.Exponent()))
	r := vectorDecision{
		AccountID: account, Date: date, Decision: "declined", OfferType: d.OfferType,
		AmountMinor: d.AmountMinor, Amount: json.Number(strings.TrimSuffix(amount, ".00")),
		CreditScore: d.CreditScore, RiskLevel: d.RiskLevel, TransactionCount: d.TransactionCount,
		AsOf: dateOf(d.AsOf), Months: d.Months,
		WindowTotal: json.Number(d.WindowTotal.String()), WindowRevenue: json.Number(d.WindowRevenue.String()),
		FactorsPPM: map[string]int64{
			"transaction_volume": d.VolumePPM, "revenue_ratio": d.RatioPPM, "consistency": d.ConsistencyPPM,
		},
		CompositePPM: d.CompositePPM, ReasonCodes: d.ReasonCodes,
	}
	if d.Approved {
		rate := json.Number(c.InterestRate(d.RiskLevel))
		r.Decision, r.InterestRate = "approved", &rate
	}
	if d.CVPPM >= 0 {
		r.CVPPM = &d.CVPPM
	}
	return r
}

func parse(t testing.TB, text string) credit.Config {
	t.Helper()
	c, err := credit.ParseConfig([]byte(text))
	if err != nil {
		t.Fatalf("ParseConfig(%s): %v", text, err)
	}
	return c
}

func dayOf(date string) int32 {
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err)
	}
	return int32(d.Unix() / 86400)
}

func dateOf(day int32) string {
	return time.Unix(int64(day)*86400, 0).UTC().Format(time.DateOnly)
}
