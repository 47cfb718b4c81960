package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	sessionPath   = "/session"
	sessionCookie = "sluice_session"
	// sessionLife is a working day: a browser left open asks for the key again.
	sessionLife = 12 * time.Hour
)

// sessions makes and reads the cookies that stand for the key, so that the page
// need not keep it. A session is no state of ours: it is the second at which it
// ends and a MAC of that, by the key. Any gateway of the same key takes it, and
// another key ends them all.
type sessions struct {
	key     [sha256.Size]byte
	secure  bool // the page comes by https
	origins *http.CrossOriginProtection
}

func newSessions(apiKey, publicURL string) *sessions {
	s := &sessions{key: sha256.Sum256([]byte("session\x00" + apiKey)), secure: strings.HasPrefix(publicURL, "https://"), origins: http.NewCrossOriginProtection()}
	if publicURL != "" {
		scheme, rest, _ := strings.Cut(publicURL, "://")
		host, _, _ := strings.Cut(rest, "/")
		_ = s.origins.AddTrustedOrigin(scheme + "://" + host) // Config.check has parsed it
	}
	return s
}

// mac returns the cookie's value for a session that ends at that second.
func (s *sessions) mac(ends string) string {
	m := hmac.New(sha256.New, s.key[:])
	m.Write([]byte(ends))
	return ends + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// end returns when the request's session ends, and false where it has none.
func (s *sessions) end(r *http.Request) (time.Time, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return time.Time{}, false
	}
	ends, _, _ := strings.Cut(cookie.Value, ".")
	seconds, err := strconv.ParseInt(ends, 10, 64)
	if err != nil || !hmac.Equal([]byte(cookie.Value), []byte(s.mac(ends))) || time.Now().Unix() >= seconds {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

// forged tells whether a request that changes something was not sent by the
// page. A browser sends a cookie by itself, so here it must also say from where:
// SameSite=Strict keeps other sites out, but not a neighbour of the same one.
func (s *sessions) forged(r *http.Request) bool {
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	said := r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
	return !safe && (!said || s.origins.Check(r) != nil)
}

func (s *sessions) cookie(r *http.Request, value string, seconds int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure is set where the page comes by https: over http a browser would drop the cookie
		Name: sessionCookie, Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: s.secure || r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
}

// sessionJSON tells a page, which cannot read its cookie, what it has.
type sessionJSON struct {
	KeyNeeded bool       `json:"key_needed"`
	ExpiresAt *time.Time `json:"expires_at"`
}

func (g *Gateway) mountSession(e *echo.Echo) {
	get(e, sessionPath, g.session)
	e.POST(sessionPath, g.logIn)
	e.DELETE(sessionPath, g.logOut)
}

// session tells whether a key is needed, and until when there is a session.
func (g *Gateway) session(c echo.Context) error {
	answer := sessionJSON{KeyNeeded: g.cfg.APIKey != ""}
	if end, ok := g.sessions.end(c.Request()); ok && answer.KeyNeeded {
		end = end.UTC()
		answer.ExpiresAt = &end
	}
	return writeJSON(c, answer)
}

// logIn trades the key of the request for a session.
func (g *Gateway) logIn(c echo.Context) error {
	ends := strconv.FormatInt(time.Now().Add(sessionLife).Unix(), 10)
	c.SetCookie(g.sessions.cookie(c.Request(), g.sessions.mac(ends), int(sessionLife.Seconds())))
	return c.NoContent(http.StatusNoContent)
}

// logOut takes the cookie from the browser. A copy of it, were there one, would be
// good until it expires.
func (g *Gateway) logOut(c echo.Context) error {
	c.SetCookie(g.sessions.cookie(c.Request(), "", -1))
	return c.NoContent(http.StatusNoContent)
}
