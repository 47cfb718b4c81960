package blob_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"testing"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
)

func TestMain(m *testing.M) { os.Exit(devtest.Main(m)) }

func open(t testing.TB, cfg blob.Config) *blob.Bucket {
	t.Helper()
	b, err := blob.New(t.Context(), cfg)
	must(t, err)
	return b
}

func put(t testing.TB, b *blob.Bucket, key string, body []byte) blob.Object {
	t.Helper()
	o, err := b.Put(t.Context(), key, body)
	must(t, err)
	return o
}

// content reads objects as one stream and checks that it is want.
func content(t testing.TB, b *blob.Bucket, want []byte, objects ...blob.Object) {
	t.Helper()
	r := b.Open(t.Context(), objects...)
	defer r.Close()
	got, err := io.ReadAll(r)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes that are not the %d expected", len(got), len(want))
	}
}

func random(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.Read(p)
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}
