package job_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
)

func TestGetIsTheTenants(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.in(job.JobComplete)
	for name, args := range map[string][2]string{
		"another tenant": {"other", id},
		"unknown id":     {tenant, job.NewID()},
		"no id":          {tenant, ""},
		"NUL":            {tenant, "job_\x00"},
		"not UTF-8":      {tenant, "job_\xff"},
	} {
		if _, err := f.Get(t.Context(), args[0], args[1]); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("Get of %s = %v, want ErrNotFound", name, err)
		}
		if _, err := f.Offers(t.Context(), args[0], args[1], job.OfferFilter{}); !errors.Is(err, job.ErrNotFound) {
			t.Errorf("Offers of %s = %v, want ErrNotFound", name, err)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var all []string
	for _, s := range job.States() {
		all = append(all, f.in(s))
	}
	s3 := job.Draft{ID: job.NewID(), Tenant: tenant, Channel: "s3", Filename: "100%_sure.csv"}
	others := job.Draft{ID: job.NewID(), Tenant: "other", Channel: "tus"}
	f.tx(func(tx pgx.Tx) error { return f.CreateTx(t.Context(), tx, s3) })
	f.txOf(others.Tenant, func(tx pgx.Tx) error { return f.CreateTx(t.Context(), tx, others) })
	all = append(all, s3.ID)
	slices.Sort(all)
	slices.Reverse(all)

	failed := f.list(job.Filter{State: job.Failed})
	if len(failed) != 1 {
		t.Fatalf("%d failed jobs", len(failed))
	}
	tests := []struct {
		name   string
		filter job.Filter
		want   []string
	}{
		{"all", job.Filter{}, all},
		{"limit", job.Filter{Limit: 2}, all[:2]},
		{"next page", job.Filter{Limit: 2, Before: all[1]}, all[2:4]},
		{"beyond the last", job.Filter{Before: all[len(all)-1]}, nil},
		{"channel", job.Filter{Channel: "s3"}, []string{s3.ID}},
		{"state and channel", job.Filter{Channel: "s3", State: job.Failed}, nil},
		{"part of the name in capitals", job.Filter{Query: "_SURE"}, []string{s3.ID}},
		{"no pattern", job.Filter{Query: "%"}, []string{s3.ID}},
		{"umlaut in capitals", job.Filter{Query: "UMSÄTZE", State: job.Failed}, failed},
		{"id", job.Filter{Query: failed[0]}, failed},
		{"another tenant's id", job.Filter{Query: others.ID}, nil},
		{"NUL", job.Filter{Query: "\x00"}, nil},
		{"not UTF-8", job.Filter{Before: "job_\xff"}, nil},
		{"state of nobody", job.Filter{State: "NONE"}, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, f.list(tt.filter)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A listed job is the same as one that was asked for.
func TestListEqualsGet(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, s := range job.States() {
		f.in(s)
	}
	jobs, err := f.List(t.Context(), tenant, job.Filter{})
	f.must(err)
	for _, j := range jobs {
		if diff := cmp.Diff(f.get(j.ID), j); diff != "" {
			t.Errorf("%s (-got +listed):\n%s", j.State, diff)
		}
		if (j.Result != nil) != (j.State == job.JobComplete) {
			t.Errorf("%s: result %v", j.State, j.Result)
		}
	}
}

func TestBytesOfUpload(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.open()
	check := func(received, total int64) {
		t.Helper()
		if j := f.get(id); j.BytesReceived != received || j.BytesTotal != total {
			t.Errorf("received %d of %d, want %d of %d", j.BytesReceived, j.BytesTotal, received, total)
		}
	}
	check(0, -1)
	f.exec(`INSERT INTO uploads (id, tenant, offset_bytes, expires_at) VALUES ($1, $2, 5, now())`, id, tenant)
	check(5, -1)
	f.exec(`UPDATE uploads SET size_bytes = 0, offset_bytes = 0 WHERE id = $1`, id)
	check(0, 0)
	f.exec(`DELETE FROM uploads WHERE id = $1`, id) // as of a door without a ledger
	f.tx(func(tx pgx.Tx) error { return f.EnqueueTx(t.Context(), tx, id, 77, 0) })
	check(77, 77)
}

func TestSource(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.open()
	if got, err := f.Source(t.Context(), tenant, id); err != nil || len(got) != 0 {
		t.Errorf("source without parts = %v, %v", got, err)
	}
	f.exec(`INSERT INTO uploads (id, tenant, expires_at) VALUES ($1, $2, now())`, id, tenant)
	f.exec(`INSERT INTO parts VALUES ($1, 10, 5, 'k2', '"e2"', -1), ($1, 0, 10, 'k1', '"e1"', 1), ($1, 15, 1, 'k3', '"e3"', 3)`, id)
	got, err := f.Source(t.Context(), tenant, id)
	f.must(err)
	want := []job.Object{
		{Key: "k1", ETag: `"e1"`, SizeBytes: 10, CRC64: 1},
		{Key: "k2", ETag: `"e2"`, SizeBytes: 5, CRC64: 1<<64 - 1},
		{Key: "k3", ETag: `"e3"`, SizeBytes: 1, CRC64: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
	f.exec(`DELETE FROM parts WHERE object_key = 'k2'`)
	if got, err := f.Source(t.Context(), tenant, id); err == nil || !strings.Contains(err.Error(), "byte 10") {
		t.Errorf("source with a hole = %v, %v", got, err)
	}
}

func (f fixture) list(filter job.Filter) (ids []string) {
	f.t.Helper()
	jobs, err := f.List(f.ctx(), tenant, filter)
	f.must(err)
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	return ids
}

// The oldest job with the same content is named by the later ones, of its own
// tenant and no other.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	f := setup(t)
	add := func(tenant string, size int64, crc uint64) string {
		id := job.NewID()
		f.txOf(tenant, func(tx pgx.Tx) error {
			if err := f.CreateTx(f.ctx(), tx, job.Draft{ID: id, Tenant: tenant, Channel: "tus"}); err != nil {
				return err
			}
			return f.EnqueueTx(f.ctx(), tx, id, size, crc)
		})
		return id
	}
	first, theirs := add(tenant, 10, 7), add("rival", 10, 8)
	unread := job.NewID()
	f.tx(func(tx pgx.Tx) error {
		if err := f.CreateTx(f.ctx(), tx, job.Draft{ID: unread, Tenant: tenant, Channel: "s3"}); err != nil {
			return err
		}
		return f.EnqueueUnreadTx(f.ctx(), tx, unread, 10)
	})
	for _, c := range []struct{ tenant, id, want string }{
		{tenant, first, ""},
		{tenant, add(tenant, 10, 7), first},
		{tenant, add(tenant, 10, 7), first},
		{tenant, add(tenant, 11, 7), ""},
		{tenant, add(tenant, 10, 8), ""},
		{"rival", theirs, ""},
		{"rival", add("rival", 10, 8), theirs},
		{tenant, unread, ""},
	} {
		j, err := f.Get(f.ctx(), c.tenant, c.id)
		f.must(err)
		if j.DuplicateOf != c.want {
			t.Errorf("%s of %s is a duplicate of %q, want %q", c.id, c.tenant, j.DuplicateOf, c.want)
		}
	}
	list, err := f.List(f.ctx(), tenant, job.Filter{})
	f.must(err)
	if n := len(list); n != 6 || list[n-1].ID != first || list[n-2].DuplicateOf != "" && list[n-2].DuplicateOf != first {
		t.Errorf("the list is %+v", list)
	}
	if j, err := f.Get(f.ctx(), tenant, unread); err != nil || j.Digested || j.SizeBytes != 10 {
		t.Errorf("what nobody has read is %+v, %v", j, err)
	}
}
