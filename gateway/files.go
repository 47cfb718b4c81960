package gateway

import (
	"context"
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/prometheuscollector"
	tusslog "golang.org/x/exp/slog"

	"sluice/internal/job"
	"sluice/internal/upload"
)

const (
	filesPath  = "/files"
	tusVersion = "1.0.0"
)

// files is the tus door: tusd's handler, with what it does not do put in
// front of it (HEAD without its lock, strict metadata, tenants) and behind it
// (problem documents, Upload-Expires, Location).
type files struct {
	gateway *Gateway
	tus     *handler.UnroutedHandler
}

func newFiles(g *Gateway) (*files, error) {
	tus, err := handler.NewUnroutedHandler(handler.Config{
		StoreComposer:   g.cfg.Uploads.Composer(),
		BasePath:        filesPath + "/",
		MaxSize:         g.cfg.MaxUploadBytes,
		DisableDownload: true,
		Cors:            &handler.CorsConfig{Disable: true}, // tusd's default lets every site in
		Logger:          tusslog.New(tusLog{g.log.Handler()}),
	})
	if err != nil {
		return nil, err
	}
	if g.cfg.Registerer != nil {
		g.cfg.Registerer.MustRegister(prometheus.Collector(prometheuscollector.New(tus.Metrics)))
	}
	return &files{gateway: g, tus: tus}, nil
}

func (f *files) mount(e *echo.Echo) {
	options := f.through(http.NotFound) // tusd answers OPTIONS before it comes to that
	e.OPTIONS(filesPath, options, resumable)
	e.OPTIONS(filesPath+"/:id", options, resumable)
	e.POST(filesPath, f.through(f.tus.PostFile), resumable, f.checked)
	e.HEAD(filesPath+"/:id", f.head, resumable)
	e.PATCH(filesPath+"/:id", f.through(f.tus.PatchFile), resumable, f.owned)
	e.DELETE(filesPath+"/:id", f.through(f.tus.DelFile), resumable, f.owned)
}

// resumable names the protocol on every answer, refusals too.
func resumable(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Tus-Resumable", tusVersion)
		return next(c)
	}
}

// checked refuses a creation whose metadata is wrong, before a byte is sent.
func (f *files) checked(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Request().Header
		if h.Get("Upload-Concat") != "" { // tusd would make a whole upload of each part
			return badField("Upload-Concat", "concatenation is not supported")
		}
		metadata := strings.Join(h.Values("Upload-Metadata"), ",")
		if err := checkMetadata(metadata); err != nil {
			return err
		}
		if metadata != "" {
			h.Set("Upload-Metadata", metadata) // tusd reads one line only
		}
		return next(c)
	}
}

// owned lets a request through to an upload of its own tenant. tusd would
// take the upload's lock first, and so interrupt somebody else's PATCH.
func (f *files) owned(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, err := f.info(c.Request().Context(), c.Param("id")); err != nil {
			return err
		}
		return next(c)
	}
}

func (f *files) info(ctx context.Context, id string) (upload.Info, error) {
	if !job.ValidID(id) {
		return upload.Info{}, handler.ErrNotFound
	}
	return f.gateway.cfg.Uploads.Info(ctx, job.Tenant(ctx), id)
}

// head answers from one row, without tusd: its HEAD takes the upload's lock
// and so ends a PATCH under way.
func (f *files) head(c echo.Context) error {
	info, err := f.info(c.Request().Context(), c.Param("id"))
	h := c.Response().Header()
	if told := (handler.Error{}); err != nil && !errors.As(err, &told) {
		// tus-js-client begins a new upload after a 500, and asks again after a 423.
		f.gateway.log.ErrorContext(c.Request().Context(), "upload not read", "upload_id", c.Param("id"), "err", err)
		h.Set("Retry-After", "1")
		return newProblem(http.StatusLocked, "The offset cannot be read just now; ask again.")
	}
	if err != nil {
		return err
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Upload-Offset", strconv.FormatInt(info.OffsetBytes, 10))
	if info.SizeBytes < 0 {
		h.Set("Upload-Defer-Length", "1")
	} else {
		h.Set("Upload-Length", strconv.FormatInt(info.SizeBytes, 10))
	}
	if len(info.Metadata) > 0 {
		h.Set("Upload-Metadata", formatMetadata(info.Metadata))
	}
	setExpiry(h, info.ExpiresAt)
	return c.NoContent(http.StatusOK)
}

func setExpiry(h http.Header, at time.Time) {
	if !at.IsZero() {
		h.Set("Upload-Expires", at.UTC().Format(http.TimeFormat))
	}
}

// through hands the request to a handler of tusd's and returns what that
// refuses as a problem.
func (f *files) through(h http.HandlerFunc) echo.HandlerFunc {
	tus := http.StripPrefix(filesPath, f.tus.Middleware(h))
	return func(c echo.Context) error {
		a := &tusAnswer{ResponseWriter: c.Response(), accept: func(h http.Header) { f.complete(c, h) }}
		tus.ServeHTTP(a, c.Request())
		return a.refusal()
	}
}

// complete adds to a good answer what tusd leaves out.
func (f *files) complete(c echo.Context, h http.Header) {
	id, ctx := c.Param("id"), c.Request().Context()
	if location := h.Get("Location"); location != "" {
		id = path.Base(location)
		h.Set("Location", f.gateway.cfg.PublicURL+filesPath+"/"+id)
	}
	if m := c.Request().Method; m != http.MethodPost && m != http.MethodPatch {
		return
	}
	info, err := f.info(ctx, id)
	if err == nil {
		setExpiry(h, info.ExpiresAt)
	} else if ctx.Err() == nil { // the bytes are stored: their answer does not fail for this
		f.gateway.log.WarnContext(ctx, "expiry of upload not read", "upload_id", id, "err", err)
	}
}
