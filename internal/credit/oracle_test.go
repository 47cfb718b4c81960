package credit_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/big"
	"os"
	"slices"
	"testing"
	"time"

	"sluice/internal/credit"
	"sluice/internal/money"
)

// oracle is the model a second time: straight from the specification, step by
// step, in exact rationals and calendar dates, sharing nothing with the first
// but the Day and Decision types. It reads settings by their names and is slow.
type oracle map[string]any

// newOracle lays the given settings over the specification's defaults.
func newOracle(t testing.TB, given []byte) oracle {
	t.Helper()
	defaults, err := os.ReadFile("testdata/defaults.json")
	if err != nil {
		t.Fatal(err)
	}
	o := oracle{}
	for _, text := range [][]byte{defaults, given} {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		layer := oracle{}
		if err := decoder.Decode(&layer); err != nil {
			t.Fatal(err)
		}
		maps.Copy(o, layer)
	}
	return o
}

func rat(v any) *big.Rat {
	switch v := v.(type) {
	case json.Number:
		r, _ := new(big.Rat).SetString(v.String())
		return r
	case int:
		return big.NewRat(int64(v), 1)
	case money.Int:
		return new(big.Rat).SetInt(v.Big())
	default:
		return new(big.Rat) // a weight that is missing
	}
}

func (o oracle) num(key string) *big.Rat { return rat(o[key]) }
func (o oracle) count(key string) int    { return int(o.num(key).Num().Int64()) }
func (o oracle) unit() *big.Rat {
	return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), o.num("currency_exponent").Num(), nil))
}

func add(a, b *big.Rat) *big.Rat { return new(big.Rat).Add(a, b) }
func sub(a, b *big.Rat) *big.Rat { return new(big.Rat).Sub(a, b) }
func mul(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }
func div(a, b *big.Rat) *big.Rat { return new(big.Rat).Quo(a, b) }

func floor(r *big.Rat) *big.Int { return new(big.Int).Div(r.Num(), r.Denom()) } // Euclidean; Denom > 0

// halfUp rounds to a whole number, and ppm to millionths.
func halfUp(r *big.Rat) *big.Rat { return new(big.Rat).SetInt(floor(add(r, big.NewRat(1, 2)))) }

var million = big.NewRat(credit.PPM, 1)

func ppm(r *big.Rat) *big.Rat { return div(halfUp(mul(r, million)), million) }

func (o oracle) curve(key string, x *big.Rat) *big.Rat {
	points := o[key].([]any)
	corner := func(i int) (x, y *big.Rat) { p := points[i].([]any); return rat(p[0]), rat(p[1]) }
	x0, y0 := corner(0)
	if x.Cmp(x0) <= 0 {
		return y0
	}
	for i := 1; i < len(points); i++ {
		x1, y1 := corner(i)
		if x.Cmp(x1) <= 0 {
			return add(y0, ppm(div(mul(sub(x, x0), sub(y1, y0)), sub(x1, x0))))
		}
		x0, y0 = x1, y1
	}
	return y0
}

func monthIndex(day int32) int {
	d := time.Unix(int64(day)*86400, 0).UTC()
	return 12*d.Year() + int(d.Month()) - 1
}

// sums are what steps 1 and 2 find in a window.
type sums struct {
	m1, n, last          int
	revenue              map[int]*big.Rat // R_m, of the months that hold rows
	S, T, months         *big.Rat
	C                    int64
	positive, thin, tiny bool // S > 0; n < thin_file_months; n < min_history_months
}

func (o oracle) sums(days []credit.Day, asOf int32) (s sums, ok bool) {
	s.m1 = monthIndex(asOf)
	if o["partial_month"] == "exclude" && monthIndex(asOf+1) == s.m1 {
		s.m1--
	}
	if len(days) == 0 || days[0].Day > asOf {
		return s, false
	}
	s.n = min(o.count("rolling_period"), s.m1-monthIndex(days[0].Day)+1)
	s.months, s.S, s.T, s.revenue = rat(s.n), rat(0), rat(0), map[int]*big.Rat{}
	for _, d := range days {
		m := monthIndex(d.Day)
		if d.Day > asOf || m <= s.m1-s.n || m > s.m1 {
			continue
		}
		if s.revenue[m] == nil {
			s.revenue[m] = rat(0)
		}
		s.revenue[m] = add(s.revenue[m], rat(d.Revenue))
		s.S, s.T = add(s.S, rat(d.Revenue)), add(s.T, rat(d.Total))
		s.C, s.last = s.C+d.Count, m
	}
	s.positive = s.S.Sign() > 0
	s.thin, s.tiny = s.n < o.count("thin_file_months"), s.n < o.count("min_history_months")
	return s, s.n >= 1
}

// volume is step 4.
func (o oracle) volume(s sums) *big.Rat {
	average := rat(0)
	if s.positive {
		average = div(div(s.S, s.months), o.unit())
	}
	va := o.curve("volume_amount_curve", average)
	vc := o.curve("volume_count_curve", div(new(big.Rat).SetInt64(s.C), s.months))
	k := o.num("volume_count_share")
	return ppm(add(mul(va, sub(rat(1), k)), mul(vc, k)))
}

// ratio is step 5.
func (o oracle) ratio(s sums) *big.Rat {
	if !s.positive {
		return rat(0)
	}
	return o.curve("revenue_ratio_curve", div(s.S, add(s.S, new(big.Rat).Abs(sub(s.T, s.S)))))
}

// consistency is step 6.
func (o oracle) consistency(s sums) (factor *big.Rat, cv int64) {
	SP, Q := rat(0), rat(0)
	for _, r := range s.revenue {
		if r.Sign() > 0 {
			SP, Q = add(SP, r), add(Q, mul(r, r))
		}
	}
	if SP.Sign() == 0 {
		return rat(0), -1
	}
	if s.n < o.count("consistency_min_months") {
		return o.num("consistency_default"), -1
	}
	square := div(sub(mul(s.months, Q), mul(SP, SP)), mul(SP, SP))
	root := new(big.Int).Sqrt(floor(mul(square, mul(million, million))))
	lost := ppm(div(div(new(big.Rat).SetInt(root), million), o.num("consistency_max_cv")))
	if lost.Cmp(rat(1)) > 0 {
		lost = rat(1)
	}
	return sub(rat(1), lost), root.Int64()
}

// level is step 8.
func (o oracle) level(q *big.Rat, s sums) credit.Level {
	level := credit.High
	if q.Cmp(o.num("medium_threshold")) >= 0 {
		level = credit.Medium
	}
	if q.Cmp(o.num("risk_threshold")) >= 0 {
		level = credit.Low
	}
	most := o["thin_file_max_level"]
	if s.thin && (most == "HIGH" || most == "MEDIUM" && level == credit.Low) {
		level = credit.Level(most.(string))
	}
	return level
}

// amount is step 10, in minor units, but for the minimum.
func (o oracle) amount(s sums, level credit.Level) *big.Rat {
	multiple := rat(o["amount_multiples"].(map[string]any)[string(level)])
	amount := mul(div(s.S, s.months), multiple)
	if s.T.Sign() < 0 {
		amount = mul(amount, o.num("negative_net_factor"))
	}
	amount = new(big.Rat).SetInt(floor(amount))
	if most := mul(o.num("max_amount"), o.unit()); amount.Cmp(most) > 0 {
		amount = most
	}
	step := mul(o.num("amount_step"), o.unit())
	return mul(new(big.Rat).SetInt(floor(div(amount, step))), step)
}

// reasons is a list of codes to which those that apply are added.
type reasons []credit.Reason

func (l *reasons) add(applies bool, r credit.Reason) {
	if applies {
		*l = append(*l, r)
	}
}

// addLosses is the last part of step 12.
func (l *reasons) addLosses(weights, factors [3]*big.Rat) {
	codes := [3]credit.Reason{credit.LowTransactionVolume, credit.LowRevenueRatio, credit.InconsistentRevenue}
	lost := func(i int) *big.Rat { return mul(weights[i], sub(rat(1), factors[i])) }
	order := []int{0, 1, 2}
	slices.SortStableFunc(order, func(a, b int) int { return lost(b).Cmp(lost(a)) })
	for _, i := range order {
		l.add(lost(i).Sign() > 0, codes[i])
	}
}

// decide scores days as of asOf.
func (o oracle) decide(days []credit.Day, asOf int32) (d credit.Decision, ok bool) {
	s, ok := o.sums(days, asOf)
	if !ok {
		return d, false
	}
	consistency, cv := o.consistency(s)
	factors := [3]*big.Rat{o.volume(s), o.ratio(s), consistency}
	given := o["credit_score_weights"].(map[string]any)
	weights := [3]*big.Rat{rat(given["transaction_volume"]), rat(given["revenue_ratio"]), rat(given["consistency"])}
	points, sum := rat(0), rat(0)
	for i, w := range weights {
		points, sum = add(points, mul(w, factors[i])), add(sum, w)
	}
	q := ppm(div(points, sum))
	low, high := o.num("score_min"), o.num("score_max")
	level := o.level(q, s)

	list := reasons{}
	list.add(!s.positive, credit.NoRevenue)
	list.add(s.tiny, credit.InsufficientHistory)
	list.add(s.C < int64(o.count("min_transactions")), credit.InsufficientTransactions)
	list.add(len(s.revenue) == 0 || s.m1-s.last >= o.count("max_inactive_months"), credit.NoRecentActivity)
	declined := len(list) > 0 || q.Cmp(o.num("decline_threshold")) < 0
	amount := rat(0)
	if !declined {
		amount = o.amount(s, level)
		declined = amount.Cmp(mul(o.num("min_amount"), o.unit())) < 0
		list.add(declined, credit.AmountBelowMinimum)
	}
	if declined {
		amount, level = rat(0), credit.High
	}
	list.add(s.thin && !s.tiny, credit.ShortHistory)
	list.add(s.T.Sign() < 0, credit.NegativeNetCashFlow)
	if level != credit.Low {
		list.addLosses(weights, factors)
	}

	d = credit.Decision{
		Approved: !declined, OfferType: o["offer_type"].(string), AmountMinor: whole(amount),
		CreditScore: int(whole(add(low, halfUp(mul(sub(high, low), q))))), RiskLevel: level,
		TransactionCount: s.C, AsOf: asOf, Months: s.n,
		VolumePPM: whole(mul(factors[0], million)), RatioPPM: whole(mul(factors[1], million)),
		ConsistencyPPM: whole(mul(factors[2], million)), CompositePPM: whole(mul(q, million)), CVPPM: cv,
		ReasonCodes: list[:min(len(list), o.count("max_reasons"))],
	}
	d.WindowTotal, _ = money.FromBig(s.T.Num())
	d.WindowRevenue, _ = money.FromBig(s.S.Num())
	return d, true
}

// whole returns a rational that must be a whole number of 64 bits.
func whole(r *big.Rat) int64 {
	if !r.IsInt() || !r.Num().IsInt64() {
		panic("not a whole number of 64 bits: " + r.String())
	}
	return r.Num().Int64()
}
