package worker_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/job"
)

// nth calls do with the connection before the nth query from now on.
type nth struct {
	left atomic.Int64
	do   func(*pgx.Conn)
}

func (n *nth) TraceQueryStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	if n.left.Add(-1) == 0 {
		n.do(conn)
	}
	return ctx
}

func (*nth) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

const queries = 5 // more than River's Start makes

// A worker that is told to stop while it starts, at whichever query of River's, has
// stopped cleanly.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	for n := range int64(queries) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stop := &nth{do: func(*pgx.Conn) { cancel() }}
		stop.left.Store(n + 1)
		w := newWorld(t, func(c *pgxpool.Config) { c.ConnConfig.Tracer = stop })
		if err := w.build().Run(ctx); err != nil {
			t.Errorf("told at query %d: %v", n+1, err)
		}
	}
}

// A worker that loses Postgres while it starts, at whichever query of River's, goes on
// as one that loses it later does.
func TestPostgresLostWhileStarting(t *testing.T) {
	t.Parallel()
	for n := range int64(queries) {
		lose := &nth{do: func(conn *pgx.Conn) { conn.PgConn().Conn().Close() }}
		lose.left.Store(n + 1)
		w := newWorld(t, func(c *pgxpool.Config) { c.ConnConfig.Tracer = lose })
		id := w.file(csv...)
		stop := w.start()
		if j := w.ends(id); j.State != job.JobComplete {
			t.Errorf("lost at query %d: the job is %s, %v", n+1, j.State, j.Error)
		}
		stop()
	}
}
