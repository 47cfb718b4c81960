package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is an answer of the server that is not the one asked for.
type Error struct {
	StatusCode int           // of HTTP
	Detail     string        // the server's sentence; the status's own text where it sent none
	RetryAfter time.Duration // what the server asked for; 0 where it did not
}

// Error returns the server's sentence and the status code.
func (e *Error) Error() string { return e.Detail + " (HTTP " + strconv.Itoa(e.StatusCode) + ")" }

// Is makes every answer about an id that is not, or no more, there match ErrNotFound.
func (e *Error) Is(target error) bool {
	return target == ErrNotFound && (e.StatusCode == http.StatusNotFound || e.StatusCode == http.StatusGone)
}

// ErrNotFound is matched by errors.Is when the server does not know the id, or
// knows it no more because the upload expired.
var ErrNotFound = errors.New("no such upload or job")

// errNotSluice is an answer that the contract does not know.
var errNotSluice = errors.New("not the answer of a Sluice server")

// readError reads the answer's problem+json or plain text.
func readError(resp *http.Response) *Error {
	e := &Error{StatusCode: resp.StatusCode, Detail: strings.ToLower(http.StatusText(resp.StatusCode))}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	if err != nil || len(body) == 0 {
		return e
	}
	switch media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media {
	case "application/problem+json", "application/json":
		var problem struct{ Title, Detail string }
		if json.Unmarshal(body, &problem) != nil {
			return e
		}
		if problem.Detail == "" {
			problem.Detail = problem.Title
		}
		if problem.Detail != "" {
			e.Detail = problem.Detail
		}
	case "text/plain":
		e.Detail = strings.TrimSpace(string(body))
	}
	return e
}

// temporary reports whether the same request may be answered otherwise later:
// no connection, a server that is starting or overloaded, or an upload that
// another request holds (423) or has just moved on (409).
func temporary(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, errNotSluice) {
		return false
	}
	answer, ok := errors.AsType[*Error](err)
	if !ok {
		return true
	}
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusLocked, http.StatusTooManyRequests:
		return true
	}
	return answer.StatusCode >= 500
}
