package main_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// door is a way to S3 on which requests can be cut short, slowed, or refused.
type door struct {
	url   string
	cuts  atomic.Int64 // answers to cut in their middle
	slow  atomic.Bool
	shut  atomic.Bool  // nobody is there
	delay atomic.Int64 // before each request, in ns
	// onRequest sees each request before anything else does; nil: nobody does.
	onRequest atomic.Pointer[func(*http.Request)]
}

func newDoor(t testing.TB, endpoint string) *door {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{}
	through := httputil.NewSingleHostReverseProxy(target) // keeps the Host, which is signed
	through.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	through.ErrorLog = log.New(io.Discard, "", 0) // cuts are what it is for
	// As many connections kept as there are, or each burst would dial anew.
	through.Transport = &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	through.ModifyResponse = func(r *http.Response) error {
		if d.cuts.Add(-1) >= 0 {
			r.Body = &lameBody{ReadCloser: r.Body, left: r.ContentLength / 2, cut: true}
		} else if d.slow.Load() {
			r.Body = &lameBody{ReadCloser: r.Body}
		}
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if see := d.onRequest.Load(); see != nil {
			(*see)(r)
		}
		if d.shut.Load() {
			panic(http.ErrAbortHandler)
		}
		if delay := d.delay.Load(); delay > 0 {
			<-time.After(time.Duration(delay)) // the fault itself
		}
		through.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = through.ErrorLog
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// doorBytes is what a slow door lets through in a second, about.
const doorBytes = 6 << 20

// lameBody ends in the middle, or comes drop by drop.
type lameBody struct {
	io.ReadCloser

	left int64
	cut  bool
}

func (b *lameBody) Read(p []byte) (int, error) {
	if !b.cut {
		const step = 32 << 10
		<-time.After(time.Second * step / doorBytes) // the fault itself
		return b.ReadCloser.Read(p[:min(len(p), step)])
	}
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
