package access_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/access"
	"sluice/internal/devstack/devtest"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

// world is the store of one process, and the database that others share.
type world struct {
	*testing.T
	pool *pgxpool.Pool
	*access.Store
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, pool: devtest.Database(t)}
	w.Store = w.another(0)
	return w
}

// another returns the store of another process.
func (w *world) another(fresh time.Duration) *access.Store {
	w.Helper()
	s, err := access.New(access.Config{Pool: w.pool, Fresh: fresh})
	w.must(err)
	return s
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) create(role access.Role, lifetime time.Duration) access.NewKey {
	w.Helper()
	k, err := w.Create(w.Context(), access.Draft{Tenant: "acme", Role: role, Name: "till", Lifetime: lifetime})
	w.must(err)
	return k
}

// opens tells whether s takes the key, and fails the test where it takes it for another's.
func (w *world) opens(s *access.Store, k access.NewKey) bool {
	w.Helper()
	p, ok, err := s.Key(w.Context(), k.Text)
	w.must(err)
	if want := (access.Principal{Tenant: k.Tenant, Role: k.Role, KeyID: k.ID}); ok && p != want {
		w.Errorf("%s is taken for %+v", k.ID, p)
	}
	return ok
}

func (w *world) query(sql string, into any, args ...any) {
	w.Helper()
	w.must(w.pool.QueryRow(w.Context(), sql, args...).Scan(into))
}

// eventually waits until is says yes, for as long as the test may run.
func (w *world) eventually(what string, is func() bool) {
	w.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-w.Context().Done():
			w.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func TestKeyOpensItsTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, role := range []access.Role{access.Upload, access.Read, access.Admin} {
		k := w.create(role, time.Hour)
		if !strings.HasPrefix(k.Text, k.ID+"_") || !strings.HasPrefix(k.ID, access.KeyPrefix) {
			t.Errorf("the key %s does not begin with its id %s", k.Text, k.ID)
		}
		if !w.opens(w.Store, k) || !w.opens(w.another(0), k) {
			t.Errorf("a key of the role %s opens nothing", role)
		}
	}
}

// What is kept opens nothing: neither the key nor its secret half is in any row.
func TestKeyIsKeptHashed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.create(access.Read, 0)
	session, _, err := w.Begin(t.Context(), access.Principal{Tenant: "acme", Role: access.Read, KeyID: k.ID}, time.Hour, time.Time{})
	w.must(err)
	_, secret, _ := strings.Cut(strings.TrimPrefix(k.Text, access.KeyPrefix), "_")
	for _, table := range []string{"access_keys", "access_sessions"} {
		var rows string
		w.query("SELECT string_agg(t::text, ' ') FROM "+table+" AS t", &rows)
		if strings.Contains(rows, secret) || strings.Contains(rows, session) {
			t.Errorf("%s holds what opens something: %s", table, rows)
		}
	}
}

func TestWhatIsNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k, other := w.create(access.Admin, 0), w.create(access.Admin, 0)
	for _, text := range []string{
		"", "slk_", k.ID, k.ID + "_", k.Text[:len(k.Text)-1], k.Text + "a", " " + k.Text, strings.ToUpper(k.Text), k.ID + "_" + strings.Repeat("a", 52),
		k.ID + other.Text[len(other.ID):], k.Text[:len(k.Text)-1] + "\x00", k.Text[:len(k.Text)-1] + "1", strings.Repeat("a", 1<<16),
	} {
		if _, ok, err := w.Key(t.Context(), text); ok || err != nil {
			t.Errorf("%.80q opens something: %v", text, err)
		}
	}
	if _, _, ok, err := w.Session(t.Context(), k.Text); ok || err != nil {
		t.Errorf("a key is a session: %v", err)
	}
	var used *time.Time
	w.query("SELECT used_at FROM access_keys WHERE id = $1", &used, k.ID)
	if used != nil {
		t.Error("a wrong secret counts as a use of the key")
	}
}

func TestDraftsAreChecked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, d := range []access.Draft{
		{Tenant: "acme", Role: "owner"},
		{Tenant: "acme"},
		{Role: access.Read},
		{Tenant: "acme", Role: access.Read, Lifetime: -1},
		{Tenant: "a/b", Role: access.Read},
		{Tenant: "..", Role: access.Read},
		{Tenant: "ä", Role: access.Read},
		{Tenant: strings.Repeat("a", 65), Role: access.Read},
		{Tenant: "a b", Role: access.Read},
		{Tenant: "a\x00", Role: access.Read},
	} {
		if _, err := w.Create(t.Context(), d); err == nil {
			t.Errorf("%+v becomes a key", d)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.create(access.Upload, time.Hour)
	next, err := w.Rotate(t.Context(), old.ID, 24*time.Hour)
	w.must(err)
	if next.Tenant != old.Tenant || next.Role != old.Role || next.Name != old.Name || next.ExpiresAt.IsZero() || next.ExpiresAt.Before(old.ExpiresAt) {
		t.Errorf("%+v became %+v", old.Key, next.Key)
	}
	if !w.opens(w.Store, old) || !w.opens(w.Store, next) {
		t.Error("within the grace time one of the two opens nothing")
	}
	last, err := w.Rotate(t.Context(), next.ID, 0)
	w.must(err)
	if w.opens(w.Store, next) || w.opens(w.another(0), next) || !w.opens(w.Store, last) {
		t.Error("without grace the old key goes on, or the new one does not open")
	}
	keys, err := w.List(t.Context(), "acme")
	w.must(err)
	if len(keys) != 3 || keys[0].ReplacedBy != next.ID || !keys[0].ExpiresAt.Equal(old.ExpiresAt) || !keys[0].Live || keys[1].Live || keys[1].ReplacedBy != last.ID || !keys[2].Live {
		t.Errorf("the list says %+v", keys) // the grace time prolongs nothing
	}
	w.must(w.Revoke(t.Context(), last.ID))
	for id, want := range map[string]error{old.ID: access.ErrKeyOver, next.ID: access.ErrKeyOver, last.ID: access.ErrKeyOver, "slk_none": access.ErrNoKey} {
		if _, err := w.Rotate(t.Context(), id, 0); !errors.Is(err, want) {
			t.Errorf("rotate %s: %v", id, err)
		}
	}
	if none, err := w.List(t.Context(), "other"); err != nil || len(none) != 0 {
		t.Errorf("another tenant has %v, %v", none, err)
	}
}

func TestKeyExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.create(access.Read, 300*time.Millisecond)
	w.eventually("the key ends by itself, where it is remembered too", func() bool { return !w.opens(w.Store, k) })
	if w.opens(w.another(0), k) {
		t.Error("it opens something elsewhere")
	}
}

// A revoked key opens nothing at another gateway either: at once where that hears of it, and where it does not, when
// what it remembers is no longer fresh.
func TestRevocationIsEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hears, deaf := w.another(time.Hour), w.another(50*time.Millisecond)
	listening := make(chan struct{})
	go listen(t.Context(), w.pool, listening, hears.Heard)
	<-listening
	k := w.create(access.Admin, 0)
	session, _, err := w.Begin(t.Context(), access.Principal{Tenant: "acme", Role: access.Admin, KeyID: k.ID}, time.Hour, time.Time{})
	w.must(err)
	for _, s := range []*access.Store{w.Store, hears, deaf} {
		if !w.opens(s, k) || !w.session(s, session) {
			t.Fatal("before it is revoked the key opens nothing")
		}
	}
	w.must(w.Revoke(t.Context(), k.ID))
	if w.opens(w.Store, k) || w.session(w.Store, session) {
		t.Error("where it is revoked it goes on")
	}
	for _, s := range []*access.Store{hears, deaf} {
		w.eventually("it ends elsewhere", func() bool { return !w.opens(s, k) && !w.session(s, session) })
	}
	w.must(w.Revoke(t.Context(), k.ID))
	if err := w.Revoke(t.Context(), "slk_none"); !errors.Is(err, access.ErrNoKey) {
		t.Errorf("revoke what is not there: %v", err)
	}
}

// listen does what a gateway's hub does.
func listen(ctx context.Context, pool *pgxpool.Pool, listening chan<- struct{}, hear func(string)) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "LISTEN "+access.Channel); err != nil {
		return
	}
	close(listening)
	for {
		n, err := conn.Conn().WaitForNotification(ctx)
		if err != nil {
			return
		}
		hear(n.Payload)
	}
}

func (w *world) session(s *access.Store, text string) bool {
	w.Helper()
	_, _, ok, err := s.Session(w.Context(), text)
	w.must(err)
	return ok
}

func TestSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.create(access.Read, time.Hour)
	ofKey := access.Principal{Tenant: "acme", Role: access.Read, KeyID: k.ID}
	ofToken := access.Principal{Tenant: "acme", Role: access.Admin, Subject: "alice"}
	for _, p := range []access.Principal{ofKey, ofToken} {
		text, _, err := w.Begin(t.Context(), p, 12*time.Hour, time.Time{})
		w.must(err)
		got, ends, ok, err := w.another(0).Session(t.Context(), text)
		w.must(err)
		if !ok || got != p {
			t.Errorf("the session of %+v is %v %+v", p, ok, got)
		}
		if p.KeyID != "" && !ends.Equal(k.ExpiresAt) {
			t.Errorf("it ends at %v, and its key at %v", ends, k.ExpiresAt)
		}
		w.must(w.End(t.Context(), text))
		if w.session(w.Store, text) || w.session(w.another(0), text) {
			t.Error("an ended session goes on")
		}
		w.must(w.End(t.Context(), text))
	}
	soon := time.Now().Add(time.Hour).Truncate(time.Second)
	if _, ends, err := w.Begin(t.Context(), ofToken, 12*time.Hour, soon); err != nil || !ends.Equal(soon) {
		t.Errorf("a session outlives its token: %v, %v", ends, err)
	}
	for _, text := range []string{"", "sls_", "sls_" + strings.Repeat("a", 52)} {
		w.must(w.End(t.Context(), text))
		if w.session(w.Store, text) {
			t.Errorf("%q is a session", text)
		}
	}
	// What is over is dropped when the next one begins.
	if _, err := w.pool.Exec(t.Context(), "UPDATE access_sessions SET expires_at = clock_timestamp()"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Begin(t.Context(), ofToken, time.Hour, time.Time{}); err != nil {
		t.Fatal(err)
	}
	var left int
	if w.query("SELECT count(*) FROM access_sessions", &left); left != 1 {
		t.Errorf("%d sessions are kept", left)
	}
}

// The last use is written at most once a minute, by however many gateways.
func TestUseIsNotedByTheMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.create(access.Read, 0)
	used := func() (at time.Time) {
		w.query("SELECT used_at FROM access_keys WHERE id = $1", &at, k.ID)
		return at
	}
	w.opens(w.Store, k)
	if _, err := w.pool.Exec(t.Context(), "UPDATE access_keys SET used_at = used_at + interval '1 h'"); err != nil { // so that it lasts
		t.Fatal(err)
	}
	first := used()
	for range 3 {
		w.opens(w.another(0), k)
	}
	if !used().Equal(first) {
		t.Error("every use is written")
	}
	if _, err := w.pool.Exec(t.Context(), "UPDATE access_keys SET used_at = clock_timestamp() - interval '61 s'"); err != nil {
		t.Fatal(err)
	}
	before := used()
	w.opens(w.another(0), k)
	if !used().After(before) {
		t.Error("after a minute it is not written")
	}
}

// The first key closes what was open, here at once and elsewhere as soon as it is told; the end of the last opens nothing.
func TestAny(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deaf := w.another(50 * time.Millisecond)
	is := func(s *access.Store) bool {
		there, err := s.Any(t.Context())
		w.must(err)
		return there
	}
	if is(w.Store) || is(deaf) {
		t.Fatal("there is a key before there is one")
	}
	k := w.create(access.Upload, 0)
	if !is(w.Store) {
		t.Error("there is none after there is one")
	}
	w.eventually("others know of it", func() bool { return is(deaf) })
	w.must(w.Revoke(t.Context(), k.ID))
	if !is(w.Store) || !is(w.another(0)) {
		t.Error("its end opens everything")
	}
}
