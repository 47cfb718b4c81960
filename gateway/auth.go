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
)

// open lists the routes that anyone may read: the page, which asks for the
// key itself, and what a load balancer probes.
func open(route string) bool {
	switch route {
	case "/", "/docs", "/app.js", "/docs.js", "/style.css", "/openapi.yaml", "/healthz", "/readyz":
		return true
	}
	return false
}

// authenticate lets a request in with the API key, as a Bearer token or as
// the user name of HTTP Basic. Without a key configured it lets in requests
// for a loopback host, so that a page elsewhere cannot reach the server
// through a name of its own that resolves to 127.0.0.1 (DNS rebinding).
func (g *Gateway) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		switch {
		case g.cfg.APIKey == "" && !g.ownHost(r.Host):
			return newProblem(http.StatusMisdirectedRequest, "Without an API key only loopback host names are answered.")
		case g.cfg.APIKey != "" && !open(c.Path()) && !sameKey(requestKey(r), g.cfg.APIKey):
			// No Basic challenge: a browser would ask with a window of its own.
			c.Response().Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
			return newProblem(http.StatusUnauthorized, "A valid API key is needed: Authorization: Bearer KEY.")
		}
		c.SetRequest(r.WithContext(job.WithTenant(r.Context(), job.DefaultTenant)))
		return next(c)
	}
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
