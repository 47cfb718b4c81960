package gateway

import (
	"bytes"
	"net/http"
	"strings"
)

// tusAnswer passes on tusd's good answers and keeps its refusals.
type tusAnswer struct {
	http.ResponseWriter
	accept func(http.Header) // called before the header of a good answer goes out
	status int               // of a refusal, else 0
	body   bytes.Buffer      // of a refusal: "CODE: message"
}

// Unwrap lets tusd reach the connection's deadlines.
func (a *tusAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *tusAnswer) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		a.status = status
		return
	}
	a.accept(a.Header())
	a.ResponseWriter.WriteHeader(status)
}

func (a *tusAnswer) Write(p []byte) (int, error) {
	if a.status != 0 {
		return a.body.Write(p)
	}
	return a.ResponseWriter.Write(p)
}

// refusal returns what tusd refused, told apart by its error codes.
func (a *tusAnswer) refusal() error {
	if a.status == 0 {
		return nil
	}
	code, message, _ := strings.Cut(strings.TrimSpace(a.body.String()), ": ")
	return tusProblem(code, message, a.status)
}
