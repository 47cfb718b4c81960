package worker_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// nth calls do before the nth query from now on.
type nth struct {
	left atomic.Int64
	do   func()
}

func (n *nth) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if n.left.Add(-1) == 0 {
		n.do()
	}
	return ctx
}

func (*nth) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A worker that is told to stop while it starts, at whichever query of River's, has
// stopped cleanly.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	const queries = 5 // more than Start makes
	for n := range int64(queries) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stop := &nth{do: cancel}
		stop.left.Store(n + 1)
		w := newWorld(t, func(c *pgxpool.Config) { c.ConnConfig.Tracer = stop })
		if err := w.build().Run(ctx); err != nil {
			t.Errorf("told at query %d: %v", n+1, err)
		}
	}
}
