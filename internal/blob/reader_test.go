package blob_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/smithy-go"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
)

func TestOpenJoinsObjects(t *testing.T) {
	t.Parallel()
	b, whole := devtest.Bucket(t), random(200_000)
	objects := []blob.Object{
		put(t, b, "first", whole[:1]), put(t, b, "empty", nil), put(t, b, "second", whole[1:150_000]), put(t, b, "third", whole[150_000:]),
	}
	content(t, b, whole, objects...)
	content(t, b, nil)
	must(t, iotest.TestReader(b.Open(t.Context(), objects...), whole))
}

func TestReadsArePinned(t *testing.T) {
	t.Parallel()
	b := devtest.Bucket(t)
	old := put(t, b, "object", []byte("old content"))
	put(t, b, "object", []byte("new content"))
	missing := blob.Object{Key: "missing", ETag: old.ETag, SizeBytes: 3}
	for _, c := range []struct {
		object blob.Object
		want   error
	}{{old, blob.ErrChanged}, {missing, blob.ErrNotFound}} {
		_, err := io.ReadAll(b.Open(t.Context(), c.object))
		wantError(t, err, c.want)
		_, err = b.ReaderAt(t.Context(), c.object).ReadAt(make([]byte, 2), 1)
		wantError(t, err, c.want)
	}
	longer := put(t, b, "longer", []byte("0123456789"))
	longer.SizeBytes--
	_, err := io.ReadAll(b.Open(t.Context(), longer))
	wantError(t, err, blob.ErrChanged)
}

func TestReaderAt(t *testing.T) {
	t.Parallel()
	b, body := devtest.Bucket(t), random(10_000)
	r := b.ReaderAt(t.Context(), put(t, b, "object", body))
	for _, c := range []struct {
		at   int64
		size int
		want error
	}{{0, 10_000, nil}, {0, 1, nil}, {9_999, 1, nil}, {17, 4_000, nil}, {9_990, 11, io.EOF}, {10_000, 1, io.EOF}, {20_000, 5, io.EOF}, {3, 0, nil}} {
		p := make([]byte, c.size)
		n, err := r.ReadAt(p, c.at)
		want := body[min(c.at, 10_000):min(c.at+int64(c.size), 10_000)]
		if !errors.Is(err, c.want) || !bytes.Equal(p[:n], want) {
			t.Errorf("ReadAt(%d bytes, %d) is %d, %v", c.size, c.at, n, err)
		}
	}
	if _, err := r.ReadAt(nil, -1); err == nil {
		t.Error("a negative offset is accepted")
	}
}

// Every connection to the server breaks after some bytes: reads go on where they were, and writes begin again.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	cfg, whole := devtest.S3Config(t), random(1<<20)
	direct, address := open(t, cfg), strings.TrimPrefix(cfg.Endpoint, "http://")
	o := put(t, direct, "object", whole)
	cfg.Endpoint = "http://" + cutter(t, address, slices.Repeat([]int64{300_000}, 4)...)
	b := open(t, cfg)
	content(t, b, whole, o) // 3 and a bit of 300,000 bytes less the headers

	cfg.Endpoint = "http://" + cutter(t, address, 0, 100)
	_, err := open(t, cfg).PutSegments(t.Context(), "again", blob.CRC64(whole), whole[:400_000], whole[400_000:])
	must(t, err)
	stat, err := direct.Stat(t.Context(), "again")
	must(t, err)
	content(t, direct, whole, stat)
}

// A server that ends each connection before it answers is given up.
func TestReadGivesUp(t *testing.T) {
	t.Parallel()
	cfg := devtest.S3Config(t)
	o := put(t, open(t, cfg), "object", random(1<<20))
	away := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(away.Close)
	cfg.Endpoint = away.URL
	b := open(t, cfg)
	_, err := io.ReadAll(b.Open(t.Context(), o))
	_, errAt := b.ReaderAt(t.Context(), o).ReadAt(make([]byte, 10), 0)
	for _, err := range []error{err, errAt} {
		// The connection's EOF, in its chain, would be taken for the object's.
		if operation := (*smithy.OperationError)(nil); err == nil || errors.Is(err, io.EOF) || !errors.As(err, &operation) {
			t.Errorf("read without a connection: %v", err)
		}
	}
}
