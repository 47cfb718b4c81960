package job_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"sluice/internal/devstack/devtest"
	"sluice/internal/job"
	"sluice/internal/scope"
)

// pgxCopy writes offers as CopyOffersTx does, by the encoder of pgx.
func pgxCopy(ctx context.Context, tx pgx.Tx, l *job.Lease, next func() (job.Offer, bool, error)) (int64, error) {
	columns := []string{
		"tenant", "job_id", "fence", "account_id", "date", "as_of", "amount_minor", "transaction_count", "credit_score", "months",
		"composite_ppm", "volume_ppm", "ratio_ppm", "consistency_ppm", "approved", "risk_level", "reason_codes",
	}
	values := make([]any, len(columns))
	date := func(day int32, otherwise pgtype.Date) pgtype.Date {
		if day == job.NoDay {
			return otherwise
		}
		return pgtype.Date{Time: time.Unix(int64(day)*86_400, 0).UTC(), Valid: true}
	}
	infinity := pgtype.Date{InfinityModifier: pgtype.Infinity, Valid: true}
	return tx.CopyFrom(ctx, pgx.Identifier{"offers_rows"}, columns, pgx.CopyFromFunc(func() ([]any, error) {
		o, ok, err := next()
		if err != nil || !ok {
			return nil, err
		}
		if o.ReasonCodes == nil {
			o.ReasonCodes = []string{}
		}
		return append(values[:0],
			l.Tenant, l.JobID, l.Fence, o.AccountID, date(o.Day, infinity), date(o.AsOfDay, pgtype.Date{}), o.AmountMinor, o.TransactionCount, o.CreditScore, o.Months,
			o.CompositePPM, o.VolumePPM, o.RatioPPM, o.ConsistencyPPM, o.Approved, o.RiskLevel, o.ReasonCodes), nil
	}))
}

// edges has each field at its ends; the days are all that Postgres knows.
func edges() []job.Offer {
	var all []job.Offer
	add := func(edit func(o *job.Offer)) {
		o := offer(fmt.Sprintf("%04d", len(all)), 19_000)
		edit(&o)
		all = append(all, o)
	}
	for _, day := range []int32{-2_440_588, -719_162, -1, 0, 10_956, 10_957, 2_932_896, 2_145_031_948, job.NoDay} {
		add(func(o *job.Offer) { o.Day = day })
		if day != job.NoDay { // NULL, which the column refuses
			add(func(o *job.Offer) { o.AsOfDay = day })
		}
	}
	for _, v := range []int64{0, 1, math.MinInt32, math.MaxInt32} {
		add(func(o *job.Offer) { o.CompositePPM, o.VolumePPM, o.RatioPPM, o.ConsistencyPPM = v, v, v, v })
		add(func(o *job.Offer) { o.CreditScore, o.Months = int(v), int(v) })
	}
	add(func(o *job.Offer) { o.AmountMinor, o.TransactionCount = 0, math.MinInt64 })
	add(func(o *job.Offer) { o.AmountMinor, o.TransactionCount = math.MaxInt64, math.MaxInt64 })
	for _, codes := range [][]string{nil, {}, {""}, {"A"}, {"A", "{\"},\\", "NULL", "ä"}} {
		add(func(o *job.Offer) { o.ReasonCodes = codes })
	}
	for _, level := range []string{"LOW", "MEDIUM", "HIGH"} {
		add(func(o *job.Offer) { o.RiskLevel, o.Approved = level, level == "LOW" })
	}
	for _, id := range []string{"", "ä\U0010FFFF", "\t\\N\n", strings.Repeat("x", 100_000)} {
		add(func(o *job.Offer) { o.AccountID = id })
	}
	return all
}

// TestCopyEqualsPgx holds that our encoder stores what that of pgx does, bit by
// bit, or fails where it does.
func TestCopyEqualsPgx(t *testing.T) {
	t.Parallel()
	f := setup(t)
	write := func(encoder func(ctx context.Context, tx pgx.Tx, l *job.Lease, next func() (job.Offer, bool, error)) (int64, error), offers ...job.Offer) (string, error) {
		l, n := f.claimed(), int64(0)
		err := f.InTx(f.ctx(), scope.Worker(tenant), func(tx pgx.Tx) (err error) {
			n, err = encoder(f.ctx(), tx, l, from(offers...))
			return err
		})
		if want := int64(len(offers)); err == nil && n != want {
			t.Errorf("counted %d offers of %d", n, want)
		}
		var stored string
		f.must(f.pool.QueryRow(f.ctx(), `SELECT coalesce(string_agg(concat_ws('|', tenant, fence, md5(account_id), date, as_of, amount_minor, transaction_count,
			credit_score, months, composite_ppm, volume_ppm, ratio_ppm, consistency_ppm, approved, risk_level, array_dims(reason_codes), encode(array_send(reason_codes), 'hex')), E'\n'
			ORDER BY account_id, date), '') FROM offers WHERE job_id = $1`, l.JobID).Scan(&stored))
		return stored, err
	}
	for _, offers := range [][]job.Offer{nil, edges()} {
		want, err := write(pgxCopy, offers...)
		f.must(err)
		got, err := write(f.CopyOffersTx, offers...)
		f.must(err)
		if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("(-pgx +ours):\n%s", diff)
		}
		if lines := strings.Count(got, "\n"); len(offers) > 0 && lines != len(offers)-1 {
			t.Errorf("%d lines of %d offers", lines+1, len(offers))
		}
	}
	for name, edit := range map[string]func(o *job.Offer){
		"as_of NULL":        func(o *job.Offer) { o.AsOfDay = job.NoDay },
		"score too great":   func(o *job.Offer) { o.CreditScore = math.MaxInt32 + 1 },
		"ppm too small":     func(o *job.Offer) { o.RatioPPM = math.MinInt32 - 1 },
		"NUL in account":    func(o *job.Offer) { o.AccountID = "a\x00" },
		"account not UTF-8": func(o *job.Offer) { o.AccountID = "\xff" },
		"negative amount":   func(o *job.Offer) { o.AmountMinor = -1 },
		"unknown level":     func(o *job.Offer) { o.RiskLevel = "" },
	} {
		bad := offer("a", 1)
		edit(&bad)
		_, pgxErr := write(pgxCopy, bad)
		got, err := write(f.CopyOffersTx, bad)
		if pgxErr == nil || err == nil || got != "" {
			t.Errorf("%s: pgx %v, ours %v, stored %q", name, pgxErr, err, got)
		}
	}
}

// TestCopyEndsWithTheTransaction holds that no offer is asked for once the copy
// is over, and that a connection whose copy failed is of use again.
func TestCopyEndsWithTheTransaction(t *testing.T) {
	t.Parallel()
	f := setup(t)
	l, over := f.claimed(), false
	err := f.InTx(f.ctx(), scope.Worker(tenant), func(tx pgx.Tx) error {
		for range 3 {
			over = false
			sub, err := tx.Begin(f.ctx())
			f.must(err)
			_, err = f.CopyOffersTx(f.ctx(), sub, l, func() (job.Offer, bool, error) {
				if over {
					t.Error("an offer was asked for after the copy")
				}
				return offer("the same", 1), true, nil // without end, but for the primary key
			})
			over = true
			if err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("the same offer again and again: %v", err)
			}
			f.must(sub.Rollback(f.ctx()))
		}
		_, err := f.CopyOffersTx(f.ctx(), tx, l, from(offer("a", 1)))
		return err
	})
	if n := f.count(`offers`); err != nil || n != 1 {
		t.Errorf("%d offers, %v", n, err)
	}
}

// BenchmarkCopy compares our encoder with that of pgx, by turns. cpu-s/M is this
// process's CPU seconds per million offers, without the server's.
func BenchmarkCopy(b *testing.B) {
	pool := devtest.Database(b)
	s, err := job.New(job.Config{Pool: pool})
	if err != nil {
		b.Fatal(err)
	}
	l := benchLease(b, s)
	accounts := make([]string, benchOffers)
	for i := range accounts {
		accounts[i] = benchAccount(i)
	}
	for _, e := range []struct {
		name   string
		encode func(ctx context.Context, tx pgx.Tx, l *job.Lease, next func() (job.Offer, bool, error)) (int64, error)
	}{{"ours", s.CopyOffersTx}, {"pgx", pgxCopy}, {"ours-again", s.CopyOffersTx}, {"pgx-again", pgxCopy}} {
		b.Run(e.name, func(b *testing.B) {
			rollback := errors.New("rollback")
			before := cpuSeconds(b)
			for b.Loop() {
				i, o := 0, offer("", job.NoDay)
				o.ReasonCodes = []string{"LOW_TRANSACTION_VOLUME", "INCONSISTENT_REVENUE"}
				err := s.InTx(b.Context(), scope.Worker(tenant), func(tx pgx.Tx) error {
					_, err := e.encode(b.Context(), tx, l, func() (job.Offer, bool, error) {
						if i == benchOffers {
							return o, false, nil
						}
						o.AccountID = accounts[i]
						i++
						return o, true, nil
					})
					return errors.Join(err, rollback)
				})
				if !errors.Is(err, rollback) {
					b.Fatal(err)
				}
			}
			copied := benchOffers * float64(b.N)
			b.ReportMetric((cpuSeconds(b)-before)/copied*1e6, "cpu-s/M")
			b.ReportMetric(copied/b.Elapsed().Seconds(), "offers/s")
		})
	}
}

func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
}
