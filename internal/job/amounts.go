package job

import (
	"context"
	"fmt"

	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// maxAmountBins is how many bins Amounts makes at most.
const maxAmountBins = 24

// AmountCount counts the approved offers whose amounts are in one bin.
type AmountCount struct {
	FromMinor  int64 // the least amount of the bin
	WidthMinor int64 // 1, 2 or 5 times a power of ten; the same for all bins
	Offers     int64 // at least 1
}

// Amounts counts a job's approved offers by amount, in ascending order, in bins of
// one width of which not more than 24 lie between the first and the last; those
// that would be empty are left out. Its errors are those of Offers.
func (s *Store) Amounts(ctx context.Context, tenant, id string) ([]AmountCount, error) {
	fence, err := s.offerFence(ctx, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("count amounts of job %s: %w", id, err)
	}
	q := s.as(scope.Tenant(tenant))
	r, err := q.AmountRange(ctx, db.AmountRangeParams{JobID: id, Fence: fence, Tenant: tenant})
	if err != nil {
		return nil, fmt.Errorf("count amounts of job %s: %w", id, err)
	}
	width := amountWidth(r.Least, r.Most)
	rows, err := q.CountAmounts(ctx, db.CountAmountsParams{Width: width, JobID: id, Fence: fence, Tenant: tenant})
	if err != nil {
		return nil, fmt.Errorf("count amounts of job %s: %w", id, err)
	}
	counts := make([]AmountCount, len(rows))
	for i, row := range rows {
		counts[i] = AmountCount{FromMinor: row.Bin * width, WidthMinor: width, Offers: row.Offers}
	}
	return counts, nil
}

// amountWidth returns the smallest width that needs no more than maxAmountBins.
func amountWidth(least, most int64) int64 {
	for power := int64(1); ; power *= 10 { // at 10^18 there are ten at most
		for _, digit := range []int64{1, 2, 5} {
			if width := digit * power; most/width-least/width < maxAmountBins {
				return width
			}
		}
	}
}
