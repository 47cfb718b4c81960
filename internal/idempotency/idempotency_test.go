package idempotency_test

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/devstack/devtest"
	"sluice/internal/idempotency"
	"sluice/internal/scope"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// world is the store of one process, and the database that others share.
type world struct {
	*testing.T
	pool  *pgxpool.Pool
	store *idempotency.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, pool: devtest.Database(t)}
	store, err := idempotency.New(idempotency.Config{Pool: w.pool, Lease: time.Second})
	w.must(err)
	w.store = store
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) claim(tenant, key string) *idempotency.Claim {
	w.Helper()
	c, err := w.store.Claim(w.Context(), tenant, key)
	w.must(err)
	return c
}

// keep keeps an answer, in a transaction of its own.
func (w *world) keep(c *idempotency.Claim, a idempotency.Answer) error {
	return pgx.BeginFunc(w.Context(), scope.Over(w.pool, scope.Tenant("acme")), c.Keep(w.Context(), a))
}

// expire ends the time of every key.
func (w *world) expire() {
	w.Helper()
	_, err := w.pool.Exec(w.Context(), "UPDATE idempotency_keys SET expires_at = clock_timestamp()")
	w.must(err)
}

var answer = idempotency.Answer{Fingerprint: [32]byte{1}, JobID: "job_x", Status: 202, Body: `{"a":1}`}

// Of many that come at once one is the first; the others are told so, and get its answer once there is one.
func TestOneIsFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var first int
	var mu sync.Mutex
	var all sync.WaitGroup
	start := make(chan struct{})
	for range 16 {
		all.Go(func() {
			<-start
			c, err := w.store.Claim(t.Context(), "acme", "k")
			if errors.Is(err, idempotency.ErrBusy) {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Release(t.Context())
			if c.First != nil { // of who came after it
				return
			}
			mu.Lock()
			first++
			mu.Unlock()
			if err := w.keep(c, answer); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
	if first != 1 {
		t.Fatalf("%d were the first", first)
	}
	if c := w.claim("acme", "k"); c.First == nil || *c.First != answer {
		t.Errorf("first answer is %+v, want %+v", c.First, answer)
	}
	other := w.claim("others", "k")
	defer other.Release(t.Context())
	if other.First != nil {
		t.Error("a tenant got the answer of another")
	}
}

// A request that failed frees its key at once, one whose process died after the lease, and an answer's time ends too.
func TestKeysGetFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.claim("acme", "k").Release(t.Context())
	c := w.claim("acme", "k")
	idempotency.StopRenewing(c)
	if _, err := w.store.Claim(t.Context(), "acme", "k"); !errors.Is(err, idempotency.ErrBusy) {
		t.Fatalf("the key of a process that has just died: %v", err)
	}
	w.expire()
	next := w.claim("acme", "k")
	if err := w.keep(c, answer); !errors.Is(err, idempotency.ErrBusy) {
		t.Errorf("an answer by who has lost the key: %v", err)
	}
	c.Release(t.Context()) // frees nothing of its successor's
	w.must(w.keep(next, answer))
	next.Release(t.Context())
	if got := w.claim("acme", "k"); got.First == nil {
		t.Fatal("the answer is not kept")
	}
	w.expire()
	again := w.claim("acme", "k")
	defer again.Release(t.Context())
	if again.First != nil {
		t.Error("an answer is given again when its time is over")
	}
}

// A request that takes longer than the lease keeps its key.
func TestRenewal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.claim("acme", "k")
	defer c.Release(t.Context())
	var taken time.Time
	w.must(w.pool.QueryRow(t.Context(), "SELECT expires_at FROM idempotency_keys").Scan(&taken))
	for now := taken; !now.After(taken); { // Postgres's clock, and theirs
		w.must(w.pool.QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&now))
	}
	if _, err := w.store.Claim(t.Context(), "acme", "k"); !errors.Is(err, idempotency.ErrBusy) {
		t.Errorf("past its first lease: %v", err)
	}
	w.must(w.keep(c, answer))
}
