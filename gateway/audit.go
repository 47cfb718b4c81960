package gateway

import (
	"crypto/rand"
	"time"

	"github.com/labstack/echo/v4"

	"sluice/internal/audit"
	"sluice/internal/job"
)

// maxEntries is how many entries of the audit log one page has at most.
const maxEntries = 1000

// identify gives the request an id, by which its entries in the audit log are found, and says from where it comes. Who
// asks is told when that is known. A client's own id is not taken: it could be another's.
func identify(c echo.Context) {
	by := audit.By{Actor: audit.Worker, RequestID: rand.Text(), Client: c.RealIP()}
	c.Response().Header().Set("X-Request-Id", by.RequestID)
	c.SetRequest(c.Request().WithContext(audit.With(c.Request().Context(), by)))
}

// reads records that results of the job are read, before the first byte of them is sent: what cannot be recorded is not
// read. Each page is a read of its own, for a cursor can be made up. HEAD reads nothing.
func (g *Gateway) reads(c echo.Context, j job.Job, what string) error {
	if headOnly(c) {
		return nil
	}
	return g.cfg.Audit.Note(c.Request().Context(), audit.Act{Tenant: j.Tenant, Action: audit.ResultRead, Subject: j.ID, Detail: what})
}

// auditPosition is a place in the audit log.
type auditPosition struct {
	ID int64 `json:"id"`
}

// entryJSON is one entry of the audit log.
type entryJSON struct {
	At        time.Time    `json:"at"`
	Actor     string       `json:"actor"`
	Action    audit.Action `json:"action"`
	Subject   *string      `json:"subject"`
	Detail    *string      `json:"detail"`
	RequestID *string      `json:"request_id"`
	Client    *string      `json:"client"`
}

// auditLog answers with what was done in the caller's tenant, newest first.
func (g *Gateway) auditLog(c echo.Context) error {
	ctx := c.Request().Context()
	filter, err := auditFilter(c)
	if err != nil {
		return err
	}
	filter.Tenant = job.Tenant(ctx)
	most, err := limit(c, maxEntries)
	if err != nil {
		return err
	}
	entries, err := g.cfg.Audit.List(ctx, filter, most+1)
	if err != nil {
		return err
	}
	entries, more := cut(entries, most)
	answer := struct {
		Entries    []entryJSON `json:"entries"`
		NextCursor *string     `json:"next_cursor"`
	}{Entries: make([]entryJSON, len(entries))}
	for i, e := range entries {
		answer.Entries[i] = entryJSON{
			At: e.At, Actor: e.Actor, Action: e.Action, Subject: given(e.Subject), Detail: given(e.Detail),
			RequestID: given(e.RequestID), Client: given(e.Client),
		}
	}
	if more {
		answer.NextCursor = encodeCursor(auditPosition{ID: entries[most-1].ID})
	}
	return writeJSON(c, answer)
}

func auditFilter(c echo.Context) (f audit.Filter, err error) {
	f = audit.Filter{Action: audit.Action(c.QueryParam("action")), Subject: c.QueryParam("subject")}
	if f.Action != "" && !f.Action.Valid() {
		return f, badField("action", "is none of the audit log's, such as job.create; docs/audit.md lists them")
	}
	if since := c.QueryParam("since"); since != "" {
		if f.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return f, badField("since", "must be a time such as 2026-01-31T08:00:00Z")
		}
	}
	after, err := decodeCursor[auditPosition](c)
	if after != nil {
		f.Before = after.ID
	}
	if after != nil && after.ID < 1 {
		err = badCursor()
	}
	return f, err
}
