package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"sluice/internal/secret"
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

// authenticate lets a request in with a key, as a Bearer token or as the user name
// of HTTP Basic, with a token of the issuer, with a session that one of these was
// traded for, or, to little, with an upload token. While there is no key of any kind
// it lets in requests for a loopback host, so that a page elsewhere cannot reach the
// server through a name of its own that resolves to 127.0.0.1 (DNS rebinding).
func (g *Gateway) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		identify(c)
		r := c.Request()
		locked, err := g.locked(r.Context())
		if err != nil {
			if !open(c.Path(), r.Method) {
				return err
			}
			locked = true // which of the two it is makes no difference to who needs no key
		}
		if !locked && !g.ownHost(r.Host) {
			return newProblem(http.StatusMisdirectedRequest, "Without an API key only loopback host names are answered.")
		}
		if err := g.admit(c, locked); err != nil {
			return err
		}
		return next(c)
	}
}

// locked tells whether a key is asked for: from the first one on that there is, of
// any kind.
func (g *Gateway) locked(ctx context.Context) (bool, error) {
	if g.cfg.APIKey != "" || g.cfg.Issuer != nil {
		return true, nil
	}
	return g.cfg.Access.Any(ctx)
}

// admit refuses a request that carries nothing which opens its route, and says
// on whose behalf the others act.
func (g *Gateway) admit(c echo.Context, locked bool) error {
	r := c.Request()
	if forAdmins(c.Path()) {
		return g.admitAdmin(c, locked)
	}
	key := requestKey(r)
	if c.Path() == metricsPath && g.cfg.AdminKey != "" && sameKey(key, g.cfg.AdminKey) {
		return nil // a scraper need not hold what opens files
	}
	if open(c.Path(), r.Method) {
		return nil
	}
	if strings.HasPrefix(key, upload.TokenPrefix) {
		return g.grant(c, key)
	}
	by, ok, err := g.recognise(r, key, locked)
	if err != nil {
		return err
	}
	// A session does not begin or prolong one: that takes the key.
	if !ok || by.session != "" && c.Path() == sessionPath {
		return unauthorized(c, "A valid API key is needed: Authorization: Bearer KEY.")
	}
	if by.session != "" && g.sessions.forged(r) {
		return foreign()
	}
	c.SetRequest(r.WithContext(by.onBehalf(r.Context())))
	return permit(c, by)
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
func sameKey(given string, key secret.Text) bool {
	x, y := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(key.Reveal()))
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
