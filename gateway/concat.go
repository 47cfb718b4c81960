package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/job"
	"sluice/internal/upload"
)

// concatenated answers the creation of final uploads, which tusd refuses while
// a partial one is unfinished, and passes on that of others.
func (f *files) concatenated(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Request().Header
		concat := h.Get("Upload-Concat")
		list, final := strings.CutPrefix(concat, "final;")
		switch {
		case final:
			return f.concat(c, concat, list)
		case concat != "" && concat != "partial" || len(h.Values("Upload-Concat")) > 1:
			return badField("Upload-Concat", `must be "partial", or "final;" and the URLs of partial uploads with a space between them`)
		}
		return next(c)
	}
}

// concat creates a final upload.
func (f *files) concat(c echo.Context, header, list string) error {
	r := c.Request()
	switch {
	case r.Header.Get("Upload-Length") != "" || r.Header.Get("Upload-Defer-Length") != "":
		return badField("Upload-Length", "a final upload is as long as its partial uploads are together")
	case r.Header.Get("Content-Type") == offsetOctets:
		return handler.ErrModifyFinal
	}
	var ids []string
	for location := range strings.FieldsSeq(list) {
		id, ok := idOf(location)
		if !ok {
			return badField("Upload-Concat", location+" is not the URL of an upload")
		}
		ids = append(ids, id)
	}
	metadata, err := parseMetadata(r.Header.Get("Upload-Metadata"))
	if err != nil {
		return err
	}
	info, err := f.gateway.cfg.Uploads.Concat(r.Context(), upload.Final{Partials: ids, Header: header, Metadata: metadata})
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Location", f.location(info.ID))
	setExpiry(h, info)
	return c.NoContent(http.StatusCreated)
}

// location is the URL of an upload as it is handed out.
func (f *files) location(id string) string { return f.gateway.cfg.PublicURL + filesPath + "/" + id }

// idOf returns the id in an upload's URL, absolute or not, behind whatever
// proxy it was handed out.
func idOf(location string) (id string, ok bool) {
	u, err := url.Parse(location)
	if err != nil {
		return "", false
	}
	base, id, ok := cutLast(strings.TrimSuffix(u.Path, "/"), "/")
	return id, ok && strings.HasSuffix(base, filesPath) && job.ValidID(id)
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
