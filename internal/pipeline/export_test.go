package pipeline

import (
	"context"

	"sluice/internal/rollup"
)

// Sum reads a file as Run does, with all its checks, up to its sums: what a
// query that groups by account and date does.
func Sum(ctx context.Context, in Input) (*rollup.Rollup, error) {
	r := newRun(in, Sinks{})
	if err := r.judge(r.parse(ctx)); err != nil {
		return nil, err
	}
	return r.sums, r.sums.Finish()
}
