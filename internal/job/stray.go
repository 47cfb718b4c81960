package job

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job/db"
	"sluice/internal/scope"
)

// defaultGrace is Config.SweepGrace's default.
const defaultGrace = 15 * time.Minute

// ResultPrefix is what the keys of all that a job's attempts write begin with;
// an attempt's fence and a slash follow.
func ResultPrefix(tenant, id string) string { return "results/" + tenant + "/" + id + "/" }

// Stray is a job of which an attempt was lost: what it wrote is to be found and
// deleted.
type Stray struct {
	JobID, Tenant string

	row   db.Stray
	live  [2]string // keys that the result names
	fence int64     // of the attempt that runs; 0: none does
}

// ClaimStray returns the stray that is due longest, nil when none is. Any number
// of processes may claim at once. A stray whose sweep fails is due again later.
func (s *Store) ClaimStray(ctx context.Context) (*Stray, error) {
	row, err := s.as(scope.System).ClaimStray(ctx, s.grace.Seconds())
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("claim stray: %w", err)
	}
	return &Stray{JobID: row.JobID, Tenant: row.Tenant, row: row}, nil
}

// Lost are the fences of attempts that may have begun objects of which no list
// tells, and of some that never were.
func (t *Stray) Lost() []int64 { return t.row.Fences }

// Names tells whether the key is in use: named by the job's result, or written
// by the attempt that runs.
func (t *Stray) Names(key string) bool {
	if key == t.live[0] || key == t.live[1] {
		return true
	}
	return t.fence != 0 && strings.HasPrefix(key, ResultPrefix(t.Tenant, t.JobID)+strconv.FormatInt(t.fence, 10)+"/")
}

// Load reads what Names answers from. Call it after the keys were listed: a key
// that is in the list and not in use then never will be. Of a job that was
// deleted nothing is in use.
func (s *Store) Load(ctx context.Context, t *Stray) error {
	live, err := s.as(scope.System).LiveObjects(ctx, t.JobID)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read objects of job %s: %w", t.JobID, err)
	}
	t.live, t.fence = [2]string{live.AggregatesKey, live.RejectsKey}, live.Fence
	return nil
}

// Swept ends the stray, unless another attempt of the job was lost meanwhile.
func (s *Store) Swept(ctx context.Context, t *Stray) error {
	if err := s.as(scope.System).StraySwept(ctx, db.StraySweptParams{JobID: t.JobID, SweepAt: t.row.SweepAt}); err != nil {
		return fmt.Errorf("end stray %s: %w", t.JobID, err)
	}
	return nil
}

// keepStray has the objects of a job looked through once the grace is over, and
// what the attempt of that lease, if its fence is not 0, has begun.
func (s *Store) keepStray(ctx context.Context, tx pgx.Tx, lost Lease) error {
	err := db.New(tx).KeepStray(ctx, db.KeepStrayParams{JobID: lost.JobID, Tenant: lost.Tenant, Fence: lost.Fence, Seconds: s.grace.Seconds()})
	if err != nil {
		return fmt.Errorf("keep stray %s: %w", lost.JobID, err)
	}
	return nil
}
