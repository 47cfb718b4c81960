package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// What a page of another origin may send, ask for and see: tus, and the status
// and events of its jobs.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Encoding, Content-Type, Idempotency-Key, Last-Event-ID, Tus-Resumable, Upload-Checksum, Upload-Concat, " +
		"Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Requested-With"
	corsExposed = "Location, Retry-After, Sluice-Limit, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, " +
		"Upload-Concat, Upload-Defer-Length, Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset"
	corsMaxAge = "7200" // the most that Chromium keeps
)

// shared lets the pages of the listed origins read answers under /files and
// /api. Never with cookies: who is elsewhere has a key or a token of its own.
// A preflight carries neither, so it is answered here, before one is asked for.
func (g *Gateway) shared(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if len(g.cfg.Origins) == 0 || !strings.HasPrefix(r.URL.Path, filesPath) && !strings.HasPrefix(r.URL.Path, "/api/") {
			return next(c)
		}
		h, origin := c.Response().Header(), r.Header.Get("Origin")
		h.Add("Vary", "Origin") // to caches, also for those who get nothing
		if !slices.Contains(g.cfg.Origins, origin) {
			return next(c)
		}
		h.Set("Access-Control-Allow-Origin", origin)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", corsMethods)
			h.Set("Access-Control-Allow-Headers", corsHeaders)
			h.Set("Access-Control-Max-Age", corsMaxAge)
			return c.NoContent(http.StatusNoContent)
		}
		h.Set("Access-Control-Expose-Headers", corsExposed)
		return next(c)
	}
}
