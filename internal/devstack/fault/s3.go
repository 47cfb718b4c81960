// Package fault stands between two programs and spoils what passes, at a place
// that a test has chosen: a line that is cut after a number of bytes, an S3
// server that refuses, loses or delays the k-th request of a kind. It does not
// know what the programs are, nor what they should make of it.
package fault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
)

// Answer is what becomes of a request; s3 is the server that it was meant for.
// It may panic with http.ErrAbortHandler, which cuts the connection.
type Answer func(w http.ResponseWriter, r *http.Request, s3 http.Handler)

// Rule says which requests meet a fault.
type Rule struct {
	// Match picks the requests that count; nil picks all.
	Match func(*http.Request) bool
	// Skip requests pass unharmed first, then Times meet the fault.
	Skip, Times int
	Answer      Answer
}

// S3 is a proxy before an S3 server. Without rules it passes everything on. Its
// methods may be called by several goroutines.
type S3 struct {
	// URL is where the proxy listens.
	URL string

	server  http.Server
	mu      sync.Mutex
	rules   []Rule
	methods map[string]int
}

// NewS3 starts a proxy before the server at target, an http URL.
func NewS3(ctx context.Context, target string) (*S3, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("parse target: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	s3 := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // which is signed
		},
		// A server that is away is, to its client, a connection that breaks.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	s := &S3{URL: "http://" + listener.Addr().String(), methods: map[string]int{}}
	quiet := log.New(io.Discard, "", 0)
	s3.ErrorLog = quiet
	s.server = http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // its one client is the test
		if answer := s.meets(r); answer != nil {
			answer(w, r, s3)
			return
		}
		s3.ServeHTTP(w, r)
	})}
	go func() { _ = s.server.Serve(listener) }() // until Close
	return s, nil
}

// Close ends the proxy and all that passes through it.
func (s *S3) Close() error { return s.server.Close() }

// Add makes a rule hold from now on. The first rule that matches a request is
// the one that counts it.
func (s *S3) Add(r Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, r)
}

// Clear takes all rules away.
func (s *S3) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// Calls returns how many requests of each method have come.
func (s *S3) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.methods)
}

// meets counts a request and returns what becomes of it, nil for nothing.
func (s *S3) meets(r *http.Request) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.methods[r.Method]++
	for i := range s.rules {
		rule := &s.rules[i]
		if rule.Match != nil && !rule.Match(r) {
			continue
		}
		if rule.Skip > 0 {
			rule.Skip--
			return nil
		}
		if rule.Times > 0 {
			rule.Times--
			return rule.Answer
		}
	}
	return nil
}

// Refuse answers with an S3 error: InternalError for 500, SlowDown for 503.
func Refuse(status int) Answer {
	code := map[int]string{http.StatusInternalServerError: "InternalError", http.StatusServiceUnavailable: "SlowDown"}[status]
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body) // as a server that has read it and then fails
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as asked</Message></Error>", code) // it may have gone
		}
	}
}

// Cut breaks the connection once n bytes of the request's body have come.
func Cut(n int64) Answer {
	return func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.CopyN(io.Discard, r.Body, n) // a shorter body is cut at its end
		panic(http.ErrAbortHandler)
	}
}

// Lose lets the server do what it was asked for, and breaks the connection
// instead of answering.
func Lose(_ http.ResponseWriter, r *http.Request, s3 http.Handler) {
	_ = pass(r, s3) // to the client it is all the same
	panic(http.ErrAbortHandler)
}

// Hold takes the whole request, closes held, and hands it to the server when
// release is closed, whether or not its client still waits; done is closed
// after that. It is for a rule with Times 1.
func Hold(held chan<- struct{}, release <-chan struct{}, done chan<- struct{}) Answer {
	return func(_ http.ResponseWriter, r *http.Request, s3 http.Handler) {
		defer close(done)
		body, err := io.ReadAll(r.Body)
		close(held)
		<-release
		if err == nil {
			late := r.Clone(context.WithoutCancel(r.Context()))
			late.Body = io.NopCloser(bytes.NewReader(body))
			_ = pass(late, s3)
		}
		panic(http.ErrAbortHandler)
	}
}

// pass hands a request to the server and drops the answer.
func pass(r *http.Request, s3 http.Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("pass request on: %v", p)
		}
	}()
	s3.ServeHTTP(nobody{http.Header{}}, r)
	return nil
}

// nobody is an http.ResponseWriter that drops everything.
type nobody struct{ header http.Header }

func (n nobody) Header() http.Header         { return n.header }
func (n nobody) Write(p []byte) (int, error) { return len(p), nil }
func (n nobody) WriteHeader(int)             {}
