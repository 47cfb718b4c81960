package job

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// Bounds of OfferFilter.Limit, and the page by which EachOffer reads.
const (
	defaultOffers = 1000
	maxOffers     = 10_000
	offersPage    = 5000
)

// CopyOffersTx writes the offers that next returns, until it returns false or an
// error, by COPY in the caller's transaction, and returns how many there were.
// next gives them in ascending order of account id (by bytes) and day, each pair
// once; it is called in another goroutine, and not after CopyOffersTx has
// returned. Memory does not grow with the offers. They can be read once CompleteTx under the same lease is committed.
func (s *Store) CopyOffersTx(ctx context.Context, tx pgx.Tx, l *Lease, next func() (Offer, bool, error)) (int64, error) {
	c := newOfferCopy(l, next)
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, c, offersCopySQL)
	if cause := c.close(); cause != nil {
		err = cause // of which the server keeps but the text
	}
	if err != nil {
		return tag.RowsAffected(), fmt.Errorf("copy offers of job %s: %w", l.JobID, err)
	}
	return tag.RowsAffected(), nil
}

// Offers returns one page of a job's offers, by default in ascending order of
// account id (by bytes) and day. It returns ErrNotFound for an unknown id and for another
// tenant's, and ErrNotComplete until the job is JobComplete. To page, set
// OfferFilter.After to where the last offer that came is (OfferOrder.At); a page shorter than the limit
// is the last.
func (s *Store) Offers(ctx context.Context, tenant, id string, f OfferFilter) ([]Offer, error) {
	fence, err := s.offerFence(ctx, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("read offers of job %s: %w", id, err)
	}
	offers, err := s.offerPage(ctx, tenant, id, fence, f)
	if err != nil {
		return nil, fmt.Errorf("read offers of job %s: %w", id, err)
	}
	return offers, nil
}

// EachOffer returns all offers that the filter chooses, whatever its Limit. It
// reads page by page, so a slow consumer holds neither a connection nor a
// snapshot, and memory does not grow with the job. After an error, of those of
// Offers, it ends: a job that is deleted meanwhile does not look complete.
func (s *Store) EachOffer(ctx context.Context, tenant, id string, f OfferFilter) iter.Seq2[Offer, error] {
	return func(yield func(Offer, error) bool) {
		f := f // a second range over the sequence begins anew
		f.Limit = offersPage
		for {
			page, err := s.Offers(ctx, tenant, id, f)
			if err != nil {
				yield(Offer{}, err)
				return
			}
			for _, o := range page {
				if !yield(o, nil) {
					return
				}
			}
			if len(page) < offersPage {
				return
			}
			f.After = f.Order.At(page[len(page)-1])
		}
	}
}

// offerFence returns the fence under which the offers of a complete job were
// written: rows of other attempts, if any were left, are none of its offers.
func (s *Store) offerFence(ctx context.Context, tenant, id string) (int64, error) {
	if !storable(id) {
		return 0, ErrNotFound
	}
	r, err := s.as(scope.Tenant(tenant)).OfferFence(ctx, db.OfferFenceParams{Tenant: tenant, ID: id})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, ErrNotFound
	case err != nil:
		return 0, err
	case State(r.State) != JobComplete:
		return 0, ErrNotComplete
	}
	return deref(r.Fence), nil
}

func (s *Store) offerPage(ctx context.Context, tenant, id string, fence int64, f OfferFilter) ([]Offer, error) {
	if !f.storable() {
		return nil, nil
	}
	if f.Order != (OfferOrder{}) {
		return s.sortedPage(ctx, tenant, id, fence, f)
	}
	p := db.ListOffersParams{
		Tenant: tenant, JobID: id, Fence: fence, AfterDate: beforeAll(),
		Approved: f.Decision.approved(), RiskLevels: f.levels(), MaxRows: bound(f.Limit, defaultOffers, maxOffers),
	}
	if f.After != nil {
		p.AfterAccount, p.AfterDate = f.After.AccountID, offerDate(f.After.Day)
	}
	if f.AccountID == nil {
		rows, err := s.as(scope.Tenant(tenant)).ListOffers(ctx, p)
		return offersOf(rows, offerOf), err
	}
	rows, err := s.as(scope.Tenant(tenant)).ListAccountOffers(ctx, db.ListAccountOffersParams{
		Tenant: tenant, JobID: id, Fence: fence,
		AccountID: *f.AccountID, AfterDate: p.AfterDate,
		Approved: p.Approved, RiskLevels: p.RiskLevels, MaxRows: p.MaxRows,
	})
	return offersOf(rows, func(r db.ListAccountOffersRow) Offer { return offerOf(db.ListOffersRow(r)) }), err
}

// sortedPage is a page in another order than that of the key.
func (s *Store) sortedPage(ctx context.Context, tenant, id string, fence int64, f OfferFilter) ([]Offer, error) {
	p := db.ListOffersRankedParams{
		Tenant: tenant, JobID: id, Fence: fence, AccountID: f.AccountID,
		Sort: string(f.Order.Sort), Sign: f.Order.sign(), AfterRank: math.MinInt64, AfterDate: beforeAll(),
		Approved: f.Decision.approved(), RiskLevels: f.levels(), MaxRows: bound(f.Limit, defaultOffers, maxOffers),
	}
	if f.After != nil {
		p.AfterRank, p.AfterAccount, p.AfterDate = f.After.Rank, f.After.AccountID, offerDate(f.After.Day)
	}
	if f.Order.Sort != "" {
		rows, err := s.as(scope.Tenant(tenant)).ListOffersRanked(ctx, p)
		return offersOf(rows, func(r db.ListOffersRankedRow) Offer { return offerOf(db.ListOffersRow(r)) }), err
	}
	rows, err := s.as(scope.Tenant(tenant)).ListOffersBackward(ctx, db.ListOffersBackwardParams{
		Tenant: tenant, JobID: id, Fence: fence, AccountID: f.AccountID,
		First: f.After == nil, AfterAccount: p.AfterAccount, AfterDate: p.AfterDate,
		Approved: p.Approved, RiskLevels: p.RiskLevels, MaxRows: p.MaxRows,
	})
	return offersOf(rows, func(r db.ListOffersBackwardRow) Offer { return offerOf(db.ListOffersRow(r)) }), err
}

func (f OfferFilter) levels() []string {
	if f.RiskLevel == "" {
		return riskLevels
	}
	return []string{f.RiskLevel}
}

func (f OfferFilter) storable() bool {
	texts := []string{f.RiskLevel, deref(f.AccountID)}
	if f.After != nil {
		texts = append(texts, f.After.AccountID)
	}
	return storable(texts...)
}

// approved returns the values of the column that d chooses.
func (d Decision) approved() []bool {
	switch d {
	case AllDecisions:
		return []bool{true, false}
	case DeclinedOnly:
		return []bool{false}
	}
	return []bool{true}
}

// beforeAll is the date before that of any offer.
func beforeAll() pgtype.Date {
	return pgtype.Date{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
}

// offerDate returns the date under which an offer is filed: infinity for NoDay,
// so that -infinity is before all of them.
func offerDate(day int32) pgtype.Date {
	if day == NoDay {
		return pgtype.Date{InfinityModifier: pgtype.Infinity, Valid: true}
	}
	return date(day)
}

func offersOf[T any](rows []T, of func(T) Offer) []Offer {
	offers := make([]Offer, len(rows))
	for i, r := range rows {
		offers[i] = of(r)
	}
	return offers
}

func offerOf(r db.ListOffersRow) Offer {
	return Offer{
		AccountID: r.AccountID, Day: dayOf(r.Date), Approved: r.Approved, RiskLevel: r.RiskLevel,
		AmountMinor: r.AmountMinor, CreditScore: int(r.CreditScore), TransactionCount: r.TransactionCount,
		Months: int(r.Months), AsOfDay: dayOf(r.AsOf),
		CompositePPM: int64(r.CompositePpm), VolumePPM: int64(r.VolumePpm), RatioPPM: int64(r.RatioPpm), ConsistencyPPM: int64(r.ConsistencyPpm),
		ReasonCodes: r.ReasonCodes,
	}
}
