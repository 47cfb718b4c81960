// Package client speaks to a Sluice server: it uploads a file by tus 1.0,
// resumes an upload that was cut off, and reads what became of the job.
//
// It knows the server by its HTTP contract alone. It does not know terminals,
// state files or exit codes; those are its user's.
package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"sluice/internal/secret"
)

const (
	// requestTimeout bounds every request but a PATCH: their bodies are small.
	requestTimeout = 30 * time.Second
	// stallTimeout ends a PATCH of which no byte has left, and no answer come,
	// for this long: a connection whose other end is gone reports nothing.
	stallTimeout = 2 * time.Minute
	// maxAnswerBytes bounds an answer that is read into memory.
	maxAnswerBytes = 4 << 20
)

// Config says where the server is and how patient to be.
type Config struct {
	BaseURL string      // absolute http or https URL of the server; a path in it is kept
	APIKey  secret.Text // sent as a bearer token; empty: none

	// RetryFor is how long Send and Follow go on trying while nothing moves;
	// every byte stored and every answer starts it anew. Default 10 minutes.
	RetryFor time.Duration

	// OnRetry, if set, is told of each failure that will be tried again, and
	// how long is waited before. It is called by the goroutine of Send or Follow.
	OnRetry func(err error, wait time.Duration)

	Transport http.RoundTripper // default http.DefaultTransport
}

// Client talks to one server. Any number of goroutines may share it.
type Client struct {
	base     *url.URL
	apiKey   secret.Text
	retryFor time.Duration
	onRetry  func(error, time.Duration)
	http     http.Client
	met      atomic.Bool // somebody is there: an answer came, or a connection broke
}

// New returns a client of the server at cfg.BaseURL. It sends nothing.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(cfg.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("parse base URL: %w", err)
	}
	if (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("base URL %q: want http://host or https://host", cfg.BaseURL)
	}
	if cfg.RetryFor <= 0 {
		cfg.RetryFor = 10 * time.Minute
	}
	if cfg.OnRetry == nil {
		cfg.OnRetry = func(error, time.Duration) {}
	}
	return &Client{
		base: base, apiKey: cfg.APIKey, retryFor: cfg.RetryFor, onRetry: cfg.OnRetry,
		// A redirect would lose the method or the body; the contract has none.
		http: http.Client{Transport: cfg.Transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}, nil
}

// do sends req with the key. An answer other than want is returned as *Error,
// its body read and closed; otherwise the caller closes the body.
func (c *Client) do(req *http.Request, want int) (*http.Response, error) {
	if c.apiKey != "" {
		req.Header.Set("Authorization", "Bearer "+c.apiKey.Reveal())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// url.Error repeats method and URL, which its reader knows already.
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		if broke(err) {
			c.met.Store(true)
		}
		return nil, err
	}
	c.met.Store(true)
	if resp.StatusCode != want {
		defer resp.Body.Close()
		return nil, readError(resp)
	}
	return resp, nil
}

// request makes a request of the server; path elements are escaped by JoinPath.
func (c *Client) request(ctx context.Context, method string, path ...string) (*http.Request, error) {
	return http.NewRequestWithContext(ctx, method, c.base.JoinPath(path...).String(), http.NoBody)
}
