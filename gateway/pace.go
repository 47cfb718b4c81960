package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// paced is next with each request's body given up when it comes too slowly, and
// each connection ended after a request of which another server, before this one,
// could have seen another end: one of chunks, in which net/http hides whether there
// was a Content-Length too, or of HTTP/1.0. What follows there is no second request.
func (g *Gateway) paced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			w.Header().Set("Connection", "close")
		}
		if r.Body != nil && r.Body != http.NoBody {
			b := newPacedBody(w, r.Body, g.cfg.BodyStall, g.cfg.BodyRate)
			r = r.WithContext(r.Context()) // the server keeps the body it read of
			r.Body, w = b, &pacedAnswer{ResponseWriter: w, body: b}
		}
		next.ServeHTTP(w, r)
	})
}

// pacedBody is a body of which least bytes must come in each window that is spent
// waiting for them, until its end. Time in which nobody reads is not the client's.
type pacedBody struct {
	io.ReadCloser
	conn   *http.ResponseController
	window time.Duration
	least  int64

	mu       sync.Mutex
	left     time.Duration // of this window
	came     int64         // in this window
	overtime bool          // the last read ended by the deadline
	stopped  bool          // by the reader: the deadline moves no more
}

// newPacedBody begins the first window: what no handler reads, the server does, to
// see where the request ends, and it has no deadline of its own.
func newPacedBody(w http.ResponseWriter, body io.ReadCloser, window time.Duration, rate int64) *pacedBody {
	b := &pacedBody{ReadCloser: body, conn: http.NewResponseController(w), window: window, least: max(1, int64(float64(rate)*window.Seconds())), left: window}
	_ = b.conn.SetReadDeadline(time.Now().Add(window)) // where there are no deadlines there is no connection to hold
	return b
}

// Read implements io.Reader. Its error is os.ErrDeadlineExceeded for a client that
// is too slow.
func (b *pacedBody) Read(p []byte) (int, error) {
	began := time.Now()
	b.extend(began.Add(b.left))
	n, err := b.ReadCloser.Read(p)
	b.came += int64(n)
	b.left -= time.Since(began)
	if b.came >= b.least {
		b.came, b.left = 0, b.window
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.mu.Lock()
		b.overtime = true
		b.mu.Unlock()
	case err != nil:
		b.extend(time.Time{}) // the answer may take its time
	}
	return n, err
}

func (b *pacedBody) extend(deadline time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.stopped {
		_ = b.conn.SetReadDeadline(deadline)
	}
}

// stop has the read under way end, and all later ones.
func (b *pacedBody) stop() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	return b.conn.SetReadDeadline(time.Now())
}

func (b *pacedBody) late() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.overtime
}

// pacedAnswer answers a request with a pacedBody, which alone moves the deadline.
type pacedAnswer struct {
	http.ResponseWriter
	body *pacedBody
}

// Unwrap lets http.ResponseController reach the connection.
func (a *pacedAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// SetReadDeadline is http.ResponseController's. tusd moves the deadline with each
// byte that comes, and sets one that is over to end a read.
func (a *pacedAnswer) SetReadDeadline(deadline time.Time) error {
	if deadline.IsZero() || deadline.After(time.Now()) {
		return nil
	}
	return a.body.stop()
}

// WriteHeader says that the connection of a body that was given up ends: the rest
// of it may still come, and is no request.
func (a *pacedAnswer) WriteHeader(status int) {
	if a.body.late() {
		a.Header().Set("Connection", "close")
	}
	a.ResponseWriter.WriteHeader(status)
}
