package credit_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sluice/internal/credit"
	"sluice/internal/money"
)

// history is a shop's account over some days: sales, and costs every third.
func history(days int) []credit.Day {
	r := rand.New(rand.NewPCG(11, 12))
	series := make([]credit.Day, days)
	for i := range series {
		sales := money.FromInt64(20_000 + r.Int64N(30_000))
		series[i] = credit.Day{Day: dayOf("2023-01-01") + int32(i), Total: sales, Revenue: sales, Count: 1 + r.Int64N(5)}
		if i%3 == 0 {
			series[i].Total = sales.AddInt64(-60_000)
		}
	}
	return series
}

func Example() {
	config, err := credit.ParseConfig([]byte(`{"risk_threshold": 0.75}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	cents := money.FromInt64
	days := []credit.Day{
		{Day: 20002, Total: cents(600_00), Revenue: cents(1000_00), Count: 2},  // October 2024
		{Day: 20032, Total: cents(1200_00), Revenue: cents(2000_00), Count: 2}, // November
		{Day: 20062, Total: cents(1200_00), Revenue: cents(3000_00), Count: 2}, // December
	}
	d, ok := credit.NewModel(config).Decide(days, 20080)
	fmt.Println(ok, d.Approved, d.CreditScore, d.RiskLevel, d.AmountMinor, config.InterestRate(d.RiskLevel))
	for _, reason := range d.ReasonCodes {
		fmt.Println(reason, "-", reason.Text())
	}
	// Output:
	// true true 590 MEDIUM 100000 0.09
	// LOW_TRANSACTION_VOLUME - Average monthly revenue or number of transactions
	// INCONSISTENT_REVENUE - Month-to-month variation of revenue
	// LOW_REVENUE_RATIO - Non-revenue flows high in relation to revenue
}

func TestNothingToDecide(t *testing.T) {
	t.Parallel()
	days := history(10)
	include, exclude := credit.NewModel(parse(t, "")), credit.NewModel(parse(t, `{"partial_month":"exclude"}`))
	if d, ok := include.Decide(nil, days[0].Day); ok {
		t.Errorf("decided on no days: %+v", d)
	}
	if d, ok := include.Decide(days, days[0].Day-1); ok {
		t.Errorf("decided on days that are all after as_of: %+v", d)
	}
	if d, ok := exclude.Decide(days, days[9].Day); ok {
		t.Errorf("decided on an account that began in the month left out: %+v", d)
	}
	if d, ok := exclude.Decide(days, dayOf("2023-01-31")); !ok || d.Months != 1 {
		t.Errorf("a month that is over was left out: %v %+v", ok, d)
	}
	for d, ok := range include.DecideEach(days, days[0].Day-1) {
		t.Errorf("yielded a day after as_of: %v %+v", ok, d)
	}
}

// TestTies puts the composite, 0.7 here, exactly on each threshold and one
// millionth below it: a tie goes to the better side.
func TestTies(t *testing.T) {
	t.Parallel()
	revenue := money.FromInt64(5_000_00)
	days := []credit.Day{{Day: 30, Total: revenue, Revenue: revenue, Count: 1}, {Day: 60, Count: 1}, {Day: 90, Count: 1}}
	for _, c := range []struct {
		thresholds string // decline, medium, risk
		level      credit.Level
		approved   bool
	}{
		{`"decline_threshold":0.3,"medium_threshold":0.5,"risk_threshold":0.7`, credit.Low, true},
		{`"decline_threshold":0.3,"medium_threshold":0.7,"risk_threshold":0.700001`, credit.Medium, true},
		{`"decline_threshold":0.7,"medium_threshold":0.700001,"risk_threshold":0.8`, credit.High, true},
		{`"decline_threshold":0.700001,"medium_threshold":0.75,"risk_threshold":0.8`, credit.High, false},
	} {
		model := credit.NewModel(parse(t, `{"credit_score_weights":{"revenue_ratio":1},"revenue_ratio_curve":[[0,0],[1,0.7]],
			"min_amount":0,"amount_step":1,`+c.thresholds+`}`))
		d, ok := model.Decide(days, 90)
		if !ok || d.CompositePPM != 700_000 || d.RiskLevel != c.level || d.Approved != c.approved {
			t.Errorf("%s: %v %+v, want %s, approved %v", c.thresholds, ok, d, c.level, c.approved)
		}
	}
}

// TestDecisionsCanBeKept holds on to decisions while the model takes others.
func TestDecisionsCanBeKept(t *testing.T) {
	t.Parallel()
	model, days := credit.NewModel(parse(t, "")), history(200)
	var kept []credit.Decision
	var codes [][]credit.Reason
	for d := range model.DecideEach(days, days[199].Day) {
		kept = append(kept, d)
		codes = append(codes, slices.Clone(d.ReasonCodes))
	}
	for i, d := range kept {
		if !slices.Equal(d.ReasonCodes, codes[i]) || cap(d.ReasonCodes) != len(d.ReasonCodes) {
			t.Errorf("decision %d: reasons became %v, were %v", i, d.ReasonCodes, codes[i])
		}
	}
	for d, ok := range model.DecideEach(days, days[199].Day) {
		if !ok || !equal(d, kept[0]) {
			t.Errorf("after the last series the first day gives %+v, want %+v", d, kept[0])
		}
		break
	}
}

// TestDecidingAllocatesNothing runs alone, as AllocsPerRun asks.
func TestDecidingAllocatesNothing(t *testing.T) {
	model, days := credit.NewModel(parse(t, "")), history(400)
	model.Decide(days, days[399].Day) // the first of its reasons is copied
	if n := testing.AllocsPerRun(100, func() { model.Decide(days, days[399].Day) }); n != 0 {
		t.Errorf("Decide allocates %v times", n)
	}
}

func TestGroupBy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		members             []string
		want                credit.GroupBy
		auto, entity, group bool // PerDate under each offer_scope
	}{
		{[]string{"account_id", "date"}, credit.ByAccountAndDate, false, false, true},
		{[]string{"date", "account_id", "date"}, credit.ByAccountAndDate, false, false, true},
		{[]string{"account_id"}, credit.ByAccount, false, false, false},
		{[]string{"date"}, credit.ByDate, true, false, true},
	} {
		g, err := credit.ParseGroupBy(c.members)
		if err != nil || g != c.want {
			t.Errorf("%v: %v, %v, want %v", c.members, g, err, c.want)
		}
		for scope, want := range map[string]bool{"auto": c.auto, "entity": c.entity, "group": c.group} {
			if got := parse(t, `{"offer_scope":"`+scope+`"}`).PerDate(g); got != want {
				t.Errorf("%v, offer_scope %s: a decision per date: %v, want %v", c.members, scope, got, want)
			}
		}
		if g.HasAccount() != slices.Contains(c.members, "account_id") || g.HasDate() != slices.Contains(c.members, "date") {
			t.Errorf("%v: has account %v, date %v", c.members, g.HasAccount(), g.HasDate())
		}
	}
	for _, members := range [][]string{nil, {""}, {"account"}, {"account_id", "Date"}} {
		if g, err := credit.ParseGroupBy(members); err == nil {
			t.Errorf("%q is taken for %v", members, g)
		}
	}
}

// TestReasonTexts holds the sentences to those of the specification: notices
// quote them.
func TestReasonTexts(t *testing.T) {
	t.Parallel()
	for code, want := range map[credit.Reason]string{
		"NO_REVENUE":                "No revenue deposits in the review period",
		"INSUFFICIENT_HISTORY":      "Length of transaction history",
		"SHORT_HISTORY":             "Length of transaction history",
		"INSUFFICIENT_TRANSACTIONS": "Number of transactions in the review period",
		"NO_RECENT_ACTIVITY":        "No recent account activity",
		"AMOUNT_BELOW_MINIMUM":      "Average monthly revenue insufficient for the minimum line",
		"NEGATIVE_NET_CASH_FLOW":    "Outflows exceed inflows",
		"LOW_TRANSACTION_VOLUME":    "Average monthly revenue or number of transactions",
		"LOW_REVENUE_RATIO":         "Non-revenue flows high in relation to revenue",
		"INCONSISTENT_REVENUE":      "Month-to-month variation of revenue",
		"OF_ANOTHER_VERSION":        "OF_ANOTHER_VERSION",
	} {
		if got := code.Text(); got != want {
			t.Errorf("%s reads %q, want %q", code, got, want)
		}
	}
}

// BenchmarkDecide takes one decision per account, by the account's days.
func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 24, 365, 1095} {
		b.Run(fmt.Sprintf("days=%d", n), func(b *testing.B) {
			model, days := credit.NewModel(parse(b, "")), history(n)
			b.ReportAllocs()
			for b.Loop() {
				model.Decide(days, days[n-1].Day)
			}
		})
	}
}

// BenchmarkDecideEach takes one decision per day; the time is that of one.
func BenchmarkDecideEach(b *testing.B) {
	for _, n := range []int{365, 3650} {
		b.Run(fmt.Sprintf("days=%d", n), func(b *testing.B) {
			model, days := credit.NewModel(parse(b, "")), history(n)
			b.ReportAllocs()
			taken := 0
			for b.Loop() {
				for range model.DecideEach(days, days[n-1].Day) {
					taken++
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(taken), "ns/decision")
		})
	}
}

// BenchmarkDecideWide is Decide with sums whose squares leave 128 bits.
func BenchmarkDecideWide(b *testing.B) {
	model, days := credit.NewModel(parse(b, "")), history(365)
	for i := range days {
		for range 45 {
			days[i].Revenue = days[i].Revenue.Add(days[i].Revenue)
			days[i].Total = days[i].Total.Add(days[i].Total)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		model.Decide(days, days[364].Day)
	}
}
