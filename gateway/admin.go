package gateway

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

const (
	adminPath = "/admin"
	// QueuePath is where Config.Queue is served, with all that lies below.
	QueuePath = adminPath + "/queue"
	// queuePolicy admits what River UI consists of: its own files, and the styles
	// that its scripts make. No script but these runs: not one in a row's args or
	// errors, and no text as a script, which a library of it tries and does without.
	queuePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-elem 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; " +
		"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	// queueReadOnly is all that a change to River's rows is answered with. A row is
	// one attempt's announcement: a job whose row were deleted or cancelled here
	// would wait for ever, behind the back of its own ledger.
	queueReadOnly = "The queue is shown here and not changed. Cancel, retry or delete the job itself, on the page or by " +
		"POST /api/jobs/{id}/cancel/, POST /api/jobs/{id}/retry/ or DELETE /api/jobs/{id}/: its job_id is in the args."
)

// mountAdmin serves the queue to operators, to be looked at only.
func (g *Gateway) mountAdmin(e *echo.Echo) {
	if g.cfg.Queue == nil {
		return
	}
	for _, path := range []string{QueuePath, QueuePath + "/*"} {
		get(e, path, g.queue)
		e.Match([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, path, refuseQueue)
	}
}

func (g *Gateway) queue(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", queuePolicy)
	if !strings.HasPrefix(c.Request().URL.Path, QueuePath+"/assets/") {
		h.Set("Cache-Control", "no-store") // rows of the queue are nobody's to keep
	}
	g.cfg.Queue.ServeHTTP(c.Response(), c.Request())
	return nil
}

func refuseQueue(c echo.Context) error {
	c.Response().Header().Set("Allow", "GET, HEAD")
	return newProblem(http.StatusMethodNotAllowed, queueReadOnly)
}

// forAdmins tells whether a route shows what belongs to more than one tenant.
func forAdmins(route string) bool { return strings.HasPrefix(route, adminPath+"/") }

// admitAdmin lets in who has the admin key, as a Bearer token or by HTTP Basic,
// for which a browser asks by itself: as the password, or as the user name where
// there is none. No key, session or token of a tenant opens an admin's route; only
// where there is no key of any kind is none asked for.
func (g *Gateway) admitAdmin(c echo.Context, locked bool) error {
	r := c.Request()
	key := requestKey(r)
	if _, password, ok := r.BasicAuth(); ok {
		key = cmp.Or(password, key)
	}
	switch {
	case g.cfg.AdminKey == "" && !locked:
		return nil
	case g.cfg.AdminKey != "" && sameKey(key, g.cfg.AdminKey):
		return nil
	}
	c.Response().Header().Set("WWW-Authenticate", `Basic realm="sluice admin", charset="UTF-8"`)
	return newProblem(http.StatusUnauthorized, "The admin key is needed: as the password of HTTP Basic, with any user name, or as Authorization: Bearer KEY.")
}
