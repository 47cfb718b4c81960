package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/audit"
	"sluice/internal/job"
	"sluice/internal/upload"
)

// What a token may be asked for, in seconds and bytes.
const (
	minTokenSeconds, maxTokenSeconds, defaultTokenSeconds = 60, 24 * 60 * 60, 60 * 60
	maxTokenBytes                                         = 1 << 53 // what a browser's numbers hold
	// maxTokenBody bounds the request's JSON.
	maxTokenBody = 4 << 10
)

type tokenRequest struct {
	ExpiresIn *int64 `json:"expires_in"`
	MaxBytes  *int64 `json:"max_bytes"`
}

type tokenJSON struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
	MaxBytes  int64     `json:"max_bytes"`
	UploadURL string    `json:"upload_url"`
}

// newToken issues an upload token.
func (g *Gateway) newToken(c echo.Context) error {
	asked, err := readTokenRequest(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	t, err := g.cfg.Uploads.NewToken(ctx, job.Tenant(ctx), *asked.MaxBytes, time.Duration(*asked.ExpiresIn)*time.Second)
	if err != nil {
		return err
	}
	return writeStatusJSON(c, http.StatusCreated, tokenJSON{t.Text, t.ExpiresAt.UTC(), t.MaxBytes, g.cfg.PublicURL + filesPath + "/"})
}

func readTokenRequest(c echo.Context) (asked tokenRequest, err error) {
	d := json.NewDecoder(http.MaxBytesReader(c.Response(), c.Request().Body, maxTokenBody))
	d.DisallowUnknownFields() // "max_byte" would be no limit
	if err := d.Decode(&asked); err != nil {
		return asked, newProblem(http.StatusBadRequest, `The body must be JSON such as {"expires_in": 3600, "max_bytes": 104857600}.`)
	}
	if asked.ExpiresIn == nil {
		asked.ExpiresIn = new(int64(defaultTokenSeconds))
	}
	switch {
	case *asked.ExpiresIn < minTokenSeconds || *asked.ExpiresIn > maxTokenSeconds:
		return asked, badField("expires_in", "must be seconds from "+strconv.Itoa(minTokenSeconds)+" to "+strconv.Itoa(maxTokenSeconds))
	case asked.MaxBytes == nil || *asked.MaxBytes < 1 || *asked.MaxBytes > maxTokenBytes:
		return asked, badField("max_bytes", "must be a number of bytes from 1 to "+strconv.FormatInt(maxTokenBytes, 10))
	}
	return asked, nil
}

// grant lets a request with an upload token in to what the token is for: to
// create an upload, and to send and follow its own. Any other upload or job is
// as if it were not there.
func (g *Gateway) grant(c echo.Context, token string) error {
	r := c.Request()
	granted, tenant, ok, err := g.cfg.Uploads.Grant(r.Context(), token)
	if err != nil {
		return err
	}
	if !ok {
		return unauthorized(c, "The upload token is not known, or has expired.")
	}
	ctx := audit.As(job.WithTenant(r.Context(), tenant), audit.TokenActor+granted.ID())
	c.SetRequest(r.WithContext(upload.WithGrant(ctx, granted)))
	files := strings.HasPrefix(c.Path(), filesPath)
	switch {
	case files && r.Header.Get("Upload-Concat") != "":
		return newProblem(http.StatusForbidden, "An upload token sends a file as one upload.")
	case c.Path() == filesPath: // POST, and OPTIONS, which tells what this server can do
		return nil
	case !files && !followed(c.Path()):
		return newProblem(http.StatusForbidden, "An upload token creates and sends uploads and follows their jobs; this takes an API key.")
	}
	own, err := g.cfg.Uploads.Granted(ctx, granted, c.Param("id"))
	switch {
	case err != nil:
		return err
	case own:
		return nil
	case files:
		return handler.ErrNotFound
	}
	return job.ErrNotFound
}

// followed tells whether the route shows how a job gets on, and nothing of its
// content.
func followed(route string) bool {
	switch strings.Replace(route, "/api/financial-transactions/jobs/", "/api/jobs/", 1) {
	case "/api/jobs/:id/status", "/api/jobs/:id/events":
		return true
	}
	return false
}
