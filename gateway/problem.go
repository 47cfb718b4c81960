package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/drop"
	"sluice/internal/erasure"
	"sluice/internal/issuer"
	"sluice/internal/job"
	"sluice/internal/upload"
)

// problemPrefix starts the type of every problem that its status alone does
// not tell; RFC 9457 §3.1.1 allows a URI that is not to be resolved.
const problemPrefix = "urn:problem-type:sluice:"

// internalDetail is all that the outside learns of an error that is ours.
const internalDetail = "Something went wrong here; the log has the details."

// A problem is an error that may be shown to anyone: the body of
// application/problem+json (RFC 9457).
type problem struct {
	Type     string       `json:"type"`
	Title    string       `json:"title"`
	Status   int          `json:"status"`
	Detail   string       `json:"detail"`
	Instance string       `json:"instance"`
	Errors   []fieldError `json:"errors,omitempty"`
	// Limit is the one that refused the request.
	Limit *limitJSON `json:"limit,omitempty"`
	// Old is Detail again, where the old system's clients look for it.
	Old string `json:"error,omitempty"`

	header map[string]string // of the answer
}

// A fieldError says what is wrong with one parameter, setting or dependency.
type fieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string { return p.Detail }

// newProblem returns a problem that its status describes.
func newProblem(status int, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// typed gives the problem a type that a client can branch on.
func (p *problem) typed(name string) *problem {
	p.Type = problemPrefix + name
	return p
}

// badField returns the 400 for a parameter or setting of the given name.
func badField(field, detail string) *problem {
	p := newProblem(http.StatusBadRequest, field+": "+detail)
	p.Errors = []fieldError{{Field: field, Detail: detail}}
	return p
}

// problemOf is the one table from errors to what the outside sees of them.
// What it does not know is internal: its text stays in the log.
func problemOf(err error) *problem {
	if refused, ok := job.AsLimit(err); ok {
		err = upload.LimitError(refused)
	}
	var (
		p   *problem
		he  *echo.HTTPError
		tus handler.Error
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tus):
		p := tusProblem(tus.ErrorCode, tus.Message, tus.HTTPResponse.StatusCode)
		p.header = tus.HTTPResponse.Header
		return p
	case job.IsErased(err):
		return tenantErased()
	case errors.Is(err, erasure.ErrNotFound):
		return newProblem(http.StatusNotFound, "There is no such erasure.")
	case errors.Is(err, job.ErrNotFound):
		return newProblem(http.StatusNotFound, "There is no such job.")
	case errors.Is(err, job.ErrWebhook):
		return newProblem(http.StatusNotFound, "There is no such webhook, or no such delivery of it, or it is disabled.")
	case errors.Is(err, drop.ErrNotFound):
		return newProblem(http.StatusNotFound, "There is no such watch.")
	case errors.Is(err, drop.ErrOverlap):
		return newProblem(http.StatusConflict, "Another watch has keys in common with this one, or one would move objects into the other.").typed("watch_overlaps")
	case errors.Is(err, issuer.ErrAway):
		return newProblem(http.StatusServiceUnavailable, "The issuer of tokens does not answer, so none can be verified; try again.").typed("issuer_away")
	case errors.As(err, &he):
		return routeProblem(he.Code)
	case errors.Is(err, context.DeadlineExceeded):
		return newProblem(http.StatusServiceUnavailable, "The answer took too long; try again.")
	default:
		return newProblem(http.StatusInternalServerError, internalDetail)
	}
}

// tusProblem says what tusd or the upload store refuses.
func tusProblem(code, message string, status int) *problem {
	switch code {
	case "ERR_INTERNAL_SERVER_ERROR": // an unknown error's text, which tusd has logged
		return newProblem(http.StatusInternalServerError, internalDetail)
	case handler.ErrUploadInterrupted.ErrorCode: // tusd says 400, which tus-js-client does not retry
		status = http.StatusLocked
	case handler.ErrReadTimeout.ErrorCode: // tusd says 500; who sends slowly goes on later, as who was interrupted
		status, message = http.StatusLocked, "The bytes came too slowly. What came is kept: go on at the offset that HEAD tells."
	}
	p := newProblem(status, message).typed(strings.ToLower(strings.TrimPrefix(code, "ERR_")))
	p.Title = cmp.Or(p.Title, "Checksum Mismatch") // 460 is tus's, and net/http has no text for it
	return p
}

// routeProblem words the errors of the router itself.
func routeProblem(status int) *problem {
	switch status {
	case http.StatusNotFound:
		return newProblem(status, "There is nothing at this path.")
	case http.StatusMethodNotAllowed:
		return newProblem(status, "This path does not take this method; see the Allow header.")
	default:
		return newProblem(status, http.StatusText(status))
	}
}

// fail answers a request whose handler returned err. An answer already under
// way cannot become an error, so its connection is cut: the client sees a
// short body and not a complete one that lacks rows.
func (g *Gateway) fail(err error, c echo.Context) {
	r := c.Request()
	p := *problemOf(err)
	if g.erased(r.Context(), err, p.Status) {
		p = *tenantErased()
	}
	if p.Status == http.StatusInternalServerError && r.Context().Err() == nil {
		g.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "route", c.Path(), "job_id", c.Param("id"), "err", err)
	}
	if c.Response().Committed {
		panic(http.ErrAbortHandler)
	}
	if c.Path() == filesPath || strings.HasPrefix(c.Path(), filesPath+"/") {
		p = resumed(p, r.Method, c.Response().Header())
	}
	for name, value := range p.header {
		c.Response().Header().Set(name, value)
	}
	if p.Limit = limitOf(c.Response().Header()); p.Limit != nil {
		g.limits.refused.WithLabelValues(p.Limit.Name).Inc()
	}
	p.Instance = r.URL.Path
	if strings.HasPrefix(r.URL.Path, transactionsPath+"/") {
		p.Old = p.Detail
	}
	p.write(c.Response())
}

// resumed makes of what is our fault an answer on which clients go on later:
// after a 500 some give up, and after any such answer to HEAD tus-js-client begins
// a new upload, but for 423.
func resumed(p problem, method string, h http.Header) problem {
	switch {
	case p.Status == http.StatusTooManyRequests && method == http.MethodHead:
		locked := newProblem(http.StatusLocked, p.Detail)
		locked.header = p.header
		return *locked
	case p.Status != http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable:
		return p
	case method == http.MethodHead:
		p = *newProblem(http.StatusLocked, "The offset cannot be read just now; ask again.")
	case p.Status == http.StatusInternalServerError:
		p = *problemOf(upload.ErrUnavailable)
	}
	h.Set("Retry-After", "1")
	return p
}

func (p *problem) write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil { // strings and an int always marshal
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Length")
	h.Del("Content-Disposition")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone; there is nobody else to tell
}
