package pipeline

import (
	"fmt"
	"iter"

	"sluice/internal/credit"
	"sluice/internal/money"
	"sluice/internal/rollup"
	"sluice/parser"
)

// Result is what a file holds. It keeps the file's sums, as Offers needs them,
// until Close, and is for one goroutine at a time.
type Result struct {
	Accepted, Rejected int64 // rows
	ByReason           map[parser.Reason]int64
	FutureRows         int64 // accepted and in the aggregates, but too far ahead for the model
	Accounts           int   // 1 when they are pooled
	Aggregates         int64 // rows of Sinks.Aggregates
	// Total and Revenue are the sums of the accepted rows, in minor units; they
	// are zero where Run returned an error.
	Total, Revenue money.Int
	// AsOf is the job's as_of, in days since 1970-01-01; HasAsOf is false where
	// the file has no date to take it from, and then there are no decisions.
	AsOf    int32
	HasAsOf bool

	Source      Stored // what was read
	Compression string // gzip, zstd, or "" for none
	Encoding    string // such as utf-8 or windows-1252
	Layout      parser.Layout

	// Tally counts what the last run of Offers yielded; it is complete when
	// that has come to its end.
	Tally Tally

	settings Settings
	sums     *rollup.Rollup
	horizon  horizon
}

// Tally counts decisions.
type Tally struct {
	Approved, Declined int64
	Skipped            int64 // accounts, or dates, that there was nothing to decide on
}

// Offer is one decision and whose it is.
type Offer struct {
	AccountID  string // empty where HasAccount is false
	HasAccount bool   // false when accounts are pooled
	Day        int32  // days since 1970-01-01; 0 where HasDay is false
	HasDay     bool   // true when each date is decided on
	credit.Decision
}

func (r *run) result() *Result {
	res := &Result{
		Source:      Stored{SizeBytes: r.source.bytes.Load(), CRC64: r.source.crc.Sum64()},
		Compression: r.opened.compression,
		Encoding:    r.opened.encoding,
		FutureRows:  r.written.futureRows,
		Aggregates:  r.written.rows,
		Total:       r.written.total,
		Revenue:     r.written.revenue,
		AsOf:        r.horizon.asOf,
		HasAsOf:     r.horizon.ok,
		settings:    r.in.Settings,
		sums:        r.sums,
		horizon:     r.horizon,
	}
	res.Accounts, _ = r.sums.Len()
	if r.reader != nil {
		stats := r.reader.Stats()
		res.Accepted, res.Rejected, res.ByReason = stats.Accepted, stats.Rejected, stats.ByReason
		res.Layout = r.reader.Layout()
	}
	return res
}

// Close gives back what the sums hold; it may be called twice.
func (r *Result) Close() error { return r.sums.Close() }

// Offers takes the decisions one by one, in the order of the bytes of the
// account id and then of the date: approved and declined ones, and none at all
// when parse_config has dry_run. It may be run again, and yields the same. A
// Result that came with an error has nothing to decide on.
func (r *Result) Offers() iter.Seq2[Offer, error] {
	return func(yield func(Offer, error) bool) {
		r.Tally = Tally{}
		if r.settings.Parse.DryRun {
			return
		}
		s := scorer{
			model:   credit.NewModel(r.settings.Credit),
			perDate: r.settings.Credit.PerDate(r.settings.Aggregate.GroupBy),
			asOf:    r.AsOf,
		}
		for account, err := range r.sums.Accounts() {
			if err != nil {
				yield(Offer{}, fmt.Errorf("read sums: %w", err))
				return
			}
			owner := Offer{AccountID: account.ID, HasAccount: r.settings.Aggregate.GroupBy.HasAccount()}
			s.days = r.horizon.scored(s.days[:0], account.Days)
			for offer, ok := range s.decide(owner) {
				if r.Tally.count(offer, ok); ok && !yield(offer, nil) {
					return
				}
			}
		}
	}
}

func (t *Tally) count(o Offer, ok bool) {
	switch {
	case !ok:
		t.Skipped++
	case o.Approved:
		t.Approved++
	default:
		t.Declined++
	}
}

// scorer decides on one series after the other.
type scorer struct {
	model   *credit.Model
	perDate bool
	asOf    int32
	days    []credit.Day
}

// decide yields the decision on the series, or each of its dates'; ok is false
// for one that there is nothing to decide on.
func (s *scorer) decide(owner Offer) iter.Seq2[Offer, bool] {
	return func(yield func(Offer, bool) bool) {
		if !s.perDate || len(s.days) == 0 {
			var ok bool
			owner.Decision, ok = s.model.Decide(s.days, s.asOf)
			yield(owner, ok)
			return
		}
		for decision, ok := range s.model.DecideEach(s.days, s.asOf) {
			owner.Decision, owner.Day, owner.HasDay = decision, decision.AsOf, true
			if !yield(owner, ok) {
				return
			}
		}
	}
}
