package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sluice/gateway"
	"sluice/internal/job"
)

// another returns a second gateway before the same database and bucket.
func (s *server) another(edit ...func(*gateway.Config)) *server {
	s.t.Helper()
	return startOn(s.t, s.pool, s.bucket, edit...)
}

// listener is a client of an event stream.
type listener struct {
	t     testing.TB
	lines *bufio.Scanner
	// hangUp ends the connection from the client's side.
	hangUp context.CancelFunc
}

// event is one as it came, or a comment, which has only that name.
type event struct{ name, id, data string }

// listen opens an event stream; last is its Last-Event-ID, or "".
func (s *server) listen(id, last string) *listener {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute) // a test that waits for ever says so
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/jobs/"+id+"/events/", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("events of %s: %d %s", id, resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	return &listener{t: s.t, lines: bufio.NewScanner(resp.Body), hangUp: cancel}
}

// next returns the next event or comment, and false at the end.
func (l *listener) next() (e event, more bool) {
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "":
			return e, true
		case ":":
			e.name = "comment"
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			e.data = value
		}
	}
	return e, false
}

// state returns the job's state and processed bytes as the event has them.
func (e event) state(t testing.TB) (state, processed string) {
	t.Helper()
	var status struct {
		State    string
		Progress struct {
			Processed json.Number `json:"processed_bytes"`
		}
	}
	decode(t, e.data, &status)
	return status.State, status.Progress.Processed.String()
}

// want fails the test unless the next event is of that name, state and bytes.
func (l *listener) want(name, state, processed string) event {
	l.t.Helper()
	e, more := l.next()
	if !more {
		l.t.Fatalf("the stream ended before %s %s", name, state)
	}
	gotState, gotProcessed := e.state(l.t)
	if diff := cmp.Diff([]string{name, state, processed}, []string{e.name, gotState, gotProcessed}); diff != "" {
		l.t.Fatalf("event %s: %s", e.id, diff)
	}
	return e
}

func (l *listener) wantEnd() {
	l.t.Helper()
	if e, more := l.next(); more {
		l.t.Errorf("after the end came %v", e)
	}
}

func (s *server) progress(l *job.Lease, processed int64) {
	s.t.Helper()
	if err := s.jobs.Progress(s.t.Context(), l, job.Progress{Stage: job.Parsing, ProcessedBytes: processed}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) complete(l *job.Lease) {
	s.t.Helper()
	s.inTx(l.Tenant, func(tx pgx.Tx) error { return s.jobs.CompleteTx(s.t.Context(), tx, l, s.result(l.JobID, outcome{})) })
}

func TestEventsFollowAJobToItsEnd(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.queued(job.Draft{Filename: "ü\n\r.csv"})
	l := s.listen(id, "")
	first := l.want("state", "UPLOAD_COMPLETE", "0")
	if first.data+"\n" != s.get("/api/jobs/"+id+"/status/").body {
		t.Errorf("the event holds %s", first.data)
	}
	lease := s.claim(job.DefaultTenant, id)
	l.want("state", "IN_PROGRESS", "0")
	s.progress(lease, 300)
	l.want("progress", "IN_PROGRESS", "300")
	s.complete(lease)
	last := l.want("state", "JOB_COMPLETE", "1000")
	l.wantEnd()

	// EventSource comes back after the end, and is told to stay away.
	path := "/api/financial-transactions/jobs/" + id + "/events/"
	if a := s.do(http.MethodGet, path, fields{"Last-Event-ID": last.id}, nil); a.status != http.StatusNoContent {
		t.Errorf("with the last event: %d %s", a.status, a.body)
	}
	for _, odd := range []string{"", "x", "-1", "99999", "9999999999999999999999"} {
		l := s.listen(id, odd)
		l.want("state", "JOB_COMPLETE", "1000")
		l.wantEnd()
	}
	if a := s.do(http.MethodHead, path, nil, nil); a.status != http.StatusOK || a.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d %v", a.status, a.header)
	}
}

// A client whose gateway dies goes on at another, at any point: no state is
// lost, and nothing comes that is not newer than its last event.
func TestEventsResumeOnAnotherGateway(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.queued(job.Draft{})
	firstLook := s.listen(id, "")
	known := firstLook.want("state", "UPLOAD_COMPLETE", "0").id
	firstLook.hangUp()

	lease := s.claim(job.DefaultTenant, id)
	s.progress(lease, 500)
	if err := s.jobs.Release(t.Context(), lease, "test", 0); err != nil {
		t.Fatal(err)
	}
	lease = s.claim(job.DefaultTenant, id)
	s.progress(lease, 700)

	second := s.another().listen(id, known)
	second.want("state", "IN_PROGRESS", "0")
	second.want("state", "UPLOAD_COMPLETE", "0")
	second.want("state", "IN_PROGRESS", "0")
	known = second.want("progress", "IN_PROGRESS", "700").id
	second.hangUp()

	third := s.another().listen(id, known)
	s.progress(lease, 900)
	third.want("progress", "IN_PROGRESS", "900")
	s.complete(lease)
	third.want("state", "JOB_COMPLETE", "1000")
	third.wantEnd()
}

// A gateway that stops ends its streams at once, and the client knows nothing
// of it but that it has to come back.
func TestEventsEndWithTheirGateway(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.queued(job.Draft{})
	l := s.listen(id, "")
	l.want("state", "UPLOAD_COMPLETE", "0")
	s.stop()
	l.wantEnd()
}

// What no notification told of is found by looking, and the stream shows that it
// is there.
func TestEventsHeartbeat(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.Heartbeat = 10 * time.Millisecond })
	id := job.NewID()
	s.inTx(job.DefaultTenant, func(tx pgx.Tx) error {
		return s.jobs.CreateTx(t.Context(), tx, job.Draft{ID: id, Tenant: job.DefaultTenant, Channel: "tus"})
	})
	l := s.listen(id, "")
	l.want("state", "OPEN", "0")
	for range 3 {
		if e, more := l.next(); !more || e != (event{name: "comment"}) {
			t.Fatalf("in place of a comment came %v", e)
		}
	}
	if _, err := s.pool.Exec(t.Context(), "INSERT INTO uploads (id, tenant, size_bytes, offset_bytes, expires_at) VALUES ($1, $2, 10, 5, now())", id, job.DefaultTenant); err != nil {
		t.Fatal(err)
	}
	for {
		e, more := l.next()
		if !more {
			t.Fatal("the stream ended")
		}
		if e.name == "comment" {
			continue
		}
		if e.name != "progress" || !strings.Contains(e.data, `"bytes_received":5,"bytes_total":10`) {
			t.Errorf("got %v", e)
		}
		break
	}
}

// Whoever watches an upload that is sent elsewhere sees its bytes arrive, though
// these wake nobody.
func TestEventsShowBytesArriving(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := job.NewID()
	s.inTx(job.DefaultTenant, func(tx pgx.Tx) error {
		return s.jobs.CreateTx(t.Context(), tx, job.Draft{ID: id, Tenant: job.DefaultTenant, Channel: "tus"})
	})
	l := s.listen(id, "")
	l.want("state", "OPEN", "0")
	if _, err := s.pool.Exec(t.Context(), "INSERT INTO uploads (id, tenant, size_bytes, offset_bytes, expires_at) VALUES ($1, $2, 10, 5, now())", id, job.DefaultTenant); err != nil {
		t.Fatal(err)
	}
	e := l.want("progress", "OPEN", "0") // and no comment: the heartbeat is 15 s away
	if !strings.Contains(e.data, `"bytes_received":5,"bytes_total":10`) {
		t.Errorf("got %v", e)
	}
}

func TestEventsAreTheTenantsOwn(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, id := range []string{s.queued(job.Draft{Tenant: "other"}), job.NewID(), "job_x"} {
		wantProblem(t, s.get("/api/jobs/"+id+"/events/"), http.StatusNotFound, id)
	}
}
