package pipeline

import (
	"fmt"
	"math"

	"sluice/internal/aggregate"
	"sluice/internal/credit"
	"sluice/internal/money"
	"sluice/internal/rollup"
)

// horizon is the days that count: which rows are aggregated, which scored.
type horizon struct {
	asOf  int32
	ok    bool  // there is an as_of
	limit int32 // last day that is not in the future
	since int32 // first day of aggregate_config.date_range
}

// newHorizon applies the future rule, then as_of, then date_range.
func newHorizon(sums *rollup.Rollup, in Input) horizon {
	c := in.Settings.Credit
	h := horizon{since: math.MinInt32}
	h.limit = int32(min(int64(in.ReferenceDay)+int64(c.FutureToleranceDays()), math.MaxInt32))
	if h.asOf, h.ok = c.AsOf(); !h.ok {
		h.asOf, h.ok = sums.MaxDay(h.limit)
	}
	if n := in.Settings.Aggregate.RangeDays; n > 0 && h.ok {
		h.since = h.asOf - int32(n) + 1
	}
	return h
}

// aggregated tells whether a day is in the aggregates: all that was booked, but
// for what date_range leaves out; without an as_of there is no such range.
func (h *horizon) aggregated(day int32) bool {
	return h.since == math.MinInt32 || h.since <= day && day <= h.asOf
}

// scored appends the days that the model is to see.
func (h *horizon) scored(dst []credit.Day, days []rollup.Day) []credit.Day {
	for i := range days {
		if d := &days[i]; h.ok && h.since <= d.Day && d.Day <= h.limit && d.Day <= h.asOf {
			dst = append(dst, credit.Day(*d))
		}
	}
	return dst
}

// persisted counts what persist wrote.
type persisted struct {
	rows, futureRows int64
	total, revenue   money.Int // of all rows, whether aggregated or not
}

// persist writes the aggregates of the grouping.
func (h *horizon) persist(sums *rollup.Rollup, by credit.GroupBy, w *aggregate.Writer) (p persisted, err error) {
	var rows []aggregate.Row
	for account, err := range sums.Accounts() {
		if err != nil {
			return p, fmt.Errorf("read sums: %w", err)
		}
		rows = rows[:0]
		for i := range account.Days {
			d := &account.Days[i]
			p.total, p.revenue = p.total.Add(d.Total), p.revenue.Add(d.Revenue)
			if d.Day > h.limit {
				p.futureRows += d.Count
			}
			if h.aggregated(d.Day) {
				rows = appendDay(rows, account.ID, d, by)
			}
		}
		p.rows += int64(len(rows))
		if err := w.Write(rows); err != nil {
			return p, err
		}
	}
	return p, nil
}

// appendDay adds a day as a row of its own, or to the row of its account.
func appendDay(rows []aggregate.Row, id string, d *rollup.Day, by credit.GroupBy) []aggregate.Row {
	if by.HasDate() || len(rows) == 0 {
		rows = append(rows, aggregate.Row{AccountID: id, HasAccount: by.HasAccount(), HasDate: by.HasDate()})
	}
	row := &rows[len(rows)-1]
	if by.HasDate() {
		row.Day = d.Day
	}
	row.Total, row.Revenue, row.Count = row.Total.Add(d.Total), row.Revenue.Add(d.Revenue), row.Count+d.Count
	return rows
}
