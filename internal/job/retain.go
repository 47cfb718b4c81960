package job

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.jetify.com/typeid"

	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// Ended returns up to limit jobs that ended longer ago than their tenant's are kept,
// of each tenant first those that were created first: the Draft's ID and Tenant
// alone. otherwise is how long those of a tenant are kept that has no retention of
// its own, in whole seconds; 0 means for ever.
func (s *Store) Ended(ctx context.Context, otherwise time.Duration, limit int) ([]Draft, error) {
	q := s.as(scope.System)
	kept, err := q.ListRetentions(ctx, int64(otherwise.Seconds()))
	if err != nil {
		return nil, fmt.Errorf("list retentions: %w", err)
	}
	p, now := db.ListEndedParams{MaxRows: int32(limit)}, time.Now()
	for _, k := range kept {
		p.Tenants, p.Seconds = append(p.Tenants, k.Tenant), append(p.Seconds, k.Seconds)
		p.Befores = append(p.Befores, firstID(idPrefix, now.Add(-time.Duration(k.Seconds)*time.Second)))
	}
	rows, err := q.ListEnded(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("list ended jobs: %w", err)
	}
	jobs := make([]Draft, len(rows))
	for i, r := range rows {
		jobs[i] = Draft{ID: r.ID, Tenant: r.Tenant}
	}
	return jobs, nil
}

// firstID sorts before every id that newID makes of the prefix at t or later, and behind those
// that it made in an earlier millisecond.
func firstID(prefix string, t time.Time) string {
	var u [16]byte
	binary.BigEndian.PutUint64(u[:8], uint64(max(t.UnixMilli(), 0))<<16)
	return typeid.Must(typeid.FromUUIDBytesWithPrefix(prefix, u[:])).String()
}
