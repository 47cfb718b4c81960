package job

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.jetify.com/typeid"

	"sluice/internal/job/db"
)

// Ended returns up to limit jobs that ended longer than age ago, first those
// that were created first: of each the Draft's ID and Tenant alone.
func (s *Store) Ended(ctx context.Context, age time.Duration, limit int) ([]Draft, error) {
	rows, err := s.q.ListEnded(ctx, db.ListEndedParams{
		Before: firstID(idPrefix, time.Now().Add(-age)), Seconds: age.Seconds(), MaxRows: int32(limit),
	})
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
	binary.BigEndian.PutUint64(u[:8], uint64(t.UnixMilli())<<16)
	return typeid.Must(typeid.FromUUIDBytesWithPrefix(prefix, u[:])).String()
}
