// Package credit turns the daily sums of an account, or of a whole file, into
// a credit decision with its score, amount, rate and reasons: the model
// cashflow-1, in integers only, so that the same sums and the same Config give
// the same Decision to the digit on every machine and on every day.
//
// It knows no files, rows, accounts' names, clocks or storage. Its default
// numbers are illustrative: they are fitted to no loan performance, and a
// lender validates them before use.
package credit

import (
	"iter"
	"slices"

	"sluice/internal/money"
)

// Engine names the model and its formulas; it is stored with each decision.
const Engine = "cashflow-1"

// Day is one civil day of a series.
type Day struct {
	Day     int32     // days since 1970-01-01
	Total   money.Int // sum of all amounts, in minor units
	Revenue money.Int // sum of the amounts that are revenue, in minor units
	Count   int64     // rows, at least 1
}

// Model takes decisions by one Config. It reuses its buffers, so each goroutine
// makes its own.
type Model struct {
	config  Config
	ledger  ledger
	reasons []Reason            // of the decision being taken
	key     []byte              // of the same, in lists
	lists   map[string][]Reason // every list handed out; a few hundred at most
}

// NewModel returns a Model for a Config of ParseConfig.
func NewModel(c Config) *Model {
	return &Model{
		config:  c,
		ledger:  newLedger(c.rollingPeriod),
		reasons: []Reason{},
		lists:   make(map[string][]Reason),
	}
}

// Decide takes the decision on a series as of the day asOf. Days are ascending
// by date, one entry each, and stay the caller's; those after asOf are ignored.
// ok is false where there is nothing to decide on: no day up to asOf, or none
// in a month that partial_month counts.
func (m *Model) Decide(days []Day, asOf int32) (d Decision, ok bool) {
	if len(days) == 0 || days[0].Day > asOf {
		return Decision{}, false
	}
	m.ledger.reset(days[0].Day)
	for i := range days {
		if days[i].Day > asOf {
			break
		}
		m.ledger.add(&days[i])
	}
	return m.decideAt(asOf)
}

// DecideEach yields, for each of the days up to asOf, what Decide would return
// of the days up to that one and as of it, but for the decision's
// TransactionCount, which is the day's own. Its cost grows with the days and
// the rolling period, not with their square. The Model is in use until the
// loop ends.
func (m *Model) DecideEach(days []Day, asOf int32) iter.Seq2[Decision, bool] {
	return func(yield func(d Decision, ok bool) bool) {
		for i := range days {
			day := &days[i]
			if day.Day > asOf {
				return
			}
			if i == 0 {
				m.ledger.reset(day.Day)
			}
			m.ledger.add(day)
			d, ok := m.decideAt(day.Day)
			d.AsOf, d.TransactionCount = day.Day, day.Count
			if !yield(d, ok) {
				return
			}
		}
	}
}

// decideAt decides on what the ledger holds, of which nothing is after asOf.
func (m *Model) decideAt(asOf int32) (Decision, bool) {
	last := monthOf(asOf)
	if m.config.partialMonth == excludePartial && firstDay(last+1) != int64(asOf)+1 {
		last--
	}
	w, ok := m.ledger.window(last, m.config.rollingPeriod)
	if !ok {
		return Decision{}, false
	}
	return m.decide(&w, asOf), true
}

// shared returns the one copy of a list that all decisions with these reasons
// share, so that they can be kept and yet cost no allocation each.
func (m *Model) shared(list []Reason) []Reason {
	m.key = m.key[:0]
	for _, r := range list {
		m.key = append(append(m.key, r...), ' ')
	}
	if known, ok := m.lists[string(m.key)]; ok {
		return known
	}
	kept := slices.Clip(slices.Clone(list))
	m.lists[string(m.key)] = kept
	return kept
}
