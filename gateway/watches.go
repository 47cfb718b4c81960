package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"sluice/internal/drop"
	"sluice/internal/job"
	"sluice/internal/pipeline"
)

// maxWatchBytes bounds the JSON of a watch, its settings included.
const maxWatchBytes = 256 << 10

// mountDrops adds the door of S3.
func (g *Gateway) mountDrops(e *echo.Echo) {
	e.POST(hookPath, g.hook)
	get(e, "/api/watches", g.withDrops(g.listWatches))
	e.POST("/api/watches", g.withDrops(g.addWatch))
	get(e, "/api/watches/:id", g.withDrops(g.getWatch))
	e.DELETE("/api/watches/:id", g.withDrops(g.removeWatch))
}

func (g *Gateway) withDrops(h echo.HandlerFunc) echo.HandlerFunc {
	if g.cfg.Drops != nil {
		return h
	}
	return func(echo.Context) error {
		return newProblem(http.StatusNotFound, "This server watches no buckets.").typed("drops_off")
	}
}

// watchSettings are what a watch is asked for with and shown by.
type watchSettings struct {
	Bucket       string          `json:"bucket"`
	Prefix       string          `json:"prefix"`
	Suffixes     []string        `json:"suffixes"`
	CreditConfig json.RawMessage `json:"credit_model_config"`
	Aggregate    json.RawMessage `json:"aggregate_config"`
	ParseConfig  json.RawMessage `json:"parse_config"`
	After        drop.After      `json:"after"`
	MoveTo       string          `json:"move_to"`
	InOrder      bool            `json:"in_order"`
}

// watchJSON is what a tenant is told of a watch.
type watchJSON struct {
	ID string `json:"id"`
	watchSettings
	Since     *time.Time `json:"since"` // null: everything that is there is taken
	CreatedAt *time.Time `json:"created_at"`
	ListedAt  *time.Time `json:"listed_at"` // null until a listing came to its end
	ListError *string    `json:"list_error"`
}

// watchRequest is what a watch is asked for with.
type watchRequest struct {
	watchSettings
	Backfill string `json:"backfill"` // "", "all" or a time
}

func (g *Gateway) listWatches(c echo.Context) error {
	ctx := c.Request().Context()
	watches, err := g.cfg.Drops.List(ctx, job.Tenant(ctx))
	if err != nil {
		return err
	}
	out := make([]watchJSON, len(watches))
	for i, w := range watches {
		out[i] = watchOf(w)
	}
	return writeJSON(c, map[string]any{"watches": out})
}

func (g *Gateway) getWatch(c echo.Context) error {
	ctx := c.Request().Context()
	w, err := g.cfg.Drops.Get(ctx, job.Tenant(ctx), c.Param("id"))
	if err != nil {
		return err
	}
	return writeJSON(c, watchOf(w))
}

func (g *Gateway) removeWatch(c echo.Context) error {
	ctx := c.Request().Context()
	if err := g.cfg.Drops.Remove(ctx, job.Tenant(ctx), c.Param("id")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// addWatch makes a watch within what the operator lets the tenant watch. Who may
// watch anything else uses the command.
func (g *Gateway) addWatch(c echo.Context) error {
	ctx := c.Request().Context()
	d, err := readWatch(c)
	if err != nil {
		return err
	}
	d.Tenant = job.Tenant(ctx)
	if !slices.ContainsFunc(g.cfg.WatchAreas, func(a drop.Area) bool { return a.Holds(d) }) {
		return newProblem(http.StatusForbidden, "You may not watch this place; the operator can let you (SLUICE_WATCH_AREAS), or add the watch (sluice watch add).").typed("watch_not_allowed")
	}
	w, err := g.cfg.Drops.Add(ctx, d)
	if wrong, ok := errors.AsType[*drop.DraftError](err); ok {
		return badField(wrong.Field, wrong.Detail)
	}
	if err != nil {
		return err
	}
	return writeStatusJSON(c, http.StatusCreated, watchOf(w))
}

func readWatch(c echo.Context) (d drop.Draft, err error) {
	var req watchRequest
	body := json.NewDecoder(http.MaxBytesReader(c.Response(), c.Request().Body, maxWatchBytes))
	body.DisallowUnknownFields()
	if err := body.Decode(&req); err != nil {
		return d, newProblem(http.StatusBadRequest, "The body must be a JSON object with bucket, prefix and what else is in the contract; "+jsonFault(err)+".")
	}
	d = drop.Draft{
		Bucket: req.Bucket, Prefix: req.Prefix, Suffixes: req.Suffixes, After: req.After, MoveTo: req.MoveTo, InOrder: req.InOrder,
		CreditConfig: configText(req.CreditConfig), AggregateConfig: configText(req.Aggregate), ParseConfig: configText(req.ParseConfig),
	}
	if d.Since, err = drop.ParseBackfill(req.Backfill); err != nil {
		return d, badField("backfill", err.Error())
	}
	_, err = pipeline.ParseSettings(d.CreditConfig, d.AggregateConfig, d.ParseConfig)
	if setting, ok := errors.AsType[*pipeline.SettingError](err); ok {
		return d, badSetting(setting)
	}
	return d, err
}

// jsonFault says what is wrong with a JSON text, without its content.
func jsonFault(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := strings.TrimPrefix(wrong.Field, "watchSettings.") // encoding/json names embedded structs, too
		return field + " is a " + wrong.Value + " where none can be"
	}
	return "it is not that"
}

// configText returns a setting as it was sent, "" for none.
func configText(raw json.RawMessage) string {
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}

// configJSON returns a setting as JSON, null for none.
func configJSON(text string) json.RawMessage {
	if text == "" {
		return json.RawMessage("null")
	}
	return json.RawMessage(text)
}

func watchOf(w drop.Watch) watchJSON {
	out := watchJSON{
		ID: w.ID, CreatedAt: timestamp(w.CreatedAt), ListedAt: timestamp(w.ListedAt),
		watchSettings: watchSettings{
			Bucket: w.Bucket, Prefix: w.Prefix, Suffixes: w.Suffixes,
			CreditConfig: configJSON(w.CreditConfig), Aggregate: configJSON(w.AggregateConfig), ParseConfig: configJSON(w.ParseConfig),
			After: w.After, MoveTo: w.MoveTo, InOrder: w.InOrder,
		},
	}
	if !w.Since.Equal(drop.All) {
		out.Since = timestamp(w.Since)
	}
	if w.ListError != "" {
		out.ListError = &w.ListError
	}
	return out
}
