package upload_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/devstack/devtest"
	"sluice/internal/job"
	"sluice/internal/upload"
)

// fault is what becomes of a request to S3 instead of its answer.
type fault func(answer http.ResponseWriter, r *http.Request, s3 http.Handler)

func refused(answer http.ResponseWriter, _ *http.Request, _ http.Handler) {
	answer.WriteHeader(http.StatusForbidden)
}

func slowDown(answer http.ResponseWriter, _ *http.Request, _ http.Handler) {
	answer.WriteHeader(http.StatusServiceUnavailable)
}

func cut(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// lost lets the request through and loses the answer.
func lost(_ http.ResponseWriter, r *http.Request, s3 http.Handler) {
	s3.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// newFaultyWorld is a world whose S3 answers the first times that method, "" for any, and the end of the path match
// with f.
func newFaultyWorld(t *testing.T, f fault, times int32, method, suffix string, set ...func(*upload.Config)) *world {
	t.Helper()
	cfg := devtest.S3Config(t)
	direct := cfg
	target, err := url.Parse(cfg.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	server := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // which is signed
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	var matched atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if (method == "" || r.Method == method) && strings.HasSuffix(r.URL.Path, suffix) && matched.Add(1) <= times {
			f(answer, r, server)
			return
		}
		server.ServeHTTP(answer, r)
	}))
	t.Cleanup(proxy.Close)
	cfg.Endpoint = proxy.URL
	bucket, err := blob.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, append(set, func(c *upload.Config) { c.Bucket = bucket })...)
	w.s3 = direct
	return w
}

// healthy is the store of another process, whose S3 has no faults: the world's from here on.
func (w *world) healthy() *upload.Store {
	w.Helper()
	bucket, err := blob.New(w.Context(), w.s3)
	w.must(err)
	cfg := w.cfg
	cfg.Bucket, w.bucket = bucket, bucket
	w.store, w.metrics = w.open(cfg)
	return w.store
}

// multipartUploads counts those that were begun and not ended.
func (w *world) multipartUploads() int {
	w.Helper()
	client := s3.New(s3.Options{
		BaseEndpoint: &w.s3.Endpoint, Region: w.s3.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(w.s3.AccessKeyID, w.s3.SecretAccessKey.Reveal(), ""),
	})
	out, err := client.ListMultipartUploads(w.Context(), &s3.ListMultipartUploadsInput{Bucket: &w.s3.Bucket})
	w.must(err)
	return len(out.Uploads)
}

// When S3 refuses a part, whichever it is, the offset stops before it, what comes after is not counted, and the upload
// goes on from there.
func TestRefusedPart(t *testing.T) {
	t.Parallel()
	file := random(6, 5*256*kib+1000)
	for k := 1; k <= 6; k++ {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			t.Parallel()
			w := newFaultyWorld(t, refused, 1, http.MethodPut, fmt.Sprint("/1-", k))
			id := w.create(int64(len(file)))
			n, err := w.patch(w.store, id, 0, bytes.NewReader(file))
			w.wantError(err, upload.ErrUnavailable)
			if want := int64(k-1) * 256 * kib; n != want || w.info(id).OffsetBytes != want {
				t.Fatalf("%d bytes acknowledged, offset %d, want %d", n, w.info(id).OffsetBytes, want)
			}
			_, err = w.patch(w.store, id, n, bytes.NewReader(file[n:]))
			w.must(err)
			w.wantComplete(id, file)
			if held := w.gauge("sluice_upload_buffer_bytes"); held != 0 {
				t.Errorf("%v bytes of memory were not released", held)
			}
		})
	}
}

// However S3 fails for good, and in whichever request, the client is told that it may resume, and can.
func TestLongFaults(t *testing.T) {
	t.Parallel()
	file := random(17, 3*256*kib)
	status := func(code int) fault {
		return func(answer http.ResponseWriter, _ *http.Request, _ http.Handler) { answer.WriteHeader(code) }
	}
	for name, f := range map[string]fault{
		"error": status(http.StatusInternalServerError), "slow down": slowDown, "full": status(http.StatusInsufficientStorage),
		"refused": refused, "cut": cut, "lost answer": lost, "no such bucket": status(http.StatusNotFound),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFaultyWorld(t, f, 1000, http.MethodPut, "/1-2")
			id := w.create(int64(len(file)))
			n, err := w.patch(w.store, id, 0, bytes.NewReader(file))
			w.wantError(err, upload.ErrUnavailable)
			if n != 256*kib || w.info(id).OffsetBytes != n {
				t.Fatalf("%d bytes acknowledged, offset %d", n, w.info(id).OffsetBytes)
			}
			_, err = w.patch(w.healthy(), id, n, bytes.NewReader(file[n:]))
			w.must(err)
			w.wantComplete(id, file)
		})
	}
}

// Short faults are nobody's business but the SDK's.
func TestShortFaults(t *testing.T) {
	t.Parallel()
	file := random(7, 3*256*kib)
	for name, f := range map[string]fault{"slow down": slowDown, "cut": cut, "lost answer": lost} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFaultyWorld(t, f, 1, http.MethodPut, "/1-2")
			id := w.create(int64(len(file)))
			_, err := w.patch(w.store, id, 0, bytes.NewReader(file))
			w.must(err)
			w.wantComplete(id, file)
		})
	}
}

// When Postgres is lost while bytes arrive, none of them is acknowledged.
func TestLostPostgres(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pool, err := pgxpool.NewWithConfig(t.Context(), w.pool.Config())
	w.must(err)
	cfg := w.cfg
	cfg.Pool = pool
	cfg.Jobs, err = job.New(job.Config{Pool: pool})
	w.must(err)
	store, _ := w.open(cfg)
	id, file := w.create(600*kib), random(10, 600*kib)
	body, reached, resume := stalled(file[:100*kib], file[100*kib:])
	written := make(chan error, 1)
	go func() {
		n, err := w.patch(store, id, 0, body)
		if n != 0 {
			err = fmt.Errorf("%d bytes acknowledged", n)
		}
		written <- err
	}()
	<-reached
	pool.Close()
	close(resume)
	w.wantError(<-written, upload.ErrUnavailable)
	_, err = w.patch(w.store, id, 0, bytes.NewReader(file))
	w.must(err)
	w.wantComplete(id, file)
}

// A remainder that cannot be read back is not lost, and one that cannot be deleted is swept.
func TestFaultsOfRemainders(t *testing.T) {
	t.Parallel()
	file := random(8, 20*kib)
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newFaultyWorld(t, refused, 1, method, "/1-1")
			id := w.create(int64(len(file)))
			n, err := w.patch(w.store, id, 0, bytes.NewReader(file[:10*kib]))
			w.must(err)
			_, err = w.patch(w.store, id, n, bytes.NewReader(file[n:]))
			if method == http.MethodGet {
				w.wantError(err, upload.ErrUnavailable)
				_, err = w.patch(w.store, id, n, bytes.NewReader(file[n:]))
			}
			w.must(err)
			w.wantComplete(id, file)
			if parts := len(w.source(id)); parts != 1 {
				t.Errorf("%d parts, want 1", parts)
			}
		})
	}
}
