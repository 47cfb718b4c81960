package scope

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/share"
)

// TakeTurns has cfg's pool share its connections among lines: who waits for one waits for
// what its own line has asked for, and hardly for others. A line is the tenant that the
// context is bound to, or what InLine says. The process's own work, whose context is in
// none, takes no turn: it waits for the pool alone.
func TakeTurns(cfg *pgxpool.Config) {
	cfg.ConnConfig.Tracer = &turns{share: share.New(int64(cfg.MaxConns), min(1, int64(cfg.MaxConns)-1)), holders: map[*pgx.Conn]*share.Account{}}
}

// turns are told by the pool before it looks for a connection and when one comes back.
// It has no other hook there than for tracers.
type turns struct {
	share *share.Share

	mu      sync.Mutex
	holders map[*pgx.Conn]*share.Account
}

type turnKey struct{}

type lineKey struct{}

// InLine returns a context that takes turns as one of that line until it is bound to a
// tenant: for who is not known yet. Lines are kept, so there may not be many.
func InLine(ctx context.Context, line string) context.Context {
	return context.WithValue(ctx, lineKey{}, "\x00"+line) // no tenant's name
}

// TraceAcquireStart implements pgxpool.AcquireTracer: it returns when the turn has come,
// or ctx has ended, with which the pool gives up too.
func (t *turns) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	line, ok := ctx.Value(boundKey{}).(string)
	if !ok {
		line, ok = ctx.Value(lineKey{}).(string)
	}
	if !ok {
		return ctx
	}
	account := t.share.Of(line)
	if account.Wait(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, turnKey{}, account)
}

// TraceAcquireEnd implements pgxpool.AcquireTracer: without a connection the turn is over.
func (t *turns) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	account, ok := ctx.Value(turnKey{}).(*share.Account)
	switch {
	case !ok:
	case data.Err != nil:
		account.Release(1)
	default:
		t.mu.Lock()
		defer t.mu.Unlock()
		t.holders[data.Conn] = account
	}
}

// TraceRelease implements pgxpool.ReleaseTracer.
func (t *turns) TraceRelease(_ *pgxpool.Pool, data pgxpool.TraceReleaseData) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if account, ok := t.holders[data.Conn]; ok {
		account.Release(1)
		delete(t.holders, data.Conn)
	}
}

// TraceQueryStart implements pgx.QueryTracer, as each tracer must.
func (*turns) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*turns) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
