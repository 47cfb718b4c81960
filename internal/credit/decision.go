package credit

import "sluice/internal/money"

// PPM is one whole in parts per million.
const PPM = 1_000_000

// Decision is what the model says of one series as of one day.
type Decision struct {
	Approved  bool
	OfferType string // the setting offer_type, also when declined
	// AmountMinor is the line offered, in minor units; 0 when declined.
	AmountMinor int64
	CreditScore int   // score_min to score_max, also when declined
	RiskLevel   Level // High when declined
	// TransactionCount is the rows in the window; from DecideEach, the rows of
	// the decision's own day.
	TransactionCount int64
	AsOf             int32 // days since 1970-01-01
	Months           int   // length of the window, 1 to rolling_period
	// WindowTotal and WindowRevenue are the window's sums, in minor units.
	WindowTotal, WindowRevenue money.Int
	// The three factors, and their weighted mean: 0 to PPM.
	VolumePPM, RatioPPM, ConsistencyPPM, CompositePPM int64
	// CVPPM is the coefficient of variation of monthly revenue, rounded down;
	// -1 where none was computed: no revenue, or too few months.
	CVPPM int64
	// ReasonCodes is ordered, weightiest first, at most max_reasons long and
	// never nil. It may be kept but not changed: decisions share it.
	ReasonCodes []Reason
}

// decide is steps 4 to 12 for the window of a series.
func (m *Model) decide(w *window, asOf int32) Decision {
	c := &m.config
	f := c.rate(w)
	level := c.level(f.composite, w.months)
	reasons := c.knockOuts(m.reasons[:0], w)
	approved := len(reasons) == 0 && f.composite >= c.declineThreshold
	var amount int64
	if approved {
		if amount = c.amount(w, level); amount < c.minAmount/c.minorUnit {
			reasons = append(reasons, AmountBelowMinimum)
			approved = false
		}
	}
	if !approved {
		level, amount = High, 0
	}
	reasons = c.remarks(reasons, w)
	if level != Low {
		reasons = c.losses(reasons, f)
	}
	m.reasons = reasons
	return Decision{
		Approved: approved, OfferType: c.offerType, AmountMinor: amount, RiskLevel: level,
		CreditScore:      int(c.scoreMin + halfUpInt((c.scoreMax-c.scoreMin)*f.composite, PPM)),
		TransactionCount: w.count, AsOf: asOf, Months: int(w.months),
		WindowTotal: w.total, WindowRevenue: w.revenue,
		VolumePPM: f.volume, RatioPPM: f.ratio, ConsistencyPPM: f.consistency,
		CVPPM: f.cv, CompositePPM: f.composite,
		ReasonCodes: m.shared(reasons[:min(len(reasons), int(c.maxReasons))]),
	}
}

// level is step 8.
func (c *Config) level(composite, months int64) Level {
	level := High
	switch {
	case composite >= c.riskThreshold:
		level = Low
	case composite >= c.mediumThreshold:
		level = Medium
	}
	if months < c.thinFileMonths && level.rank() < c.thinFileMaxLevel.rank() {
		level = c.thinFileMaxLevel
	}
	return level
}

// amount is step 10 but for the minimum, in minor units. The window has revenue.
func (c *Config) amount(w *window, level Level) int64 {
	a := magnitude(w.revenue).mul(natOf(c.amountMultiples.of(level)))
	if w.total.Sign() < 0 {
		a = a.mul(natOf(c.negativeNetFactor))
	} else {
		a = a.mul(natOf(PPM))
	}
	a = a.quo(natOf(w.months * PPM * PPM))
	if most := natOf(c.maxAmount / c.minorUnit); most.less(a) {
		a = most
	}
	step := c.amountStep / c.minorUnit
	return a.int64() / step * step
}
