package job_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
	"sluice/internal/scope"
)

// offer is one with every field set.
func offer(account string, day int32) job.Offer {
	return job.Offer{
		AccountID: account, Day: day, Approved: true, RiskLevel: "LOW", AmountMinor: math.MaxInt64,
		CreditScore: 750, TransactionCount: 360, Months: 12, AsOfDay: 19_722,
		CompositePPM: 818_218, VolumePPM: 631_250, RatioPPM: 885_728, ConsistencyPPM: 1_000_000, ReasonCodes: []string{},
	}
}

func declined(account string, day int32, risk string) job.Offer {
	o := offer(account, day)
	o.Approved, o.AmountMinor, o.RiskLevel, o.ReasonCodes = false, 0, risk, []string{"NO_REVENUE", "SHORT_HISTORY"}
	return o
}

// from returns the offers one by one, as CopyOffersTx wants them.
func from(offers ...job.Offer) func() (job.Offer, bool, error) {
	return func() (o job.Offer, ok bool, err error) {
		if len(offers) == 0 {
			return o, false, nil
		}
		o, offers = offers[0], offers[1:]
		return o, true, nil
	}
}

// complete creates a job that is complete with these offers.
func (f fixture) complete(offers ...job.Offer) string {
	f.t.Helper()
	l := f.claimed()
	f.tx(func(tx pgx.Tx) error {
		n, err := f.CopyOffersTx(f.ctx(), tx, l, from(offers...))
		if err == nil && n != int64(len(offers)) {
			err = fmt.Errorf("copied %d offers", n)
		}
		return errors.Join(err, f.CompleteTx(f.ctx(), tx, l, result()))
	})
	return l.JobID
}

// each reads all offers by EachOffer.
func (f fixture) each(id string, filter job.OfferFilter) (offers []job.Offer) {
	f.t.Helper()
	for o, err := range f.EachOffer(f.ctx(), tenant, id, filter) {
		f.must(err)
		offers = append(offers, o)
	}
	return offers
}

func TestOffersPaged(t *testing.T) {
	t.Parallel()
	f := setup(t)
	// In the order of bytes: Z before a before z before ä; the empty account and
	// the missing day have their place, too.
	all := []job.Offer{
		declined("", 0, "HIGH"),
		offer("", job.NoDay),
		offer("'; DROP TABLE offers", 1),
		offer("007", -719_162), // 0001-01-01
		declined("007", -1, "HIGH"),
		offer("007", 2_932_896), // 9999-12-31
		offer("Z", 1),
		offer("a", 1),
		offer("z", 1),
		offer("ä", 1),
		offer("\U0010FFFF\U0010FFFF", 1),
	}
	id := f.complete(all...)
	f.complete(offer("somebody else's", 1))
	for _, limit := range []int{1, 2, 3, len(all), 1000} {
		filter := job.OfferFilter{Decision: job.AllDecisions, Limit: limit}
		var got []job.Offer
		for {
			page, err := f.Offers(t.Context(), tenant, id, filter)
			f.must(err)
			got = append(got, page...)
			if len(page) < limit {
				break
			}
			last := page[len(page)-1]
			filter.After = &job.OfferCursor{AccountID: last.AccountID, Day: last.Day}
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	if diff := cmp.Diff(all, f.each(id, job.OfferFilter{Decision: job.AllDecisions})); diff != "" {
		t.Errorf("EachOffer (-want +got):\n%s", diff)
	}
}

func TestOffersFiltered(t *testing.T) {
	t.Parallel()
	f := setup(t)
	medium := offer("b", 2)
	medium.RiskLevel = "MEDIUM"
	a1, a2, b1, b2, c := offer("a", 1), declined("a", 2, "HIGH"), offer("b", 1), medium, declined("c", job.NoDay, "HIGH")
	all := []job.Offer{a1, a2, b1, b2, c}
	id := f.complete(all...)
	account := func(s string) *string { return &s }
	tests := []struct {
		name   string
		filter job.OfferFilter
		want   []job.Offer
	}{
		{"none", job.OfferFilter{}, []job.Offer{a1, b1, b2}},
		{"approved", job.OfferFilter{Decision: job.ApprovedOnly}, []job.Offer{a1, b1, b2}},
		{"declined", job.OfferFilter{Decision: job.DeclinedOnly}, []job.Offer{a2, c}},
		{"all", job.OfferFilter{Decision: job.AllDecisions}, all},
		{"risk", job.OfferFilter{RiskLevel: "MEDIUM"}, []job.Offer{b2}},
		{"account", job.OfferFilter{AccountID: account("a"), Decision: job.AllDecisions}, []job.Offer{a1, a2}},
		{"account, approved", job.OfferFilter{AccountID: account("a")}, []job.Offer{a1}},
		{"account, later", job.OfferFilter{AccountID: account("b"), After: &job.OfferCursor{AccountID: "b", Day: 1}}, []job.Offer{b2}},
		{"account without a day", job.OfferFilter{AccountID: account("c"), Decision: job.AllDecisions}, []job.Offer{c}},
		{"no such account", job.OfferFilter{AccountID: account("")}, nil},
		{"account that no file can name", job.OfferFilter{AccountID: account("a\x00")}, nil},
		{"cursor that no page gave", job.OfferFilter{After: &job.OfferCursor{AccountID: "\xff"}}, nil},
		{"no such level", job.OfferFilter{RiskLevel: "low"}, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, f.each(id, tt.filter)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// In every order all pages together are the list, each offer once, whatever is
// equal and at either end of the numbers.
func TestOffersSorted(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var all []job.Offer
	for i, account := range []string{"", "A", "B", "B", "a", "ä", "\U0010FFFF"} {
		for day, amount := range []int64{0, 7, math.MaxInt64, 7} {
			o := offer(account, int32(10*i+day))
			o.AmountMinor, o.CreditScore, o.RiskLevel = amount, []int{700, math.MinInt32, 700, math.MaxInt32}[(i+day)%4], []string{"LOW", "MEDIUM", "HIGH"}[(i*day)%3]
			all = append(all, o)
		}
	}
	all = append(all, offer("\U0010FFFF", job.NoDay))
	id := f.complete(all...)
	f.complete(offer("somebody else's", 1))
	key := map[job.OfferSort]func(o job.Offer) int64{
		"":                func(job.Offer) int64 { return 0 },
		job.ByAmount:      func(o job.Offer) int64 { return o.AmountMinor },
		job.ByCreditScore: func(o job.Offer) int64 { return int64(o.CreditScore) },
		job.ByRiskLevel:   func(o job.Offer) int64 { return int64(strings.Index("LOW MEDIUM HIGH", o.RiskLevel)) },
	}
	for sort, of := range key {
		for _, descending := range []bool{false, true} {
			order := job.OfferOrder{Sort: sort, Descending: descending}
			want := slices.Clone(all) // in the order of the key
			if descending && sort == "" {
				slices.Reverse(want)
			}
			slices.SortStableFunc(want, func(a, b job.Offer) int {
				if descending {
					a, b = b, a
				}
				return big.NewInt(of(a)).Cmp(big.NewInt(of(b)))
			})
			for _, limit := range []int{1, 3, len(all), 1000} {
				filter := job.OfferFilter{Decision: job.AllDecisions, Order: order, Limit: limit}
				var got []job.Offer
				for {
					page, err := f.Offers(t.Context(), tenant, id, filter)
					f.must(err)
					got = append(got, page...)
					if len(page) < limit {
						break
					}
					filter.After = order.At(page[len(page)-1])
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%+v by %d (-want +got):\n%s", order, limit, diff)
				}
			}
			some := f.each(id, job.OfferFilter{AccountID: new("B"), Order: order})
			if want := slices.DeleteFunc(want, func(o job.Offer) bool { return o.AccountID != "B" }); !slices.EqualFunc(some, want, func(a, b job.Offer) bool { return a.Day == b.Day }) {
				t.Errorf("%+v of one account: %v", order, some)
			}
		}
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for name, c := range map[string]struct {
		amounts []int64
		want    []job.AmountCount
	}{
		"none":                {nil, []job.AmountCount{}},
		"one":                 {[]int64{123_456}, []job.AmountCount{{123_456, 1, 1}}},
		"as many as bins":     {[]int64{0, 23}, []job.AmountCount{{0, 1, 1}, {23, 1, 1}}},
		"one more":            {[]int64{0, 1, 24}, []job.AmountCount{{0, 2, 2}, {24, 2, 1}}},
		"not from the bottom": {[]int64{999_999, 1_000_000, 1_250_000}, []job.AmountCount{{980_000, 20_000, 1}, {1_000_000, 20_000, 1}, {1_240_000, 20_000, 1}}},
		"all there is":        {[]int64{0, math.MaxInt64}, []job.AmountCount{{0, 500_000_000_000_000_000, 1}, {9_000_000_000_000_000_000, 500_000_000_000_000_000, 1}}},
	} {
		var offers []job.Offer
		for i, amount := range c.amounts {
			o := offer("a", int32(i))
			o.AmountMinor = amount
			offers = append(offers, o)
		}
		got, err := f.Amounts(t.Context(), tenant, f.complete(append(offers, declined("a", 1000, "LOW"))...))
		f.must(err)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := f.Amounts(t.Context(), "other", f.complete()); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("another tenant's: %v", err)
	}
	if _, err := f.Amounts(t.Context(), tenant, f.in(job.Failed)); !errors.Is(err, job.ErrNotComplete) {
		t.Errorf("a failed one's: %v", err)
	}
}

// More offers than EachOffer reads at once.
func TestEachOfferPages(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const days = 12_345
	offers := make([]job.Offer, days)
	for i := range offers {
		offers[i] = offer("a", int32(i))
	}
	id := f.complete(offers...)
	if got := f.each(id, job.OfferFilter{Limit: 1}); !slices.EqualFunc(got, offers, func(a, b job.Offer) bool { return a.Day == b.Day }) {
		t.Errorf("read %d offers of %d, or in another order", len(got), days)
	}
	for o, err := range f.EachOffer(t.Context(), tenant, id, job.OfferFilter{}) {
		if err != nil || o.Day != 0 {
			t.Errorf("first offer %v, %v", o, err)
		}
		break // and the sequence lets go
	}
	read := 0
	var last error
	for _, err := range f.EachOffer(t.Context(), tenant, id, job.OfferFilter{}) {
		if read++; read == 10 {
			f.exec(`DELETE FROM jobs WHERE id = $1`, id)
		}
		last = err
	}
	if !errors.Is(last, job.ErrNotFound) {
		t.Errorf("a job deleted while it is read ends with %v, want ErrNotFound", last)
	}
}

func TestOffersUntilComplete(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, s := range job.States() {
		id := f.in(s)
		_, err := f.Offers(t.Context(), tenant, id, job.OfferFilter{})
		if want := s != job.JobComplete; errors.Is(err, job.ErrNotComplete) != want || (err != nil) != want {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestCopyOffersFails(t *testing.T) {
	t.Parallel()
	f := setup(t)
	l, cause := f.claimed(), errors.New("cause")
	next := from(offer("a", 1))
	err := f.InTx(t.Context(), scope.Worker(tenant), func(tx pgx.Tx) error {
		_, err := f.CopyOffersTx(t.Context(), tx, l, func() (job.Offer, bool, error) {
			if o, ok, err := next(); ok {
				return o, ok, err
			}
			return job.Offer{}, false, cause
		})
		return err
	})
	if !errors.Is(err, cause) {
		t.Errorf("error = %v, want the cause", err)
	}
	twice := f.InTx(t.Context(), scope.Worker(tenant), func(tx pgx.Tx) error {
		_, err := f.CopyOffersTx(t.Context(), tx, l, from(offer("a", 1), offer("a", 1)))
		return err
	})
	if twice == nil {
		t.Error("the same offer twice gives no error")
	}
	if n := f.count(`offers`); n != 0 {
		t.Errorf("left %d offers", n)
	}
}

// A worker that stops in the middle of its transaction holds nobody up: not its
// own heartbeat, not the recovery, and not the attempt that follows.
func TestStoppedAttemptHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	f := setup(t)
	stopped := f.claimed()
	tx, err := f.pool.Begin(t.Context())
	f.must(err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = f.CopyOffersTx(t.Context(), tx, stopped, from(offer("a", 1), offer("b", 1)))
	f.must(err)

	f.must(f.Extend(t.Context(), stopped))
	f.must(f.Progress(t.Context(), stopped, job.Progress{Stage: job.Persisting}))
	f.expire(stopped)
	if ids := f.recover(1); len(ids) != 1 {
		t.Fatalf("recovered %v", ids)
	}
	next := f.claim(stopped.JobID)
	f.tx(func(tx pgx.Tx) error {
		_, err := f.CopyOffersTx(t.Context(), tx, next, from(offer("a", 1)))
		return errors.Join(err, f.CompleteTx(t.Context(), tx, next, result()))
	})
	if err := f.CompleteTx(t.Context(), tx, stopped, result()); !errors.Is(err, job.ErrLostLease) {
		t.Errorf("the stopped attempt goes on with %v, want ErrLostLease", err)
	}
	if got := f.each(stopped.JobID, job.OfferFilter{}); len(got) != 1 {
		t.Errorf("%d offers, want the second attempt's", len(got))
	}
}
