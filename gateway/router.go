package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const metricsPath = "/metrics"

// router returns the handler of every route. Each answers with and without a
// trailing slash, and each GET answers HEAD.
func (g *Gateway) router(f *files) *echo.Echo {
	e := echo.New()
	e.IPExtractor = clientAddress(g.cfg.TrustedProxies)
	e.HTTPErrorHandler = g.fail
	e.Pre(normalise)
	e.Use(newMetrics(g.cfg.Registerer).observe, g.recover(), g.secure, g.shared, g.limitAddress, g.authenticate, g.limitTenant, g.traced, textOnly)

	f.mount(e)
	for _, base := range []string{"/api/jobs", "/api/financial-transactions/jobs"} {
		get(e, base+"/:id/status", g.status)
		get(e, base+"/:id/offers", g.offers)
		get(e, base+"/:id/aggregates", g.aggregates)
		get(e, base+"/:id/events", g.events)
		get(e, base+"/:id/portfolio", g.portfolio)
	}
	get(e, "/api/jobs", g.list)
	get(e, "/api/jobs/:id/rejects", g.rejects)
	get(e, "/api/audit", g.auditLog)
	g.mountErasures(e)
	g.mountControl(e)
	g.mountWebhooks(e)
	g.mountDrops(e)
	g.mountDoors(e)
	get(e, "/healthz", g.health)
	get(e, "/readyz", g.ready)
	get(e, metricsPath, echo.WrapHandler(promhttp.HandlerFor(g.cfg.Gatherer, promhttp.HandlerOpts{})))
	g.mountSession(e)
	g.mountAdmin(e)
	e.POST("/api/upload-tokens", g.newToken)
	mountPage(e)
	return e
}

func get(e *echo.Echo, path string, h echo.HandlerFunc) {
	e.Match([]string{http.MethodGet, http.MethodHead}, path, h)
}

// normalise runs before the routes are looked up. It drops a trailing slash,
// without a redirect, which would lose a POST's body. What is not ours to route
// keeps its own.
func normalise(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if len(r.URL.Path) > 1 && !strings.HasPrefix(r.URL.Path, QueuePath) {
			r.URL.Path = strings.TrimSuffix(r.URL.Path, "/")
			r.URL.RawPath = strings.TrimSuffix(r.URL.RawPath, "/")
		}
		return next(c)
	}
}

// overridden lets X-HTTP-Method-Override stand for a method that a client
// cannot send, under /files/ only, whichever it did send: so tus 1.0 says.
// Routing, and so authorisation, sees the method that is meant.
func overridden(next http.Handler) http.Handler {
	const header = "X-HTTP-Method-Override"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		override := r.Header.Get(header)
		r.Header.Del(header) // tusd reads it too, after the route was chosen
		if override != "" && strings.HasPrefix(r.URL.Path+"/", filesPath+"/") {
			// The server keeps the request it read: told that it was a HEAD, it would leave the answer without an end.
			r = r.WithContext(r.Context())
			r.Method = override
		}
		next.ServeHTTP(w, r)
	})
}

// textOnly refuses parameters that are no text, which Postgres would refuse
// as an error of ours.
func textOnly(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		for name, values := range c.QueryParams() {
			if text := strings.Join(values, ""); !utf8.ValidString(text) || strings.Contains(text, "\x00") {
				return badField(strings.ToValidUTF8(name, "?"), "must be UTF-8 text")
			}
		}
		return next(c)
	}
}

// recover turns a panic into an error, and leaves alone the one by which an
// answer is cut short on purpose.
func (g *Gateway) recover() echo.MiddlewareFunc {
	return middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisablePrintStack: true,
		LogErrorFunc: func(_ echo.Context, err error, stack []byte) error {
			return fmt.Errorf("recover from panic: %w\n%s", err, stack)
		},
	})
}

// secure sets the headers that every answer has. The policy admits what the
// page consists of, its own files, and nothing else. That a browser is to come by
// https only is said where it does: by TLS here, or by the PublicURL's.
func (g *Gateway) secure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		if g.sessions.byTLS(c.Request()) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		return next(c)
	}
}
