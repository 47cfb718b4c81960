package job_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/internal/devstack/devtest"
	"sluice/internal/job"
	"sluice/internal/scope"
)

const benchOffers = 100_000

// BenchmarkOffers measures writing and reading the offers of a large file.
func BenchmarkOffers(b *testing.B) {
	pool := devtest.Database(b)
	s, err := job.New(job.Config{Pool: pool})
	if err != nil {
		b.Fatal(err)
	}
	l := benchLease(b, s)
	b.Run("copy", func(b *testing.B) {
		rollback := errors.New("rollback")
		for b.Loop() {
			err := s.InTx(b.Context(), scope.Worker(tenant), func(tx pgx.Tx) error {
				return errors.Join(benchCopy(b, s, tx, l), rollback)
			})
			if !errors.Is(err, rollback) {
				b.Fatal(err)
			}
		}
		b.ReportMetric(benchOffers*float64(b.N)/b.Elapsed().Seconds(), "offers/s")
	})
	err = s.InTx(b.Context(), scope.Worker(tenant), func(tx pgx.Tx) error {
		return errors.Join(benchCopy(b, s, tx, l), s.CompleteTx(b.Context(), tx, l, result()))
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("each", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range s.EachOffer(b.Context(), l.Tenant, l.JobID, job.OfferFilter{}) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != benchOffers {
				b.Fatalf("read %d offers", n)
			}
		}
		b.ReportMetric(benchOffers*float64(b.N)/b.Elapsed().Seconds(), "offers/s")
	})
	b.Run("sorted", func(b *testing.B) { // the last page, by a column without an index
		f := job.OfferFilter{Order: job.OfferOrder{Sort: job.ByAmount, Descending: true}, Limit: 20}
		f.After = f.Order.At(job.Offer{AccountID: benchAccount(benchOffers - 21), Day: job.NoDay, AmountMinor: offer("", job.NoDay).AmountMinor})
		for b.Loop() {
			if got, err := s.Offers(b.Context(), l.Tenant, l.JobID, f); err != nil || len(got) != 20 {
				b.Fatalf("%d offers, %v", len(got), err)
			}
		}
	})
	b.Run("account", func(b *testing.B) {
		account := benchAccount(benchOffers / 2)
		for b.Loop() {
			if got, err := s.Offers(b.Context(), l.Tenant, l.JobID, job.OfferFilter{AccountID: &account}); err != nil || len(got) != 1 {
				b.Fatalf("%d offers, %v", len(got), err)
			}
		}
	})
}

func benchAccount(i int) string { return fmt.Sprintf("ACC-%08d", i) }

func benchCopy(b *testing.B, s *job.Store, tx pgx.Tx, l *job.Lease) error {
	b.Helper()
	i := 0
	o := offer("", job.NoDay)
	o.ReasonCodes = []string{"LOW_TRANSACTION_VOLUME", "INCONSISTENT_REVENUE"}
	n, err := s.CopyOffersTx(b.Context(), tx, l, func() (job.Offer, bool, error) {
		o.AccountID = benchAccount(i)
		i++
		return o, i <= benchOffers, nil
	})
	if err == nil && n != benchOffers {
		err = fmt.Errorf("copied %d offers", n)
	}
	return err
}

// benchLease creates a job and claims it.
func benchLease(b *testing.B, s *job.Store) *job.Lease {
	b.Helper()
	d := job.Draft{ID: job.NewID(), Tenant: tenant, Channel: "tus"}
	err := s.InTx(b.Context(), scope.Worker(tenant), func(tx pgx.Tx) error {
		return errors.Join(s.CreateTx(b.Context(), tx, d), s.EnqueueTx(b.Context(), tx, d.ID, 1, 1))
	})
	if err != nil {
		b.Fatal(err)
	}
	l, _, err := s.Claim(b.Context(), job.IngestArgs{Version: 1, JobID: d.ID, Fence: 1}, worker)
	if err != nil {
		b.Fatal(err)
	}
	return l
}
