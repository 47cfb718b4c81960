package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"sluice/internal/job"
)

// mountControl adds what changes a job that is there.
func (g *Gateway) mountControl(e *echo.Echo) {
	e.POST("/api/jobs/:id/cancel", g.control("cancelled", g.cfg.Uploads.Cancel))
	e.POST("/api/jobs/:id/retry", g.control("retried", g.cfg.Jobs.Retry))
	e.DELETE("/api/jobs/:id", g.delete)
}

// control answers 202 with the job as it is after do, or 409 where its state
// does not allow it. done says what it would have been.
func (g *Gateway) control(done string, do func(ctx context.Context, tenant, id string) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		j, err := g.job(c)
		if err != nil {
			return err
		}
		ctx := c.Request().Context()
		err = do(ctx, j.Tenant, j.ID)
		now, getErr := g.job(c)
		if errors.Is(err, job.ErrNoSource) {
			return newProblem(http.StatusConflict, "The job was imported, and its file was not kept: there is nothing to read once more. Import the file again.").typed("no_source")
		}
		if errors.Is(err, job.ErrStep) && getErr == nil {
			return newProblem(http.StatusConflict, "The job is "+string(now.State)+" and cannot be "+done+". "+message(now)).typed("job_state")
		}
		if err = errors.Join(err, getErr); err != nil {
			return err
		}
		return writeStatusJSON(c, http.StatusAccepted, g.statusOf(now))
	}
}

// delete answers 204 once the job and all that belongs to it is gone.
func (g *Gateway) delete(c echo.Context) error {
	j, err := g.job(c)
	if err != nil {
		return err
	}
	if err := g.cfg.Uploads.Delete(c.Request().Context(), j.Tenant, j.ID); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
