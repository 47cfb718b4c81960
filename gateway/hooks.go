package gateway

import (
	"errors"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"sluice/internal/drop"
)

const (
	hookPath = "/hooks/s3"
	// maxHookBytes is far above what S3 sends at once: a thousand records.
	maxHookBytes = 4 << 20
)

// hook takes the notifications of buckets. They are hints: what they name is looked
// at, and nothing else in them is believed. An answer of 2xx means that what was
// there has its job; the sender repeats any other.
func (g *Gateway) hook(c echo.Context) error {
	r := c.Request()
	if g.cfg.HookSecret == "" || g.cfg.Drops == nil {
		return newProblem(http.StatusNotFound, "Bucket events are not taken here: the server has no hook secret.").typed("hook_off")
	}
	_, password, _ := r.BasicAuth()
	if given := requestKey(r); !sameKey(given, g.cfg.HookSecret) && !sameKey(password, g.cfg.HookSecret) {
		c.Response().Header().Set("WWW-Authenticate", `Bearer realm="sluice hooks"`)
		return newProblem(http.StatusUnauthorized, "The hook's own secret is needed: Authorization: Bearer SECRET.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, maxHookBytes))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return newProblem(http.StatusRequestEntityTooLarge, "A notification has at most 4 MiB.")
	}
	if err != nil {
		return newProblem(http.StatusBadRequest, "The notification did not come to its end.")
	}
	hints, err := drop.ParseHints(body)
	if err != nil {
		return newProblem(http.StatusBadRequest, "This is not a notification in the JSON of S3: Records, or EventBridge's detail.")
	}
	if err := g.cfg.Drops.Hint(r.Context(), hints); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
