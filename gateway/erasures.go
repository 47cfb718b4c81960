package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"sluice/internal/erasure"
	"sluice/internal/job"
)

const (
	erasuresPath = "/api/erasures"
	// maxErasureBody bounds the request's JSON.
	maxErasureBody = 4 << 10
)

// erasureJSON is an erasure. The receipt is sent to the byte as it was hashed.
type erasureJSON struct {
	ID         string          `json:"id"`
	Tenant     string          `json:"tenant"`
	BegunAt    time.Time       `json:"begun_at"`
	FinishedAt *time.Time      `json:"finished_at"`
	Receipt    json.RawMessage `json:"receipt"`
	SHA256     *string         `json:"sha256"`
}

func (g *Gateway) mountErasures(e *echo.Echo) {
	e.POST(erasuresPath, g.erase)
	get(e, erasuresPath+"/:id", g.erasure)
}

// erase begins the erasure of the caller's tenant, which the body names: nobody does this by a slip. Asked again it
// answers with the same.
func (g *Gateway) erase(c echo.Context) error {
	ctx := c.Request().Context()
	var asked struct{ Tenant string }
	d := json.NewDecoder(http.MaxBytesReader(c.Response(), c.Request().Body, maxErasureBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&asked); err != nil {
		return newProblem(http.StatusBadRequest, `The body must be JSON such as {"tenant": "acme"}.`)
	}
	if asked.Tenant != job.Tenant(ctx) {
		return badField("tenant", "must be the name of the key's own tenant, all of which is erased")
	}
	begun, err := g.cfg.Erasures.Begin(ctx, asked.Tenant)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", g.cfg.PublicURL+erasuresPath+"/"+begun.ID+"/")
	return writeErasure(c, begun)
}

// erasure shows the caller's tenant's. Who has a key of it sees that it is under way, until the key is gone too.
func (g *Gateway) erasure(c echo.Context) error {
	ctx := c.Request().Context()
	e, err := g.cfg.Erasures.Get(ctx, job.Tenant(ctx))
	if err == nil && e.ID != c.Param("id") {
		err = erasure.ErrNotFound
	}
	if err != nil {
		return err
	}
	return writeErasure(c, e)
}

func writeErasure(c echo.Context, e erasure.Erasure) error {
	answer := erasureJSON{ID: e.ID, Tenant: e.Tenant, BegunAt: e.BegunAt}
	if e.FinishedAt.IsZero() {
		return writeStatusJSON(c, http.StatusAccepted, answer)
	}
	answer.FinishedAt, answer.Receipt, answer.SHA256 = &e.FinishedAt, json.RawMessage(e.Receipt), given(e.SHA256())
	return writeJSON(c, answer)
}

// tenantErased is what each request gets that would begin something, or seeks what is gone.
func tenantErased() *problem {
	return newProblem(http.StatusGone, "All that the tenant has is erased: nothing new of it is taken.").typed("tenant_erased")
}

// erased tells whether what was not found, or has ended, is so because the tenant is erased. Only who is refused is
// looked up.
func (g *Gateway) erased(ctx context.Context, err error, status int) bool {
	if status != http.StatusNotFound && status != http.StatusGone || errors.Is(err, erasure.ErrNotFound) {
		return false
	}
	_, err = g.cfg.Erasures.Get(ctx, job.Tenant(ctx))
	return err == nil
}
