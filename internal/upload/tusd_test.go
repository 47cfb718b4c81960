package upload_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/tus/tusd/v2/pkg/handler"
	"golang.org/x/exp/slog"
)

// server is a world's store behind tusd's handler.
type server struct {
	*world

	url  string
	left chan struct{} // one for each request that the handler is done with
}

func newServer(t *testing.T) *server {
	t.Helper()
	w := newWorld(t)
	tusd, err := handler.NewHandler(handler.Config{
		BasePath: "/files/", StoreComposer: w.store.Composer(), DisableDownload: true,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	w.must(err)
	files := http.StripPrefix("/files/", tusd)
	s := &server{world: w, left: make(chan struct{}, 100)}
	srv := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		defer func() { s.left <- struct{}{} }()
		files.ServeHTTP(answer, r)
	}))
	t.Cleanup(srv.Close)
	s.url = srv.URL + "/files/"
	return s
}

// request sends a tus request and returns its status, or 0 if there was no answer, and its header.
func (s *server) request(method, url string, body io.Reader, header ...string) (int, http.Header) {
	r, err := http.NewRequestWithContext(s.Context(), method, url, body)
	s.must(err)
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Content-Type", "application/offset+octet-stream")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if length := r.Header.Get("Content-Length"); length != "" {
		r.ContentLength, err = strconv.ParseInt(length, 10, 64)
		s.must(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil
	}
	answer.Body.Close()
	return answer.StatusCode, answer.Header
}

// begin creates an upload of size bytes, of which some are sent along.
func (s *server) begin(size int, body []byte) (url, id string) {
	s.Helper()
	status, header := s.request(http.MethodPost, s.url, bytes.NewReader(body), "Upload-Length", strconv.Itoa(size))
	if offset := header.Get("Upload-Offset"); status != http.StatusCreated || offset != strconv.Itoa(len(body)) {
		s.Fatalf("creation answers %d, offset %q", status, offset)
	}
	<-s.left
	url = header.Get("Location")
	return url, url[len(s.url):]
}

func (s *server) patchAt(url string, offset int, body io.Reader, header ...string) int {
	s.Helper()
	status, _ := s.request(http.MethodPatch, url, body, append(header, "Upload-Offset", strconv.Itoa(offset))...)
	return status
}

// The answer to the last PATCH comes after the commit that enqueues the job.
func TestBehindTusd(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	file := random(11, 900*kib)
	url, id := s.begin(len(file), file[:100*kib])
	for at := 100 * kib; at < len(file); at += 400 * kib {
		if status := s.patchAt(url, at, bytes.NewReader(file[at:at+400*kib])); status != http.StatusNoContent {
			t.Fatalf("PATCH at %d answers %d", at, status)
		}
	}
	s.wantComplete(id, file)
	if status := s.patchAt(url, len(file), nil); status != http.StatusNoContent {
		t.Errorf("a PATCH after the last one answers %d", status)
	}
	if status, _ := s.request(http.MethodDelete, url, nil); status != http.StatusConflict {
		t.Errorf("DELETE of a complete upload answers %d", status)
	}
	s.wantComplete(id, file)
}

// What arrived before the line broke is kept, to the byte, though tusd tells the store of no error.
func TestBrokenBody(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	file := random(12, 900*kib)
	url, id := s.begin(len(file), nil)
	broken := io.MultiReader(bytes.NewReader(file[:333_333]), readFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }))
	if status := s.patchAt(url, 0, broken, "Content-Length", strconv.Itoa(len(file))); status != 0 {
		t.Fatalf("a broken PATCH answers %d", status)
	}
	<-s.left
	if got := s.info(id).OffsetBytes; got > 333_333 || got == 0 {
		t.Fatalf("offset is %d", got)
	}
	at := int(s.info(id).OffsetBytes)
	if status := s.patchAt(url, at, bytes.NewReader(file[at:])); status != http.StatusNoContent {
		t.Fatalf("PATCH at %d answers %d", at, status)
	}
	s.wantComplete(id, file)
}

// A client that comes back while its old line seems to be open is not kept waiting for it, and loses nothing.
func TestTakeoverBehindTusd(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	file := random(13, 900*kib)
	url, id := s.begin(len(file), nil)
	line, sender := io.Pipe()
	stuck := make(chan int, 1)
	go func() { stuck <- s.patchAt(url, 0, line, "Content-Length", strconv.Itoa(len(file))) }()
	_, err := sender.Write(file[:300*kib])
	s.must(err)
	// It may have arrived or not; the first PATCH is asked to leave either way, and a client looks where it stands.
	for status := 0; status != http.StatusNoContent; {
		at := int(s.info(id).OffsetBytes)
		if status = s.patchAt(url, at, bytes.NewReader(file[at:])); status != http.StatusNoContent && status != http.StatusConflict {
			t.Fatalf("PATCH at %d answers %d", at, status)
		}
	}
	sender.Close()
	<-stuck
	s.wantComplete(id, file)
}

func TestTerminateBehindTusd(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	url, id := s.begin(900*kib, random(14, 300*kib))
	if status, _ := s.request(http.MethodDelete, url, nil); status != http.StatusNoContent {
		t.Fatalf("DELETE answers %d", status)
	}
	s.wantGone(id)
	if status := s.patchAt(url, 300*kib, bytes.NewReader(nil)); status != http.StatusGone {
		t.Errorf("PATCH after it answers %d", status)
	}
}
