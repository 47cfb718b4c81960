package credit_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/credit"
	"sluice/internal/money"
)

// TestAgainstOracle takes random series through random configurations and
// compares every decision, of every day, with the rational model's.
func TestAgainstOracle(t *testing.T) {
	t.Parallel()
	const rounds = 120 // 3,000 find nothing more, in a minute
	seen := make(map[string]int)
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 2))
		text := randomConfig(r)
		config, reference := parse(t, text), newOracle(t, []byte(text))
		model := credit.NewModel(config)
		for range 3 {
			days := randomDays(r)
			asOf := days[r.IntN(len(days))].Day + int32(r.IntN(100)) - 5
			compare(t, seed, text, model, reference, days, asOf, seen)
			// The same start again with fewer days: nothing of before may linger.
			few := slices.DeleteFunc(slices.Clone(days), func(d credit.Day) bool { return d.Day != days[0].Day && r.IntN(2) == 0 })
			compare(t, seed, text, model, reference, few, asOf, seen)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("met: %v", seen)
	for _, kind := range []string{
		"skipped", "approved LOW", "approved MEDIUM", "approved HIGH", "declined HIGH", "capped", "cv",
		"NO_REVENUE", "INSUFFICIENT_HISTORY", "INSUFFICIENT_TRANSACTIONS", "NO_RECENT_ACTIVITY", "AMOUNT_BELOW_MINIMUM",
		"SHORT_HISTORY", "NEGATIVE_NET_CASH_FLOW", "LOW_TRANSACTION_VOLUME", "LOW_REVENUE_RATIO", "INCONSISTENT_REVENUE",
	} {
		if seen[kind] < 20 {
			t.Errorf("the random cases met %q %d times: too few to say anything", kind, seen[kind])
		}
	}
}

func compare(t *testing.T, seed uint64, text string, m *credit.Model, o oracle, days []credit.Day, asOf int32, seen map[string]int) {
	t.Helper()
	check := func(what string, got, want credit.Decision, gotOK, wantOK bool) {
		t.Helper()
		if gotOK != wantOK || gotOK && !equal(got, want) {
			t.Errorf("seed %d, %s, config %s, days %v:\n got %v %+v\nwant %v %+v",
				seed, what, text, days, gotOK, got, wantOK, want)
		}
		note(seen, o, got, gotOK)
	}
	want, wantOK := o.decide(days, asOf)
	got, gotOK := m.Decide(days, asOf)
	check("one", got, want, gotOK, wantOK)

	i := 0
	for got, gotOK := range m.DecideEach(days, asOf) {
		want, wantOK := o.decide(days, days[i].Day)
		want.TransactionCount = days[i].Count
		check("day "+strconv.Itoa(i), got, want, gotOK, wantOK)
		i++
	}
	if upTo := slices.IndexFunc(days, func(d credit.Day) bool { return d.Day > asOf }); i != upTo && (upTo >= 0 || i != len(days)) {
		t.Errorf("seed %d: %d days decided of %d, %d up to as_of", seed, i, len(days), upTo)
	}
}

func equal(a, b credit.Decision) bool { return reflect.DeepEqual(a, b) }

func note(seen map[string]int, o oracle, d credit.Decision, ok bool) {
	if !ok {
		seen["skipped"]++
		return
	}
	seen[map[bool]string{true: "approved ", false: "declined "}[d.Approved]+string(d.RiskLevel)]++
	if d.Approved && new(big.Rat).SetInt64(d.AmountMinor).Cmp(mul(o.num("max_amount"), o.unit())) == 0 {
		seen["capped"]++
	}
	if d.CVPPM > 0 {
		seen["cv"]++
	}
	for _, code := range d.ReasonCodes {
		seen[string(code)]++
	}
}

// randomDays is a series of 1 to 40 days of any age, spread over weeks or
// decades, with amounts of cents or of 100 bits.
func randomDays(r *rand.Rand) []credit.Day {
	day := int32(r.IntN(900_000)) - 700_000
	spread := []int{3, 20, 40, 400}[r.IntN(4)]
	size := []int{8, 18, 24, 24, 24, 30, 45, 62, 80, 100}[r.IntN(10)]
	sign := []int{0, 1, 2, 4, 9}[r.IntN(5)] // a negative amount is one in sign+1
	steady := r.IntN(3) == 0                // revenue each day alike
	days := make([]credit.Day, 1+r.IntN(40))
	amount, sum := randomAmount(r, size), money.Int{}
	for i := range days {
		if !steady {
			amount = randomAmount(r, size)
		}
		other := randomAmount(r, size-r.IntN(3))
		if r.IntN(sign+1) == 0 {
			other = other.Neg()
		}
		if r.IntN(8*sign+2) == 0 {
			amount = amount.Neg()
		}
		days[i] = credit.Day{Day: day, Total: amount.Add(other), Revenue: amount, Count: 1 + r.Int64N(30)}
		day += 1 + int32(r.IntN(spread))
		sum = sum.Add(days[i].Total)
	}
	if last := &days[len(days)-1]; r.IntN(8) == 0 {
		last.Total = last.Total.Sub(sum) // break-even
	}
	return days
}

func randomAmount(r *rand.Rand, size int) money.Int {
	v := new(big.Int).Lsh(new(big.Int).SetUint64(r.Uint64()), 64)
	v.Or(v, new(big.Int).SetUint64(r.Uint64()))
	amount, _ := money.FromBig(v.Rsh(v, uint(128-size)))
	return amount
}

// randomConfig gives about half of the settings, each within its bounds and
// often at one.
func randomConfig(r *rand.Rand) string {
	var members []string
	set := func(key, format string, args ...any) {
		if r.IntN(2) == 0 {
			members = append(members, strconv.Quote(key)+":"+fmt.Sprintf(format, args...))
		}
	}
	word := func(words ...string) string { return words[r.IntN(len(words))] }
	set("rolling_period", "%d", []int{1, 2, 3, 6, 12, 24, 120}[r.IntN(7)])
	set("credit_score_weights", "%s", randomWeights(r))
	set("score_min", "%d", r.IntN(601)-300)
	set("score_max", "%d", 301+r.IntN(1000))
	set("partial_month", "%q", word("include", "exclude"))
	set("min_history_months", "%d", r.IntN(4))
	set("min_transactions", "%d", r.IntN(60))
	set("max_inactive_months", "%d", r.IntN(20))
	set("thin_file_months", "%d", r.IntN(8))
	set("thin_file_max_level", "%q", word("LOW", "MEDIUM", "HIGH"))
	set("volume_count_share", "%s", decimal(r, 1))
	set("volume_amount_curve", "%s", randomCurve(r, 60_000))
	set("volume_count_curve", "%s", randomCurve(r, 200))
	set("revenue_ratio_curve", "%s", randomCurve(r, 1))
	set("consistency_min_months", "%d", r.IntN(6))
	set("consistency_default", "%s", decimal(r, 1))
	set("consistency_max_cv", "%s", millionths(1+r.IntN(4_000_000)))
	set("amount_multiples", `{"MEDIUM":%s,"LOW":%s,"HIGH":%s}`, decimal(r, 2), decimal(r, 3), decimal(r, 1))
	set("negative_net_factor", "%s", decimal(r, 1))
	set("max_reasons", "%d", r.IntN(11))
	set("currency_exponent", "%d", r.IntN(7))
	set("amount_step", "%d", []int{1, 7, 50, 1000}[r.IntN(4)])
	set("min_amount", "%d", r.IntN(700))
	set("max_amount", "%d", 700+r.IntN(300_000))
	if cuts := []int{r.IntN(1_000_001), r.IntN(1_000_001), r.IntN(1_000_001)}; r.IntN(2) == 0 {
		slices.Sort(cuts)
		for i, key := range []string{"decline_threshold", "medium_threshold", "risk_threshold"} {
			members = append(members, fmt.Sprintf("%q:%s", key, millionths(cuts[i])))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func randomWeights(r *rand.Rand) string {
	weights := map[string]json.Number{}
	for _, key := range []string{"transaction_volume", "revenue_ratio", "consistency"} {
		if r.IntN(4) > 0 {
			weights[key] = json.Number(decimal(r, 2))
		}
	}
	weights[[]string{"transaction_volume", "revenue_ratio", "consistency"}[r.IntN(3)]] = "0.25"
	text, _ := json.Marshal(weights)
	return string(text)
}

// randomCurve has two to six points with x from below 0 to most.
func randomCurve(r *rand.Rand, most int) string {
	n := 2 + r.IntN(5)
	xs, ys := make([]int, n), make([]int, n)
	for i := range n {
		xs[i], ys[i] = r.IntN(most*1_100_000)-most*100_000, r.IntN(1_000_001)
	}
	slices.Sort(xs)
	slices.Sort(ys)
	points := make([]string, n)
	for i := range n {
		points[i] = fmt.Sprintf("[%s,%s]", millionths(xs[i]+i), millionths(ys[i])) // +i: strictly rising
	}
	return "[" + strings.Join(points, ",") + "]"
}

// decimal is a number from 0 to most, of up to six decimals.
func decimal(r *rand.Rand, most int) string {
	if r.IntN(3) == 0 {
		return strconv.Itoa(r.IntN(most + 1))
	}
	return millionths(r.IntN(most*1_000_000 + 1))
}

func millionths(v int) string {
	return new(big.Rat).SetFrac64(int64(v), 1_000_000).FloatString(6)
}
