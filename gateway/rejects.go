package gateway

import (
	"io"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"sluice/internal/blob"
	"sluice/internal/job"
)

// rejectHeader is the answer for a complete job that rejected no row.
const rejectHeader = "line,reason,detail\n"

// rejects answers with every rejected row, also of a job that failed on them.
func (g *Gateway) rejects(c echo.Context) error {
	j, err := g.job(c)
	if err != nil {
		return err
	}
	name, some := j.ID+"-rejects.csv", j.Result != nil && j.Result.Rejects.Key != ""
	if !some && j.State != job.JobComplete {
		return notComplete(j)
	}
	if err := g.reads(c, j, "rejects"); err != nil {
		return err
	}
	if some {
		return g.object(c, mediaCSV+"; charset=utf-8", name, j.Result.Rejects)
	}
	attach(c, name)
	return c.Blob(http.StatusOK, mediaCSV+"; charset=utf-8", []byte(rejectHeader))
}

// object answers with an object as it lies in the bucket, pinned to the
// version that the job wrote.
func (g *Gateway) object(c echo.Context, media, name string, o job.Object) error {
	if o.Key == "" {
		return noObject()
	}
	attach(c, name)
	h := c.Response().Header()
	h.Set("Content-Type", media)
	h.Set("Content-Length", strconv.FormatInt(o.SizeBytes, 10))
	if headOnly(c) {
		return c.NoContent(http.StatusOK)
	}
	body := g.cfg.Bucket.Open(c.Request().Context(), blob.Object(o))
	defer body.Close()
	_, err := io.Copy(c.Response(), body)
	return err
}

// noObject is the answer where a job, a dry run for one, wrote no such file.
func noObject() *problem {
	return newProblem(http.StatusNotFound, "This job has written no such file.")
}
