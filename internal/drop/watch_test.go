package drop_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/internal/drop"
	"sluice/internal/job"
)

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		field string
		edit  func(*drop.Draft)
	}{
		"no tenant":             {"tenant", func(d *drop.Draft) { d.Tenant = "" }},
		"no bucket":             {"bucket", func(d *drop.Draft) { d.Bucket = "" }},
		"Sluice's own":          {"bucket", func(d *drop.Draft) { d.Bucket = w.own.Bucket }},
		"a missing bucket":      {"bucket", func(d *drop.Draft) { d.Bucket = "there-is-none" }},
		"no text":               {"prefix", func(d *drop.Draft) { d.Prefix = "\xff" }},
		"above a folder":        {"prefix", func(d *drop.Draft) { d.Prefix = "in/../rival/" }},
		"to move above it":      {"move_to", func(d *drop.Draft) { d.After, d.MoveTo = drop.Move, "done/../rival/" }},
		"an unknown after":      {"after", func(d *drop.Draft) { d.After = "burn" }},
		"to move nowhere":       {"move_to", func(d *drop.Draft) { d.After = drop.Move }},
		"to move into itself":   {"move_to", func(d *drop.Draft) { d.After, d.MoveTo = drop.Move, "in/done/" }},
		"to move around itself": {"move_to", func(d *drop.Draft) { d.After, d.MoveTo = drop.Move, "i" }},
		"a place and no move":   {"move_to", func(d *drop.Draft) { d.MoveTo = "done/" }},
	} {
		d := drop.Draft{Tenant: tenant, Bucket: w.bucket, Prefix: "in/"}
		c.edit(&d)
		_, err := w.store.Add(t.Context(), d)
		if wrong, ok := errors.AsType[*drop.DraftError](err); !ok || wrong.Field != c.field {
			t.Errorf("%s: %v, want an error of %s", name, err, c.field)
		}
	}
	if n := w.count("watches"); n != 0 {
		t.Errorf("%d watches were added", n)
	}
}

// However many add watches that have keys in common, at once: one of them is
// added, and neighbours are not in the way.
func TestOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := newWorld(t)
	var wg sync.WaitGroup
	var added atomic.Int32
	for _, prefix := range []string{"", "in", "in/", "in/a", "in/a/", "in/a/b", "in/a/b/c", "in/"} {
		wg.Go(func() {
			_, err := w.store.Add(t.Context(), drop.Draft{Tenant: "tenant-" + prefix, Bucket: w.bucket, Prefix: prefix})
			if err == nil {
				added.Add(1)
			} else if !errors.Is(err, drop.ErrOverlap) {
				t.Errorf("%q: %v", prefix, err)
			}
		})
	}
	wg.Wait()
	// in/a… are apart from nothing that was added, whichever that was.
	if n := added.Load(); n != 1 {
		t.Errorf("%d of them were added, want 1", n)
	}
	w.exec("DELETE FROM watches")
	for _, prefix := range []string{"in/a", "in/b", "in0", "im\U0010ffff"} {
		w.watch(func(d *drop.Draft) { d.Prefix = prefix })
	}
	w.watch(func(d *drop.Draft) { d.Bucket, d.Prefix = other.bucket, "" })
}

// What one watch moves does not land in another.
func TestMovesLandNowhereWatched(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.versions()
	w.watch(func(d *drop.Draft) { d.After, d.MoveTo = drop.Move, "done/" })
	for prefix, moveTo := range map[string]string{"done/": "", "done/x/": "", "don": "", "b/": "in/x/", "c/": "i"} {
		d := drop.Draft{Tenant: tenant, Bucket: w.bucket, Prefix: prefix}
		if moveTo != "" {
			d.After, d.MoveTo = drop.Move, moveTo
		}
		_, err := w.store.Add(t.Context(), d)
		w.wantError(err, drop.ErrOverlap)
	}
	w.watch(func(d *drop.Draft) { d.Prefix, d.After, d.MoveTo = "b/", drop.Move, "done/" }) // two may share it
}

func TestWatchesOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine := w.watch(func(d *drop.Draft) {
		d.Suffixes, d.After, d.InOrder, d.CreditConfig, d.Since = []string{".csv"}, drop.Tag, true, `{"a":1}`, drop.All
	})
	got, err := w.store.Get(t.Context(), tenant, mine.ID)
	w.must(err)
	if got.ID != mine.ID || got.CreditConfig != mine.CreditConfig || !got.Since.Equal(drop.All) || !got.InOrder || got.Suffixes[0] != ".csv" {
		t.Errorf("got %+v, want %+v", got, mine)
	}
	for _, id := range []string{mine.ID, "watch_x", job.NewID(), ""} {
		_, err := w.store.Get(t.Context(), "rival", id)
		w.wantError(err, drop.ErrNotFound)
		w.wantError(w.store.Remove(t.Context(), "rival", id), drop.ErrNotFound)
	}
	if list, err := w.store.List(t.Context(), "rival"); err != nil || len(list) != 0 {
		t.Errorf("a rival sees %v, %v", list, err)
	}
	if list, err := w.store.List(t.Context(), ""); err != nil || len(list) != 1 {
		t.Errorf("the operator sees %v, %v", list, err)
	}
	w.must(w.store.Remove(t.Context(), tenant, mine.ID))
	w.wantError(w.store.Remove(t.Context(), tenant, mine.ID), drop.ErrNotFound)
}

func TestParseBackfill(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"": {}, "all": drop.All, "2026-01-31": time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
		"2026-01-31T08:00:00+01:00": time.Date(2026, 1, 31, 7, 0, 0, 0, time.UTC),
	} {
		if got, err := drop.ParseBackfill(text); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"yes", "2026-02-30", "1960-01-01", "31.01.2026"} {
		if got, err := drop.ParseBackfill(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestAreas(t *testing.T) {
	t.Parallel()
	area, err := drop.ParseArea("acme=drops/acme/")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		d    drop.Draft
		want bool
	}{
		"its own":          {drop.Draft{Tenant: "acme", Bucket: "drops", Prefix: "acme/in/"}, true},
		"all of it":        {drop.Draft{Tenant: "acme", Bucket: "drops", Prefix: "acme/"}, true},
		"more than it":     {drop.Draft{Tenant: "acme", Bucket: "drops", Prefix: "acme"}, false},
		"the whole bucket": {drop.Draft{Tenant: "acme", Bucket: "drops"}, false},
		"another bucket":   {drop.Draft{Tenant: "acme", Bucket: "payroll", Prefix: "acme/"}, false},
		"another tenant":   {drop.Draft{Tenant: "rival", Bucket: "drops", Prefix: "acme/in/"}, false},
		"moves within":     {drop.Draft{Tenant: "acme", Bucket: "drops", Prefix: "acme/in/", After: drop.Move, MoveTo: "acme/done/"}, true},
		"moves out of it":  {drop.Draft{Tenant: "acme", Bucket: "drops", Prefix: "acme/in/", After: drop.Move, MoveTo: "rival/"}, false},
	} {
		if got := area.Holds(c.d); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if whole, err := drop.ParseArea("drops"); err != nil || whole != (drop.Area{Tenant: job.DefaultTenant, Bucket: "drops"}) {
		t.Errorf("a bucket alone is %+v, %v", whole, err)
	}
	for _, text := range []string{"", "=drops", "acme=", "acme=/x"} {
		if a, err := drop.ParseArea(text); err == nil {
			t.Errorf("%q is %+v", text, a)
		}
	}
}
