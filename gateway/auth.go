package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"sluice/internal/job"
	"sluice/internal/upload"
)

// open lists the routes that ask for no key: the page, which asks for it itself,
// what a load balancer probes, and the hook, which has a secret of its own. A session is looked up and ended
// by who has one, and begun with the key.
func open(route, method string) bool {
	switch route {
	case sessionPath:
		return method != http.MethodPost
	case "/", "/docs", "/app.js", "/docs.js", "/style.css", "/openapi.yaml", "/healthz", "/readyz", hookPath:
		return true
	}
	return false
}

// authenticate lets a request in with the API key, as a Bearer token or as
// the user name of HTTP Basic, with a session that the key was traded for, or,
// to little, with an upload token. Without a key configured it lets in requests
// for a loopback host, so that a page elsewhere cannot reach the server through
// a name of its own that resolves to 127.0.0.1 (DNS rebinding).
func (g *Gateway) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if g.cfg.APIKey == "" && !g.ownHost(r.Host) {
			return newProblem(http.StatusMisdirectedRequest, "Without an API key only loopback host names are answered.")
		}
		if err := g.admit(c); err != nil {
			return err
		}
		return next(c)
	}
}

// admit refuses a request that carries nothing which opens its route, and says
// on whose behalf the others act.
func (g *Gateway) admit(c echo.Context) error {
	r := c.Request()
	if forAdmins(c.Path()) {
		return g.admitAdmin(c)
	}
	key := requestKey(r)
	if c.Path() == metricsPath && g.cfg.AdminKey != "" && sameKey(key, g.cfg.AdminKey) {
		return nil // a scraper need not hold what opens files
	}
	if strings.HasPrefix(key, upload.TokenPrefix) && !open(c.Path(), r.Method) {
		return g.grant(c, key)
	}
	c.SetRequest(r.WithContext(job.WithTenant(r.Context(), job.DefaultTenant)))
	if g.cfg.APIKey == "" || open(c.Path(), r.Method) || sameKey(key, g.cfg.APIKey) {
		return nil
	}
	// A session does not begin or prolong one: that takes the key.
	if key == "" && c.Path() != sessionPath {
		switch _, ok, err := g.inSession(r); {
		case err != nil:
			return err
		case ok && g.sessions.forged(r):
			return foreign()
		case ok:
			return nil
		}
	}
	return unauthorized(c, "A valid API key is needed: Authorization: Bearer KEY.")
}

// foreign refuses what a browser sent with its session, but not for the page.
func foreign() error {
	return newProblem(http.StatusForbidden, "A request with a session must come from the page itself; elsewhere use the API key.")
}

// unauthorized makes no Basic challenge: a browser would ask with a window of its own.
func unauthorized(c echo.Context, detail string) error {
	c.Response().Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
	return newProblem(http.StatusUnauthorized, detail)
}

// requestKey returns the key that the request carries, or "".
func requestKey(r *http.Request) string {
	if user, _, ok := r.BasicAuth(); ok {
		return user
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// sameKey compares digests, so that neither content nor length leaks in time.
func sameKey(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// ownHost tells whether a Host header names this machine's loopback or the
// host of PublicURL.
func (g *Gateway) ownHost(host string) bool {
	if u, err := url.Parse(g.cfg.PublicURL); err == nil && u.Host != "" && strings.EqualFold(u.Host, host) {
		return true
	}
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	addr, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return strings.EqualFold(name, "localhost") || err == nil && addr.IsLoopback()
}
