package scope_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"sluice/internal/devstack/devtest"
	"sluice/internal/scope"
)

// fairPool is a pool of so many connections that gives them in turns. connect is asked
// before each is made.
func fairPool(t testing.TB, conns int32, connect func() error) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(devtest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = conns
	cfg.BeforeConnect = func(context.Context, *pgx.ConnConfig) error { return connect() }
	scope.TakeTurns(cfg)
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func connects() error { return nil }

// ask has one transaction of a tenant.
func ask(ctx context.Context, pool *pgxpool.Pool, tenant string) error {
	db := scope.Over(pool, scope.Tenant(tenant))
	return pgx.BeginFunc(scope.Bind(ctx, tenant), db, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*) FROM jobs`).Scan(new(int))
	})
}

// However many transactions of one tenant wait for a connection, another's does not
// wait behind them.
func TestTurnsOfTenants(t *testing.T) {
	t.Parallel()
	const crowd, asked = 40, 50
	pool := fairPool(t, 2, connects)
	var served, between atomic.Int64
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var group errgroup.Group
	flooding := make(chan struct{})
	for range crowd {
		group.Go(func() error {
			for ctx.Err() == nil {
				if err := ask(ctx, pool, "rough"); err != nil && !errors.Is(err, context.Canceled) {
					return err
				}
				if served.Add(1) == 2*crowd {
					close(flooding)
				}
			}
			return nil
		})
	}
	<-flooding
	for range asked {
		before := served.Load()
		if err := ask(ctx, pool, "calm"); err != nil {
			t.Fatal(err)
		}
		between.Add(served.Load() - before)
	}
	leave()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d transactions of the crowd within %d of the other", between.Load(), asked)
	if between.Load() > asked*crowd/4 { // in line it is some crowd each
		t.Error("the other waits in line")
	}
}

// Who gives up or gets no connection keeps none from others, known or not.
func TestTurnsComeBack(t *testing.T) {
	t.Parallel()
	refused, refusals := errors.New("refused"), 0
	pool := fairPool(t, 1, func() error {
		if refusals++; refusals <= 3 {
			return refused
		}
		return nil
	})
	for range 3 {
		if err := ask(t.Context(), pool, "acme"); !errors.Is(err, refused) {
			t.Fatalf("error = %v", err)
		}
	}
	held, err := scope.Over(pool, scope.System).Begin(scope.InLine(t.Context(), "strangers"))
	if err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() { gaveUp <- ask(gone, pool, "acme") }()
	leave()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	if err := held.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := ask(t.Context(), pool, "acme"); err != nil {
		t.Fatal(err)
	}
}

// The process's own work takes no turn, so it can have all connections, and what a tenant's
// requests hold is no more of them than before.
func TestOwnWorkTakesNoTurn(t *testing.T) {
	t.Parallel()
	pool := fairPool(t, 2, connects)
	held, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback(t.Context())
	if err := pool.Ping(t.Context()); err != nil { // by the last connection, which waits for a tenant's turn otherwise
		t.Fatal(err)
	}
	if err := ask(t.Context(), pool, "acme"); err != nil {
		t.Fatal(err)
	}
}

// Who is not known yet takes turns with the others in the line that is named, and with none
// of a tenant's, of whatever name.
func TestLines(t *testing.T) {
	t.Parallel()
	pool := fairPool(t, 2, connects)
	strangers := scope.InLine(t.Context(), "acme")
	held, err := pool.Begin(strangers)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback(t.Context())
	if err := ask(strangers, pool, "acme"); err != nil { // by the last connection, which is only for who has none
		t.Fatal(err)
	}
}
