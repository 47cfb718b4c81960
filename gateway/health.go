package gateway

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// readyTimeout bounds the whole of /readyz; probes commonly wait longer.
const readyTimeout = 3 * time.Second

// health tells that the process answers.
func (g *Gateway) health(c echo.Context) error {
	return writeJSON(c, map[string]string{"status": "ok", "version": g.cfg.Version})
}

// ready asks everything a request needs, at the same time, and names what
// does not answer. Why it does not is in the log: anyone may ask this. One that
// leaves is not ready.
func (g *Gateway) ready(c echo.Context) error {
	if g.leaving.Load() {
		return newProblem(http.StatusServiceUnavailable, "This gateway is about to stop.").typed("not_ready")
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
	defer cancel()
	dependencies := []struct {
		name  string
		check func(context.Context) error
	}{{"postgres", g.cfg.Pinger.Ping}, {"s3", g.cfg.Bucket.Check}, {"migrations", g.cfg.Migrated}}

	errs := make([]error, len(dependencies))
	var wg sync.WaitGroup
	for i, d := range dependencies {
		wg.Go(func() { errs[i] = d.check(ctx) })
	}
	wg.Wait()

	p := newProblem(http.StatusServiceUnavailable, "Not everything needed is there.").typed("not_ready")
	checks := map[string]string{}
	for i, d := range dependencies {
		checks[d.name] = "ok"
		if errs[i] != nil {
			g.log.WarnContext(ctx, "dependency not ready", "dependency", d.name, "err", errs[i])
			p.Errors = append(p.Errors, fieldError{Field: d.name, Detail: "not ready"})
		}
	}
	if p.Errors != nil {
		return p
	}
	return writeJSON(c, map[string]any{"status": "ready", "checks": checks})
}
