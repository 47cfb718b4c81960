package job

import (
	"context"
	"fmt"
	"math/big"

	"sluice/internal/job/db"
	"sluice/internal/money"
	"sluice/internal/scope"
)

// ScoreCount counts the offers of one score and one decision.
type ScoreCount struct {
	Score       int
	Approved    bool
	Offers      int64
	AmountMinor money.Int // their sum, in minor units
}

// Scores counts a job's offers by score, in ascending order; those declined come
// before those approved. Its errors are those of Offers.
func (s *Store) Scores(ctx context.Context, tenant, id string) ([]ScoreCount, error) {
	fence, err := s.offerFence(ctx, tenant, id)
	if err != nil {
		return nil, fmt.Errorf("count scores of job %s: %w", id, err)
	}
	rows, err := s.as(scope.Tenant(tenant)).CountScores(ctx, db.CountScoresParams{JobID: id, Fence: fence, Tenant: tenant})
	if err != nil {
		return nil, fmt.Errorf("count scores of job %s: %w", id, err)
	}
	counts := make([]ScoreCount, len(rows))
	for i, r := range rows {
		sum, _ := new(big.Int).SetString(r.AmountMinor, 10)
		amount, ok := money.FromBig(sum)
		if !ok { // 2^64 offers of 2^63 would be needed
			return nil, fmt.Errorf("count scores of job %s: sum %s", id, r.AmountMinor)
		}
		counts[i] = ScoreCount{Score: int(r.CreditScore), Approved: r.Approved, Offers: r.Offers, AmountMinor: amount}
	}
	return counts, nil
}
