package gateway

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
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

// ready asks everything that a request needs. A gateway that leaves is not ready.
func (g *Gateway) ready(c echo.Context) error {
	if g.leaving.Load() {
		return newProblem(http.StatusServiceUnavailable, "This gateway is about to stop.").typed("not_ready")
	}
	checks := g.cfg.Needs.Ask(c.Request().Context(), g.log)
	p := newProblem(http.StatusServiceUnavailable, "Not everything needed is there.").typed("not_ready")
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		if checks[name] != Met {
			p.Errors = append(p.Errors, fieldError{Field: name, Detail: checks[name]})
		}
	}
	if p.Errors != nil {
		return p
	}
	return writeJSON(c, map[string]any{"status": "ready", "checks": checks})
}

// Met is what Needs.Ask says of a need that is.
const Met = "ok"

// Needs are what a process cannot serve without, by name: each returns why it cannot be had.
type Needs map[string]func(context.Context) error

// Ask asks for all at the same time, for at most readyTimeout, and tells by name whether they are Met or "not ready".
// Why one is not is in the log: anyone may ask a process whether it is ready.
func (n Needs) Ask(ctx context.Context, log *slog.Logger) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	checks := map[string]string{}
	for name, check := range n {
		wg.Go(func() {
			state := Met
			if err := check(ctx); err != nil {
				log.WarnContext(ctx, "dependency not ready", "dependency", name, "err", err)
				state = "not ready"
			}
			mu.Lock()
			defer mu.Unlock()
			checks[name] = state
		})
	}
	wg.Wait()
	return checks
}
