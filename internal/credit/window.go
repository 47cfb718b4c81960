package credit

import "sluice/internal/money"

// month is what a series did in one month.
type month struct {
	index          int64 // as of monthOf
	held           bool  // it holds a row
	total, revenue money.Int
	count          int64
}

// ledger keeps the latest months of one series: rolling_period of them and one
// more, the month of as_of that partial_month may leave out. Days come in
// ascending order.
type ledger struct {
	ring  []month
	first int64 // month of the earliest day, also when it has left the ring
	next  int64 // first day after the month last added to
	at    int   // that month's place in the ring
}

func newLedger(period int64) ledger { return ledger{ring: make([]month, period+1)} }

// reset starts a series at its earliest day.
func (l *ledger) reset(day int32) {
	clear(l.ring)
	l.first = monthOf(day)
	l.next = int64(day) // so that the first day added opens its month
}

func (l *ledger) add(d *Day) {
	if int64(d.Day) >= l.next {
		l.open(monthOf(d.Day))
	}
	m := &l.ring[l.at]
	m.total = m.total.Add(d.Total)
	m.revenue = m.revenue.Add(d.Revenue)
	m.count += d.Count
}

// open makes room for a month in the place of one that has left every window.
func (l *ledger) open(index int64) {
	l.next = firstDay(index + 1)
	l.at = l.place(index)
	l.ring[l.at] = month{index: index, held: true}
}

func (l *ledger) place(index int64) int { return int(index-l.first) % len(l.ring) }

// window is the sums of step 2 over the months m0 to m1.
type window struct {
	months         int64 // n
	total, revenue money.Int
	count          int64
	held           bool  // a month holds a row
	idle           int64 // months since the last that does
	peaks, squares nat   // SP and Q: of the months' revenue where above 0
}

// window sums the last period months up to m1; ok is false when the series
// begins after m1.
func (l *ledger) window(m1, period int64) (w window, ok bool) {
	n := min(period, m1-l.first+1)
	if n < 1 {
		return window{}, false
	}
	w.months = n
	for index := m1 - n + 1; index <= m1; index++ {
		m := &l.ring[l.place(index)]
		if !m.held || m.index != index {
			continue
		}
		w.total = w.total.Add(m.total)
		w.revenue = w.revenue.Add(m.revenue)
		w.count += m.count
		w.held, w.idle = true, m1-index
		if m.revenue.Sign() > 0 {
			p := magnitude(m.revenue)
			w.peaks = w.peaks.add(p)
			w.squares = w.squares.add(p.mul(p))
		}
	}
	return w, true
}
