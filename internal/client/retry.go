package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"time"
)

const (
	firstWait = 200 * time.Millisecond
	maxWait   = 10 * time.Second
)

// retry spaces the attempts of one Send or Follow: waits double from firstWait
// to maxWait, each shortened at random by up to half, so that the clients of a
// server that fell do not return all at once.
type retry struct {
	client *Client
	wait   time.Duration
	until  time.Time // give up after it
}

func (c *Client) newRetry() *retry {
	r := &retry{client: c}
	r.progress()
	return r
}

// progress is told that something moved: patience starts anew.
func (r *retry) progress() {
	r.wait, r.until = firstWait, time.Now().Add(r.client.retryFor)
}

// after waits until err, of the last attempt, is worth another. It returns the
// error to give up with: err itself where no retry can help.
func (r *retry) after(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !temporary(err) {
		return err
	}
	wait := r.wait - rand.N(r.wait/2) //nolint:gosec // spreads load, keeps no secret
	if answer, ok := errors.AsType[*Error](err); ok {
		wait = max(wait, answer.RetryAfter)
	}
	if time.Now().Add(wait).After(r.until) {
		return fmt.Errorf("gave up after %v without progress: %w", r.client.retryFor, err)
	}
	r.wait = min(2*r.wait, maxWait)
	r.client.onRetry(err, wait)
	return sleep(ctx, wait)
}

// broke reports whether err is of a connection that was made and then lost.
func broke(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// sleep waits for d, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
