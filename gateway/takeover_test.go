package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"sluice/gateway"
	"sluice/internal/upload"
)

// rival returns a second gateway before the same database and bucket.
func (s *server) rival() *server {
	s.t.Helper()
	return startOn(s.t, s.pool, s.bucket)
}

// underWay begins a PATCH of content of which the first part is stored and some
// more was sent, and returns its answer to come.
func (s *server) underWay(file string, content []byte, sent int) (first chan answer, send *io.PipeWriter) {
	s.t.Helper()
	const partBytes = 8 << 20
	body, send := io.Pipe()
	first = make(chan answer, 1)
	go func() {
		a, err := s.try("PATCH", file, patchHeader(0), body)
		if err != nil {
			a.body = err.Error()
		}
		first <- a
	}()
	if _, err := send.Write(content[:sent]); err != nil {
		s.t.Fatal(err)
	}
	for s.do("HEAD", file, tus(), nil).header.Get("Upload-Offset") != fmt.Sprint(partBytes) {
		if s.t.Context().Err() != nil {
			s.t.Fatal("the first part was never stored")
		}
	}
	return first, send
}

// A client whose line broke comes back to another gateway, which asks the first
// to store what it has and leave; no byte that was received is lost.
func TestTakeoverByAnotherGateway(t *testing.T) {
	t.Parallel()
	s := start(t)
	second := s.rival()
	content := append(bytes.Repeat([]byte("x"), 8<<20), "0123456789"...)
	file := s.create(tus("Upload-Length", fmt.Sprint(len(content))))
	first, send := s.underWay(file, content, len(content)-4)
	defer send.Close()
	for offset := 8 << 20; offset < len(content); {
		a := second.patch(file, offset, bytes.NewReader(content[offset:]))
		switch a.status {
		case http.StatusNoContent:
		case http.StatusConflict: // the first has stored more before it left
		default:
			t.Fatalf("%d %s", a.status, a.body)
		}
		if _, err := fmt.Sscan(a.header.Get("Upload-Offset"), &offset); err != nil {
			t.Fatal(err)
		}
	}
	a := <-first
	wantProblem(t, a, http.StatusLocked, "the PATCH that was taken over")
	s.wantQueued(file, content)
}

// A gateway that is about to stop stores what it has received and answers so
// that its clients go on elsewhere.
func TestDrain(t *testing.T) {
	t.Parallel()
	var mine *upload.Store
	s := start(t, func(c *gateway.Config) { mine = c.Uploads })
	second := s.rival()
	content := append(bytes.Repeat([]byte("x"), 8<<20), "0123456789"...)
	file := s.create(tus("Upload-Length", fmt.Sprint(len(content))))
	first, send := s.underWay(file, content, len(content)-4)
	defer send.Close()
	mine.Drain()
	a := <-first
	wantProblem(t, a, http.StatusLocked, "the PATCH of a gateway that stops")
	offset := 0
	if _, err := fmt.Sscan(a.header.Get("Upload-Offset"), &offset); err != nil || offset < 8<<20 {
		t.Fatalf("the offset is %d: %v", offset, err)
	}
	wantProblem(t, s.patch(file, offset, strings.NewReader("x")), http.StatusLocked, "a new PATCH")
	if a := second.patch(file, offset, bytes.NewReader(content[offset:])); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.wantQueued(file, content)
}
