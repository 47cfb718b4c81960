package upload_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"sluice/internal/upload"
)

// trickle is the body of a client that sends when it is told to.
type trickle struct {
	asks  chan struct{} // the store wants more: it has what came before
	gives chan []byte
}

// Read implements io.Reader.
func (s trickle) Read(p []byte) (int, error) {
	s.asks <- struct{}{}
	return copy(p, <-s.gives), nil
}

// calls is what has been asked of S3.
type calls struct {
	mu   sync.Mutex
	seen []string // method, key and bytes of each request
}

func (c *calls) count(answer http.ResponseWriter, r *http.Request, s3 http.Handler) {
	c.mu.Lock()
	c.seen = append(c.seen, fmt.Sprintf("%s %s %d", r.Method, r.URL.Path, r.ContentLength))
	c.mu.Unlock()
	s3.ServeHTTP(answer, r)
}

// of returns the calls for an upload, in order of their text, with what stands behind its id.
func (c *calls) of(id string) (of []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.seen {
		method, _, _ := strings.Cut(call, " ")
		if _, rest, ok := strings.Cut(call, "/"+id+"/"); ok {
			of = append(of, method+" "+rest)
		}
	}
	slices.Sort(of)
	return of
}

// Ten clients that send by the KiB hold the memory of what they have sent and nothing of S3. A fast one beside them is
// stored by the same calls and in the same parts as alone, from a budget that has no slab more than these need.
func TestSlowClientsBesideAFastOne(t *testing.T) {
	t.Parallel()
	const slow, slabBytes, partBytes, inFlight = 10, 64 * kib, 256 * kib, 3
	var s3 calls
	w := newFaultyWorld(t, s3.count, math.MaxInt32, "", "", func(c *upload.Config) {
		c.PartsInFlight = inFlight
		c.BufferBytes = (inFlight+1)*partBytes + slow*slabBytes // one part is being received
	})
	fast, file := random(1, 5*partBytes+1000), random(2, 70*kib)
	fastUpload := func(body io.Reader) string {
		id := w.create(int64(len(fast)))
		_, err := w.patch(w.store, id, 0, body)
		w.must(err)
		return id
	}
	alone := fastUpload(bytes.NewReader(fast))

	var group errgroup.Group
	ids, bodies, sent := make([]string, slow), make([]trickle, slow), 0
	for i := range ids {
		ids[i], bodies[i] = w.create(int64(len(file))), trickle{make(chan struct{}), make(chan []byte)}
		group.Go(func() error {
			_, err := w.patch(w.store, ids[i], 0, bodies[i])
			return err
		})
	}
	for _, b := range bodies {
		<-b.asks
	}
	give := func() { // each a KiB
		for _, b := range bodies {
			b.gives <- file[sent : sent+kib]
		}
		if sent += kib; sent < len(file) {
			for _, b := range bodies {
				<-b.asks
			}
		}
	}
	wantLittle := func() {
		t.Helper()
		slabs := min(sent, 1) + sent/slabBytes // a full one is followed by the next
		if held := int(w.gauge("sluice_upload_buffer_bytes")); held != slow*slabs*slabBytes {
			t.Fatalf("%d bytes are held after %d of each, want %d slabs of each", held, sent, slabs)
		}
		for _, id := range ids {
			if of := s3.of(id); len(of) > 0 {
				t.Fatalf("S3 was asked for %q after %d bytes", of, sent)
			}
		}
	}

	wantLittle()
	src := bytes.NewReader(fast)
	beside := fastUpload(readFunc(func(p []byte) (int, error) {
		give()
		return src.Read(p)
	}))
	if sent == 0 || sent >= slabBytes {
		t.Fatalf("the slow clients have sent %d bytes each, which is not what the budget is for", sent)
	}
	if got, want := s3.of(beside), s3.of(alone); !slices.Equal(got, want) || len(want) != 6 {
		t.Errorf("S3 was asked for %q, and without slow clients for %q", got, want)
	}
	for sent < len(file)-kib {
		wantLittle()
		give()
	}
	wantLittle()
	give()
	w.must(group.Wait())
	for _, id := range ids {
		if of := s3.of(id); len(of) != 1 {
			t.Errorf("S3 was asked for %q, want one part", of)
		}
		w.wantComplete(id, file)
	}
	w.wantComplete(alone, fast)
	w.wantComplete(beside, fast)
	if held := w.gauge("sluice_upload_buffer_bytes"); held != 0 {
		t.Errorf("%v bytes were not released", held)
	}
}
