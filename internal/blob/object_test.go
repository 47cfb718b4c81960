package blob_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
)

func TestNewChecksConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]blob.Config{
		"no bucket":   {Endpoint: "http://127.0.0.1:1"},
		"half a pair": {Bucket: "b", AccessKeyID: "a"},
	} {
		if _, err := blob.New(t.Context(), cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEnsureAndCheck(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	must(t, b.Check(t.Context()))
	must(t, b.Ensure(t.Context())) // it is there already
	cfg := devtest.S3Config(t)
	cfg.Bucket = "missing-bucket"
	if err := open(t, cfg).Check(t.Context()); err == nil {
		t.Error("a missing bucket passes the check")
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	for _, size := range []int{0, 1, 4096, 1 << 20} {
		body := random(size)
		o := put(t, b, fmt.Sprint("object-", size), body)
		content(t, b, body, o)
		stat, err := b.Stat(t.Context(), o.Key)
		must(t, err)
		if stat != o || o.SizeBytes != int64(size) || o.CRC64 != blob.CRC64(body) || o.ETag == "" {
			t.Errorf("put returned %+v, stat %+v", o, stat)
		}
	}
}

func TestPutSegments(t *testing.T) {
	t.Parallel()
	b, body := devtest.Bucket(t), random(300_000)
	o, err := b.PutSegments(t.Context(), "pieces", blob.CRC64(body), body[:1], nil, body[1:70_000], body[70_000:])
	must(t, err)
	content(t, b, body, o)
}

func TestServerVerifiesChecksum(t *testing.T) {
	t.Parallel()
	b, body := devtest.Bucket(t), random(100_000)
	if _, err := b.PutSegments(t.Context(), "wrong", blob.CRC64(body)+1, body); err == nil {
		t.Error("a body that differs from its checksum was stored")
	}
	_, err := b.Stat(t.Context(), "wrong")
	wantError(t, err, blob.ErrNotFound)
}

func TestDeleteAndList(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	for _, key := range []string{"a/1", "a/2", "a/3", "b/1"} {
		put(t, b, key, []byte(key))
	}
	must(t, b.Delete(t.Context()))
	must(t, b.Delete(t.Context(), "a/2"))
	must(t, b.Delete(t.Context(), "a/2"))
	wantKeys(t, b, "a/", "a/1", "a/3")
	many := []string{"a/1"}
	for i := range 1200 { // more than one request takes
		many = append(many, fmt.Sprint("missing/", i))
	}
	must(t, b.Delete(t.Context(), append(many, "a/3")...))
	wantKeys(t, b, "a/")
	wantKeys(t, b, "", "b/1")
}

func wantKeys(t *testing.T, b *blob.Bucket, prefix string, want ...string) {
	t.Helper()
	var got []string
	for o, err := range b.List(t.Context(), prefix) {
		must(t, err)
		if o.SizeBytes != int64(len(o.Key)) {
			t.Errorf("%s is listed with %d bytes", o.Key, o.SizeBytes)
		}
		got = append(got, o.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q lists %q, want %q", prefix, got, want)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	cfg, registry := devtest.S3Config(t), prometheus.NewRegistry()
	cfg.Registerer = registry
	b := open(t, cfg)
	put(t, b, "counted", nil)
	_, err := b.Stat(t.Context(), "missing")
	wantError(t, err, blob.ErrNotFound)
	families, err := registry.Gather()
	must(t, err)
	got := map[string]uint64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetHistogram().GetSampleCount()
	}
	if got["PutObject 200"] != 1 || got["HeadObject 404"] != 1 || len(got) != 2 {
		t.Errorf("requests counted: %v", got)
	}
}
