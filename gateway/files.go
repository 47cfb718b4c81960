package gateway

import (
	"context"
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
	filesPath     = "/files"
	tusVersion    = "1.0.0"
	tusExtensions = "creation,creation-with-upload,creation-defer-length,termination," +
		"concatenation,concatenation-unfinished,checksum,checksum-trailer,expiration"
	offsetOctets = "application/offset+octet-stream"
	// rereadTimeout bounds what an answer waits for headers that are a courtesy.
	rereadTimeout = 5 * time.Second
)

// files is the tus door: tusd's handler, with what it does not do put in
// front of it (HEAD without its lock, strict headers, tenants, checksums, final
// uploads) and behind it (problem documents, Upload-Expires, Location).
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
	e.OPTIONS(filesPath, f.options, resumable)
	e.OPTIONS(filesPath+"/:id", f.options, resumable)
	e.POST(filesPath, f.through(f.tus.PostFile), resumable, measured, f.checked, f.keyed, f.concatenated, f.checksummed)
	e.HEAD(filesPath+"/:id", f.head, resumable)
	e.PATCH(filesPath+"/:id", f.through(f.tus.PatchFile), resumable, measured, f.owned, f.typed, f.checksummed)
	e.DELETE(filesPath+"/:id", f.through(f.tus.DelFile), resumable, f.finished)
}

// options tells what this server can do. tusd tells of less.
func (f *files) options(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Tus-Version", tusVersion)
	h.Set("Tus-Extension", tusExtensions)
	h.Set("Tus-Checksum-Algorithm", checksumAlgorithms)
	if most := f.gateway.cfg.MaxUploadBytes; most > 0 {
		h.Set("Tus-Max-Size", strconv.FormatInt(most, 10))
	}
	return c.NoContent(http.StatusNoContent)
}

// resumable names the protocol on every answer, refusals too, and refuses
// requests of another one. tusd lets HEAD through.
func resumable(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r, h := c.Request(), c.Response().Header()
		h.Set("Tus-Resumable", tusVersion)
		if r.Method != http.MethodOptions && r.Header.Get("Tus-Resumable") != tusVersion {
			h.Set("Tus-Version", tusVersion)
			return handler.ErrUnsupportedVersion
		}
		return next(c)
	}
}

// measured refuses lengths and offsets that are not digits alone, or are given twice.
// tusd reads them as Go does, a plus sign included, and of two lines the first: who
// stands before us may read another number.
func measured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		for _, name := range []string{"Upload-Length", "Upload-Offset", "Upload-Defer-Length"} {
			lines := c.Request().Header.Values(name)
			if len(lines) > 1 || len(lines) == 1 && !isDigits(lines[0]) {
				return badField(name, "must be one number, in digits alone")
			}
		}
		return next(c)
	}
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// typed refuses a PATCH of another media type with the status that tus asks
// for; tusd's is 400.
func (f *files) typed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Header.Get("Content-Type") != offsetOctets {
			return newProblem(http.StatusUnsupportedMediaType, "A PATCH must be of Content-Type "+offsetOctets+".")
		}
		return next(c)
	}
}

// checked refuses a creation whose metadata is wrong, before a byte is sent.
func (f *files) checked(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Request().Header
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

// finished has DELETE of an upload that became a job delete the job, with all that
// came of it, which no upload token may, nor a key of the role upload; only one that is under way is tusd's to
// terminate. Like owned it lets nobody through to another tenant's.
func (f *files) finished(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		info, err := f.info(c.Request().Context(), c.Param("id"))
		if err != nil {
			return err
		}
		if !info.Complete || info.Concat == "partial" {
			return next(c)
		}
		if _, granted := upload.GrantOf(c.Request().Context()); granted {
			return newProblem(http.StatusForbidden, "The upload is complete and has become a job; to delete that takes an API key.")
		}
		if by := callerOf(c.Request().Context()); !rights[by.Role][managing] {
			return newProblem(http.StatusForbidden, "The upload is complete and has become a job; to delete that takes a key of the role admin.").typed("role")
		}
		return f.gateway.delete(c)
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
	if err != nil {
		return err
	}
	describe(c.Response().Header(), info)
	return c.NoContent(http.StatusOK)
}

// describe writes what HEAD tells. A final upload that waits for its partial
// ones has no offset, and no length while one of theirs is deferred.
func describe(h http.Header, info upload.Info) {
	final := strings.HasPrefix(info.Concat, "final;")
	h.Set("Cache-Control", "no-store")
	if !final || info.Complete {
		h.Set("Upload-Offset", strconv.FormatInt(info.OffsetBytes, 10))
	}
	switch {
	case info.SizeBytes >= 0:
		h.Set("Upload-Length", strconv.FormatInt(info.SizeBytes, 10))
	case !final:
		h.Set("Upload-Defer-Length", "1")
	}
	if info.Concat != "" {
		h.Set("Upload-Concat", info.Concat)
	}
	if len(info.Metadata) > 0 {
		h.Set("Upload-Metadata", formatMetadata(info.Metadata))
	}
	setExpiry(h, info)
}

// setExpiry tells when an upload ends by itself.
func setExpiry(h http.Header, info upload.Info) {
	h.Set("Upload-Expires", info.ExpiresAt.UTC().Format(http.TimeFormat))
}

// through hands the request to a handler of tusd's and returns what that
// refuses as a problem.
func (f *files) through(h http.HandlerFunc) echo.HandlerFunc {
	tus := http.StripPrefix(filesPath, f.tus.Middleware(h))
	return func(c echo.Context) error {
		a := &tusAnswer{ResponseWriter: c.Response(), accept: func(h http.Header) { f.complete(c, h) }}
		tus.ServeHTTP(a, c.Request())
		err := a.refusal()
		if err != nil {
			f.amend(c, problemOf(err).Status)
		}
		return err
	}
}

// complete adds to a good answer what tusd leaves out.
func (f *files) complete(c echo.Context, h http.Header) {
	id := f.relocate(c, h)
	if m := c.Request().Method; m != http.MethodPost && m != http.MethodPatch {
		return
	}
	if info, ok := f.reread(c, id); ok {
		setExpiry(h, info)
	}
}

// amend adds to a refusal what the client needs to go on: the URL of an upload
// that was created although its bytes were refused, and the offset where the
// client was wrong about it or where its PATCH stopped.
func (f *files) amend(c echo.Context, status int) {
	h := c.Response().Header()
	id := f.relocate(c, h)
	switch status {
	case http.StatusConflict, statusChecksumMismatch, http.StatusLocked, http.StatusTooManyRequests, http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage:
	default:
		return
	}
	if id == "" {
		return
	}
	if info, ok := f.reread(c, id); ok {
		h.Set("Upload-Offset", strconv.FormatInt(info.OffsetBytes, 10))
		setExpiry(h, info)
	}
}

// relocate returns the id of the upload that an answer is about, and puts our
// own URL in place of tusd's.
func (f *files) relocate(c echo.Context, h http.Header) (id string) {
	if location := h.Get("Location"); location != "" {
		id = path.Base(location)
		h.Set("Location", f.location(id))
		return id
	}
	return c.Param("id")
}

// reread returns where the upload stands after a request. What was done is
// done: the answer does not fail for this.
func (f *files) reread(c echo.Context, id string) (upload.Info, bool) {
	// Who interrupts a PATCH ends its reading, which net/http takes for the end of the client.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), rereadTimeout)
	defer cancel()
	info, err := f.info(ctx, id)
	if err != nil {
		f.gateway.log.WarnContext(ctx, "upload not read after its request", "upload_id", id, "err", err)
	}
	return info, err == nil
}
