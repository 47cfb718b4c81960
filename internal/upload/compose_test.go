package upload_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sluice/internal/upload"
)

const composeParts = 5<<20 + 1000 // S3 copies no smaller ones

// wantComposed checks that an upload is the one object and nothing else, once it is swept.
func (w *world) wantComposed(id string, want []byte) {
	w.Helper()
	source := w.source(id)
	if len(source) != 1 || !strings.HasPrefix(source[0].Key, "uploads/default/"+id+"/") || !strings.HasSuffix(source[0].Key, "/file") {
		w.Fatalf("the source is %v", source)
	}
	if got := w.content(id); !bytes.Equal(got, want) {
		w.Fatalf("the %d bytes composed are not the %d sent", len(got), len(want))
	}
	w.sweep()
	if keys := w.keys(id); len(keys) != 1 || keys[0] != source[0].Key {
		w.Fatalf("stored are %q", keys)
	}
	if got := w.content(id); !bytes.Equal(got, want) {
		w.Fatal("the sweep took more than the parts")
	}
}

// processed takes the job of an upload to its end, and makes the upload due.
func (w *world) processed(ids ...string) {
	w.Helper()
	w.exec(`UPDATE jobs SET state = 'JOB_COMPLETE', completed_at = clock_timestamp() WHERE id = ANY($1)`, ids)
	w.exec(`UPDATE uploads SET compose_at = clock_timestamp() WHERE compose_at IS NOT NULL`)
}

func (w *world) composes(want int) {
	w.Helper()
	n, err := w.store.Compose(w.Context(), 100)
	w.must(err)
	if n != want {
		w.Fatalf("%d composed, want %d", n, want)
	}
}

// upload sends a file by PATCHes that end at the given offsets.
func (w *world) upload(file []byte, ends ...int) string {
	w.Helper()
	id, at := w.create(int64(len(file))), 0
	for _, end := range append(ends, len(file)) {
		_, err := w.patch(w.store, id, int64(at), bytes.NewReader(file[at:end]))
		w.must(err)
		at = end
	}
	return id
}

// Whatever sizes the parts have, large enough to be copied or not, they become one object, after the job and not before.
func TestCompose(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *upload.Config) { c.PartBytes = composeParts })
	const mib = 1 << 20
	file := random(1, 13*mib)
	cases := map[string][]int{
		"copied":                  {},
		"small parts":             {mib, 2 * mib, 3 * mib},
		"a small one before":      {mib},
		"a small one between":     {6 * mib, 7 * mib},
		"a small one behind":      {12 * mib},
		"just over, and just not": {composeParts, composeParts + 4*mib},
	}
	ids := map[string]string{}
	for name, ends := range cases {
		ids[name] = w.upload(file, ends...)
	}
	small := w.upload(file[:1000])
	w.composes(0) // the jobs are not complete
	for _, id := range ids {
		w.processed(id)
	}
	w.processed(small)
	w.composes(len(cases)) // one part is one object already
	w.composes(0)
	for name, id := range ids {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.TB = t
			w.wantComposed(id, file)
		})
	}
	if keys := w.keys(small); len(keys) != 1 || strings.HasSuffix(keys[0], "file") {
		t.Errorf("stored are %q", keys)
	}
}

// A final upload that is composed needs its partial ones no more.
func TestComposeFinal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := random(2, 500*kib)
	a, b := w.partial(300*kib, file[:300*kib]), w.partial(200*kib, file[300*kib:])
	id, empty := w.concat(a, b), w.concat(w.partial(0, nil))
	w.must(w.terminate(a))
	w.processed(id, empty)
	w.composes(2)
	w.wantComposed(id, file)
	if keys := w.keys(a); len(keys) != 0 {
		t.Errorf("%q are left", keys)
	}
	w.must(w.terminate(b))
	if keys := w.keys(b); len(keys) != 0 {
		t.Errorf("%q are left", keys)
	}
}

// Composing that fails, or is killed, at any of its requests leaves the upload as it was; the next composer ends it.
func TestComposeIsKilledAnywhere(t *testing.T) {
	t.Parallel()
	file := random(3, 12<<20) // three parts: two copied, one streamed
	for name, k := range map[string]struct {
		method string
		query  string // part of it
		lost   bool   // S3 gets the request, and then the process is killed; else before
	}{
		"begin":            {http.MethodPost, "uploads=", false},
		"begin, lost":      {http.MethodPost, "uploads=", true},
		"first copy":       {http.MethodPut, "partNumber=1", false},
		"second copy":      {http.MethodPut, "partNumber=2", false},
		"second copy lost": {http.MethodPut, "partNumber=2", true},
		"streamed part":    {http.MethodPut, "partNumber=3", false},
		"complete":         {http.MethodPost, "uploadId=", false},
		"complete, lost":   {http.MethodPost, "uploadId=", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killed, kill := context.WithCancel(t.Context())
			w := newFaultyWorld(t, func(answer http.ResponseWriter, r *http.Request, s3 http.Handler) {
				if killed.Err() == nil && (r.Method != k.method || !strings.Contains(r.URL.RawQuery, k.query)) {
					s3.ServeHTTP(answer, r)
					return
				}
				if killed.Err() == nil && k.lost {
					s3.ServeHTTP(httptest.NewRecorder(), r)
				}
				kill() // the process gets no further, not even to tidy up
				panic(http.ErrAbortHandler)
			}, 1000, "", "/file", func(c *upload.Config) { c.PartBytes = composeParts })
			id := w.upload(file)
			w.processed(id)
			if n, err := w.store.Compose(killed, 1); n != 0 || err == nil {
				t.Fatalf("%d composed: %v", n, err)
			}
			if source := w.source(id); len(source) != 3 {
				t.Fatalf("the source is %v", source)
			}
			if got := w.content(id); !bytes.Equal(got, file) {
				t.Fatal("the bytes are not those sent")
			}
			w.sweep()     // which must leave alone what a composer may be about to record
			w.composes(0) // the lease is the dead composer's
			w.healthy()
			w.processed(id)
			w.composes(1)
			w.wantComposed(id, file)
			if n := w.multipartUploads(); n != 0 {
				t.Errorf("%d multipart uploads are left", n)
			}
		})
	}
}

// A sweep that comes while a composer is at work leaves alone what it is about to record.
func TestSweepOfComposing(t *testing.T) {
	t.Parallel()
	file := random(6, 12<<20)
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodHead} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			var w *world
			w = newFaultyWorld(t, func(answer http.ResponseWriter, r *http.Request, s3 http.Handler) {
				w.sweep()
				s3.ServeHTTP(answer, r)
			}, 1000, method, "/file", func(c *upload.Config) { c.PartBytes = composeParts })
			id := w.upload(file)
			w.processed(id)
			w.composes(1)
			w.wantComposed(id, file)
		})
	}
}

// Nor does it touch what a composer has recorded since the sweep read the manifest.
func TestSweepBesideComposing(t *testing.T) {
	t.Parallel()
	file := random(7, 600*kib)
	var w *world
	w = newFaultyWorld(t, func(answer http.ResponseWriter, r *http.Request, s3 http.Handler) {
		if r.URL.Query().Has("list-type") {
			w.composes(1)
		}
		s3.ServeHTTP(answer, r)
	}, 1, http.MethodGet, "")
	id := w.upload(file)
	w.processed(id)
	w.sweep()
	w.wantComposed(id, file)
}

// A composer that comes too late, for its lease was over or the upload has ended, changes nothing and leaves nothing.
func TestLateComposer(t *testing.T) {
	t.Parallel()
	file := random(4, 600*kib)
	for name, sql := range map[string]string{
		"taken over": `UPDATE uploads SET compose_at = clock_timestamp() + interval '1 hour' WHERE compose_at IS NOT NULL`,
		"ended":      `UPDATE uploads SET state = 'gone', sweep_at = clock_timestamp()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var w *world
			w = newFaultyWorld(t, func(answer http.ResponseWriter, r *http.Request, s3 http.Handler) {
				w.exec(sql)
				s3.ServeHTTP(answer, r)
			}, 1, http.MethodPut, "/file")
			id := w.upload(file)
			w.processed(id)
			w.composes(0)
			if name == "ended" {
				w.sweep()
				if keys := w.keys(id); len(keys) != 0 {
					t.Errorf("%q are left", keys)
				}
				return
			}
			if got := w.content(id); len(w.source(id)) == 1 || !bytes.Equal(got, file) {
				t.Error("the manifest has changed")
			}
			w.processed(id)
			w.composes(1)
			w.wantComposed(id, file)
		})
	}
}

// A request of a composer that was killed, which S3 gets when its successor has done the work, changes nothing of what
// the manifest names, and what it begins is swept.
func TestLateRequestOfComposer(t *testing.T) {
	t.Parallel()
	file := random(5, 12<<20) // three parts: two copied, one streamed
	for name, k := range map[string]struct {
		method, query string // of the request
		size          int
	}{
		"begin":      {http.MethodPost, "uploads=", len(file)},
		"copy":       {http.MethodPut, "partNumber=1", len(file)},
		"complete":   {http.MethodPost, "uploadId=", len(file)},
		"one object": {http.MethodPut, "", 2 << 20}, // so small that it is no multipart upload
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			killed, kill := context.WithCancel(t.Context())
			var late func()
			var key string
			w := newFaultyWorld(t, func(answer http.ResponseWriter, r *http.Request, s3 http.Handler) {
				if killed.Err() == nil && (r.Method != k.method || !strings.Contains(r.URL.RawQuery, k.query)) {
					s3.ServeHTTP(answer, r)
					return
				}
				if killed.Err() == nil {
					body, _ := io.ReadAll(r.Body) // a shorter one is refused, and so seen
					held := r.Clone(context.WithoutCancel(r.Context()))
					held.Body, key = io.NopCloser(bytes.NewReader(body)), r.URL.Path
					late = func() { s3.ServeHTTP(httptest.NewRecorder(), held) }
				}
				kill()
				panic(http.ErrAbortHandler)
			}, 1000, "", "/file", func(c *upload.Config) { c.PartBytes = composeParts })
			id := w.upload(file[:k.size], k.size/2)
			w.processed(id)
			if n, err := w.store.Compose(killed, 1); n != 0 || err == nil {
				t.Fatalf("%d composed: %v", n, err)
			}
			w.healthy()
			w.processed(id)
			w.composes(1)
			late()
			if named := w.source(id)[0].Key; strings.HasSuffix(key, "/"+named) {
				t.Errorf("what comes late is for %s, which the manifest names", named)
			}
			w.wantComposed(id, file[:k.size])
			if n := w.multipartUploads(); n != 0 {
				t.Errorf("%d multipart uploads are left", n)
			}
		})
	}
}
