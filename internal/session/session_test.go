package session_test

import (
	"os"
	"testing"
	"time"

	"sluice/internal/devstack/devtest"
	"sluice/internal/session"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

func TestEnd(t *testing.T) {
	t.Parallel()
	pool := devtest.Database(t)
	store, err := session.New(session.Config{Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(time.Hour)
	gone, stays, old := session.Session{ID: "gone", ExpiresAt: soon}, session.Session{ID: "stays", ExpiresAt: soon}, session.Session{ID: "old", ExpiresAt: soon.Add(-3 * time.Hour)}
	for _, s := range []session.Session{old, gone, gone} {
		if err := store.End(t.Context(), "a", s); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		tenant string
		of     session.Session
		want   bool
	}{
		{"a", gone, true},
		{"a", stays, false},
		{"b", gone, false}, // as if it were not there
		{"a", old, false},  // dropped with the next that was ended: its cookie is no good by itself
	} {
		got, err := store.Ended(t.Context(), c.tenant, c.of)
		if err != nil || got != c.want {
			t.Errorf("%s of %s is ended: %t, %v", c.of.ID, c.tenant, got, err)
		}
	}
	if _, err := session.New(session.Config{}); err == nil {
		t.Error("a store without a pool")
	}
}
