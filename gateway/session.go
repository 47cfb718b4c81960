package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sluice/internal/access"
	"sluice/internal/audit"
	"sluice/internal/job"
	"sluice/internal/secret"
	"sluice/internal/session"
)

const (
	sessionPath   = "/session"
	sessionCookie = "sluice_session"
	// sessionLife is a working day: a browser left open asks for the key again.
	sessionLife = 12 * time.Hour
)

// sessions makes and reads the cookies that stand for the key, so that the page
// need not keep it. A session is no state of ours until it is ended before its
// time: it is a random id, the second at which it ends, and a MAC of both, by the
// key. Any gateway of the same key takes it, and another key ends them all.
type sessions struct {
	key     [sha256.Size]byte
	secure  bool // the page comes by https
	origins *http.CrossOriginProtection
}

func newSessions(apiKey secret.Text, publicURL string) *sessions {
	s := &sessions{key: sha256.Sum256([]byte("session\x00" + apiKey.Reveal())), secure: strings.HasPrefix(publicURL, "https://"), origins: http.NewCrossOriginProtection()}
	if publicURL != "" {
		scheme, rest, _ := strings.Cut(publicURL, "://")
		host, _, _ := strings.Cut(rest, "/")
		_ = s.origins.AddTrustedOrigin(scheme + "://" + host) // Config.check has parsed it
	}
	return s
}

// value returns the session's cookie.
func (s *sessions) value(of session.Session) string {
	text := of.ID + "." + strconv.FormatInt(of.ExpiresAt.Unix(), 10)
	m := hmac.New(sha256.New, s.key[:])
	m.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// carried returns the session whose cookie the request carries, and false where
// there is none or its time is over. It does not ask whether it was ended before.
func (s *sessions) carried(r *http.Request) (session.Session, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return session.Session{}, false
	}
	id, rest, _ := strings.Cut(cookie.Value, ".")
	ends, _, _ := strings.Cut(rest, ".")
	seconds, err := strconv.ParseInt(ends, 10, 64)
	found := session.Session{ID: id, ExpiresAt: time.Unix(seconds, 0)}
	if err != nil || !hmac.Equal([]byte(cookie.Value), []byte(s.value(found))) || !time.Now().Before(found.ExpiresAt) {
		return session.Session{}, false
	}
	return found, true
}

// inSession returns who began the request's session and when it ends, and false where
// it has none that goes on. Those of the APIKey are made here; where there is none,
// anybody could make them.
func (g *Gateway) inSession(r *http.Request) (by caller, endsAt time.Time, ok bool, err error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return caller{}, time.Time{}, false, nil //nolint:nilerr // there is no such cookie: no error of anybody's
	}
	if strings.HasPrefix(cookie.Value, access.SessionPrefix) {
		p, endsAt, ok, err := g.cfg.Access.Session(r.Context(), cookie.Value)
		return caller{Principal: p, session: access.SessionID(cookie.Value)}, endsAt, ok, err
	}
	found, ok := g.sessions.carried(r)
	if !ok || g.cfg.APIKey == "" {
		return caller{}, time.Time{}, false, nil
	}
	ended, err := g.cfg.Sessions.Ended(r.Context(), job.DefaultTenant, found)
	by = wholeTenant()
	by.session = found.ID
	return by, found.ExpiresAt, !ended && err == nil, err
}

// forged tells whether a request that changes something was not sent by the
// page. A browser sends a cookie by itself, so here it must also say from where:
// SameSite=Strict keeps other sites out, but not a neighbour of the same one.
func (s *sessions) forged(r *http.Request) bool {
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	said := r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
	return !safe && (!said || s.origins.Check(r) != nil)
}

// byTLS tells whether the page comes by https, from here or from a proxy before us.
func (s *sessions) byTLS(r *http.Request) bool { return s.secure || r.TLS != nil }

func (s *sessions) cookie(r *http.Request, value string, seconds int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure is set where the page comes by https: over http a browser would drop the cookie
		Name: sessionCookie, Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: s.byTLS(r), SameSite: http.SameSiteStrictMode,
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
	r := c.Request()
	locked, err := g.locked(r.Context())
	if err != nil {
		return err
	}
	answer := sessionJSON{KeyNeeded: locked}
	if locked {
		_, endsAt, ok, err := g.inSession(r)
		if err != nil {
			return err
		}
		if ok {
			answer.ExpiresAt = new(endsAt.UTC())
		}
	}
	return writeJSON(c, answer)
}

// logIn trades what the request was let in with for a session.
func (g *Gateway) logIn(c echo.Context) error {
	r := c.Request()
	value, life, err := g.beginSession(r.Context())
	if err != nil {
		return err
	}
	c.SetCookie(g.sessions.cookie(r, value, int(life.Seconds())))
	return c.NoContent(http.StatusNoContent)
}

// beginSession returns the cookie's value, and how long it is good for.
func (g *Gateway) beginSession(ctx context.Context) (value string, life time.Duration, err error) {
	by := callerOf(ctx)
	if by.operator {
		begun := session.Session{ID: rand.Text(), ExpiresAt: time.Now().Add(sessionLife)}
		err := g.cfg.Audit.Note(ctx, audit.Act{Tenant: by.Tenant, Action: audit.SessionCreate, Subject: begun.ID})
		return g.sessions.value(begun), sessionLife, err
	}
	value, endsAt, err := g.cfg.Access.Begin(ctx, by.Principal, sessionLife, by.endsAt)
	return value, min(sessionLife, time.Until(endsAt)), err
}

// logOut ends the session at every gateway, and then takes the cookie from the
// browser: one that could not be ended stays there, to be ended by the next try.
func (g *Gateway) logOut(c echo.Context) error {
	r := c.Request()
	by, _, ok, err := g.inSession(r)
	if err != nil {
		return err
	}
	if ok {
		r = r.WithContext(by.onBehalf(r.Context()))
		if g.sessions.forged(r) {
			return foreign()
		}
		if err := g.endSession(r); err != nil {
			return err
		}
	}
	c.SetCookie(g.sessions.cookie(r, "", -1))
	return c.NoContent(http.StatusNoContent)
}

// endSession ends the session whose cookie the request carries.
func (g *Gateway) endSession(r *http.Request) error {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return err
	}
	if found, ok := g.sessions.carried(r); ok {
		return g.cfg.Sessions.End(r.Context(), job.DefaultTenant, found)
	}
	return g.cfg.Access.End(r.Context(), cookie.Value)
}
