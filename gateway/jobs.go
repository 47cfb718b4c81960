package gateway

import (
	"github.com/labstack/echo/v4"

	"sluice/internal/job"
)

// jobPosition is a place in the list of jobs.
type jobPosition struct {
	ID string `json:"id"`
}

// list answers with the caller's jobs, newest first.
func (g *Gateway) list(c echo.Context) error {
	filter, err := jobFilter(c)
	if err != nil {
		return err
	}
	limit := filter.Limit
	filter.Limit++
	ctx := c.Request().Context()
	jobs, err := g.cfg.Jobs.List(ctx, job.Tenant(ctx), filter)
	if err != nil {
		return err
	}
	jobs, more := cut(jobs, limit)
	answer := struct {
		Jobs       []statusJSON `json:"jobs"`
		NextCursor *string      `json:"next_cursor"`
	}{Jobs: make([]statusJSON, len(jobs))}
	for i, j := range jobs {
		answer.Jobs[i] = g.statusOf(j)
	}
	if more {
		answer.NextCursor = encodeCursor(jobPosition{ID: jobs[limit-1].ID})
	}
	return writeJSON(c, answer)
}

func jobFilter(c echo.Context) (f job.Filter, err error) {
	f = job.Filter{State: job.State(c.QueryParam("state")), Channel: c.QueryParam("channel"), Query: c.QueryParam("q")}
	if f.State != "" && !f.State.Valid() {
		return f, badField("state", "must be OPEN, UPLOAD_COMPLETE, IN_PROGRESS, JOB_COMPLETE, FAILED or ABORTED")
	}
	if f.Limit, err = limit(c, maxJobs); err != nil {
		return f, err
	}
	after, err := decodeCursor[jobPosition](c)
	if after != nil {
		f.Before = after.ID
	}
	if after != nil && !job.ValidID(after.ID) {
		err = badCursor()
	}
	return f, err
}
