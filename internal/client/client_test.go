package client_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	expslog "golang.org/x/exp/slog"

	"sluice/internal/client"
)

// newTus serves a tus server that is not ours, and its folder of uploads.
func newTus(t *testing.T) (http.Handler, string) {
	t.Helper()
	dir := t.TempDir()
	composer := handler.NewStoreComposer()
	filestore.New(dir).UseIn(composer)
	memorylocker.New().UseIn(composer)
	tus, err := handler.NewHandler(handler.Config{
		BasePath: "/files/", StoreComposer: composer,
		Logger: expslog.New(expslog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return http.StripPrefix("/files/", tus), dir
}

func newClient(t *testing.T, h http.Handler, cfg client.Config) *client.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	cfg.BaseURL = server.URL
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func TestNewRefusesWhatIsNoServer(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "localhost:8080", "ftp://host", "http://", "http://[", "/files"} {
		if _, err := client.New(client.Config{BaseURL: base}); err == nil {
			t.Errorf("New(%q) succeeded", base)
		}
	}
}

// TestSend uploads through a line that is cut after every 700,000 bytes.
func TestSend(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 699_999, 3 << 20} {
		tus, dir := newTus(t)
		cuts := 0
		cut := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch && r.ContentLength > 700_000 {
				cuts++
				r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 700_000), failing{}))
				tus.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler) // the answer never arrives
			}
			tus.ServeHTTP(w, r)
		})
		var last atomic.Int64
		c := newClient(t, cut, client.Config{})
		want := randomBytes(size)
		id, err := c.Create(t.Context(), int64(size), map[string]string{"filename": "ü.csv"})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(t.Context(), id, bytes.NewReader(want), last.Store); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, id))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("size %d: stored %d other bytes, %v", size, len(got), err)
		}
		if last.Load() != int64(size) || cuts != size/700_000 {
			t.Errorf("size %d: progress ended at %d after %d cuts", size, last.Load(), cuts)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestSendStops(t *testing.T) {
	t.Parallel()
	tus, _ := newTus(t)
	c := newClient(t, tus, client.Config{})
	id, err := c.Create(t.Context(), 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Terminate(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	err = c.Send(t.Context(), id, bytes.NewReader(make([]byte, 10)), func(int64) {})
	if !errors.Is(err, client.ErrNotFound) {
		t.Errorf("Send to a terminated upload: %v, want ErrNotFound", err)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrClosedPipe)
	if err := c.Send(ctx, id, bytes.NewReader(nil), func(int64) {}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Send after the context ended: %v, want its cause", err)
	}
}

func TestCreateSendsMetadataAndKey(t *testing.T) {
	t.Parallel()
	var header http.Header
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		w.Header().Set("Location", "http://elsewhere.example/files/job_1")
		w.WriteHeader(http.StatusCreated)
	}), client.Config{APIKey: "secret"})
	id, err := c.Create(t.Context(), 7, map[string]string{"sha256": "00", "filename": "a b.csv", "empty": ""})
	if err != nil || id != "job_1" {
		t.Fatalf("Create = %q, %v", id, err)
	}
	for name, want := range map[string]string{
		"Authorization":   "Bearer secret",
		"Tus-Resumable":   "1.0.0",
		"Upload-Length":   "7",
		"Upload-Metadata": "empty ,filename " + base64.StdEncoding.EncodeToString([]byte("a b.csv")) + ",sha256 MDA=",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestErrorsSpeakTheServersWords(t *testing.T) {
	t.Parallel()
	cases := []struct{ media, body, want string }{
		{"application/problem+json", `{"title":"Bad Request","detail":"parse_config: unknown key"}`, "parse_config: unknown key (HTTP 400)"},
		{"application/problem+json", `{"title":"Nope"}`, "Nope (HTTP 400)"},
		{"application/problem+json", `{`, "bad request (HTTP 400)"},
		{"text/plain; charset=utf-8", "parse_config: bad\n", "parse_config: bad (HTTP 400)"},
		{"text/html", "<h1>", "bad request (HTTP 400)"},
		{"", "", "bad request (HTTP 400)"},
	}
	for _, tc := range cases {
		c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", tc.media)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, tc.body)
		}), client.Config{})
		_, err := c.Status(t.Context(), "job_1")
		if answer, ok := errors.AsType[*client.Error](err); !ok || answer.Error() != tc.want {
			t.Errorf("%s %s: %v, want %s", tc.media, tc.body, err, tc.want)
		}
	}
}

// answers is a transport that gives one prepared answer after another, the last
// again and again. Where the answer is nil, it holds the request until its end.
type answers struct {
	list []func() (*http.Response, error)
	seen []string
}

func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.seen = append(a.seen, r.Method+" "+r.URL.RequestURI())
	next := a.list[0]
	if len(a.list) > 1 {
		a.list = a.list[1:]
	}
	if next == nil {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return next()
}

func answer(status int, body string, header ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func refused() (*http.Response, error) { return nil, errors.New("connection refused") }

func TestFollowWaitsForAServerThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		line := &answers{list: []func() (*http.Response, error){
			answer(404, ""), // a server without event streams
			answer(200, `{"state":"UPLOAD_COMPLETE"}`), refused, refused,
			answer(503, "", "Retry-After", "7"),
			answer(200, `{"state":"IN_PROGRESS","progress":{"percentage":12.5}}`),
			answer(200, `{"state":"FAILED","error":"empty_file","can_retry":true}`),
		}}
		var states []string
		var waits []time.Duration
		c, err := client.New(client.Config{
			BaseURL: "http://sluice.test/base", Transport: line,
			OnRetry: func(_ error, wait time.Duration) { waits = append(waits, wait) },
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Follow(t.Context(), "job_1", func(s client.Status) { states = append(states, s.State) })
		if err != nil || got.Error != "empty_file" || !got.CanRetry || got.Complete() {
			t.Errorf("Follow = %+v, %v", got, err)
		}
		if strings.Join(states, " ") != "UPLOAD_COMPLETE IN_PROGRESS FAILED" {
			t.Errorf("saw %v", states)
		}
		if len(waits) != 3 || waits[0] > 200*time.Millisecond || waits[1] > 400*time.Millisecond || waits[2] != 7*time.Second {
			t.Errorf("waited %v", waits)
		}
		if line.seen[0] != "GET /base/api/jobs/job_1/events/" || line.seen[1] != "GET /base/api/jobs/job_1/status/" {
			t.Errorf("asked %s", line.seen[:2])
		}
	})
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		line     func() (*http.Response, error)
		attempts func(int) bool
	}{
		"a server that stays away":        {refused, func(n int) bool { return n > 5 }},
		"an upload that stays locked":     {answer(423, ""), func(n int) bool { return n > 5 }},
		"an answer that no retry changes": {answer(403, ""), func(n int) bool { return n == 1 }},
		"a server that is not ours":       {answer(200, "<html>"), func(n int) bool { return n == 1 }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				line := &answers{list: []func() (*http.Response, error){tc.line}}
				c, err := client.New(client.Config{BaseURL: "http://sluice.test", Transport: line, RetryFor: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				err = c.Send(t.Context(), "job_1", bytes.NewReader(nil), func(int64) {})
				if err == nil || !tc.attempts(len(line.seen)) || time.Since(start) > time.Minute {
					t.Errorf("ended with %v after %d attempts in %v", err, len(line.seen), time.Since(start))
				}
			})
		})
	}
}

// TestSendLeavesADeadLine: a connection that takes no byte is given up and made anew.
func TestSendLeavesADeadLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		held := answer(200, "", "Upload-Offset", "0", "Upload-Length", "3")
		line := &answers{list: []func() (*http.Response, error){
			held, nil, held, answer(204, "", "Upload-Offset", "3"),
		}}
		var failures []error
		c, err := client.New(client.Config{
			BaseURL: "http://sluice.test", Transport: line,
			OnRetry: func(err error, _ time.Duration) { failures = append(failures, err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(t.Context(), "job_1", strings.NewReader("abc"), func(int64) {}); err != nil {
			t.Fatal(err)
		}
		if len(failures) != 1 || !strings.Contains(failures[0].Error(), "no progress") {
			t.Errorf("failures: %v", failures)
		}
	})
}

// handed hands each request to the next of its functions.
type handed []func(*http.Request) (*http.Response, error)

func (h *handed) RoundTrip(r *http.Request) (*http.Response, error) {
	next := (*h)[0]
	*h = (*h)[1:]
	return next(r)
}

// TestCreateIsRepeated: a creation whose answer was lost is asked for again by the
// same key, which makes one upload of both; and a server that restarts is waited for.
func TestCreateIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		hand := func(then func() (*http.Response, error)) func(*http.Request) (*http.Response, error) {
			return func(r *http.Request) (*http.Response, error) {
				keys = append(keys, r.Header.Get("Idempotency-Key"))
				return then()
			}
		}
		lost := func() (*http.Response, error) { return nil, io.EOF }
		made := answer(201, "", "Location", "/files/job_1")
		line := &handed{hand(lost), hand(refused), hand(answer(503, "")), hand(answer(409, "")), hand(made), hand(refused), hand(made)}
		c, err := client.New(client.Config{BaseURL: "http://sluice.test", Transport: line})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if id, err := c.Create(t.Context(), 1, nil); err != nil || id != "job_1" {
				t.Errorf("Create = %q, %v", id, err)
			}
		}
		if len(*line) != 0 || keys[0] == "" || keys[4] != keys[0] || keys[5] == keys[0] || keys[6] != keys[5] {
			t.Errorf("asked by %q, want one key for five and another for two", keys)
		}
	})
}

// TestCreateLeavesAStranger: what never answered may be no server at all, and an
// answer that no retry changes is told at once.
func TestCreateLeavesAStranger(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func() (*http.Response, error){"refused": refused, "bad metadata": answer(400, "")} {
		line := &answers{list: []func() (*http.Response, error){first}}
		c, err := client.New(client.Config{BaseURL: "http://sluice.test", Transport: line})
		if err != nil {
			t.Fatal(err)
		}
		if id, err := c.Create(t.Context(), 1, nil); err == nil || len(line.seen) != 1 {
			t.Errorf("%s: Create = %q, %v after %v", name, id, err, line.seen)
		}
	}
}

// A summary is waited for as the job was.
func TestSummaryIsRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		line := &answers{list: []func() (*http.Response, error){refused, answer(503, ""), answer(200, `{"pipeline_summary":{"declined":7}}`)}}
		c, err := client.New(client.Config{BaseURL: "http://sluice.test", Transport: line})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := c.Summary(t.Context(), "job_1"); err != nil || s.Declined != 7 {
			t.Errorf("Summary = %+v, %v", s, err)
		}
	})
}
