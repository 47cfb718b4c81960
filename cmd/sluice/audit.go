package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"sluice/internal/audit"
)

// auditAtOnce is how many entries are read at a time.
const auditAtOnce = 1000

// asOperator returns a context in which what a command does is its user's. Servers
// say otherwise.
func asOperator(ctx context.Context) context.Context {
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	return audit.With(ctx, audit.By{Actor: audit.OperatorActor + name, RequestID: rand.Text()})
}

// auditCmd is an operator's: it reaches the database, and so every tenant.
type auditCmd struct {
	Tenant  string    `help:"Only what was done in this tenant."`
	Since   sinceTime `placeholder:"TIME" help:"Only what was done since: so long ago, such as 24h, a date, or a time such as 2026-01-31T08:00:00Z."`
	Action  string    `help:"Only this, such as job.delete; docs/audit.md lists what there is."`
	Subject string    `placeholder:"ID" help:"Only what was done to this job, key, or whatever has the id."`
	JSON    bool      `name:"json" help:"One JSON object per entry, a line each."`
	ledgerSettings
}

// Validate checks the settings before anything runs.
func (c auditCmd) Validate() error {
	if c.Action != "" && !audit.Action(c.Action).Valid() {
		return fmt.Errorf("--action: %q is none; there are %v", c.Action, audit.Actions())
	}
	return c.databaseSettings.check()
}

// Run prints one line for each entry.
func (c auditCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withPool(ctx, func(st *stack) error {
		log, err := audit.New(audit.Config{Pool: st.pool})
		if err != nil {
			return err
		}
		filter := audit.Filter{Tenant: c.Tenant, Action: audit.Action(c.Action), Subject: c.Subject, Since: time.Time(c.Since)}
		for {
			entries, err := log.List(ctx, filter, auditAtOnce)
			if err != nil {
				return err
			}
			if err := c.print(k, entries); err != nil || len(entries) < auditAtOnce {
				return err
			}
			filter.Before = entries[len(entries)-1].ID
		}
	})
}

// entryLine is an entry as a line.
type entryLine struct {
	ID        int64        `json:"id"`
	At        time.Time    `json:"at"`
	Tenant    string       `json:"tenant"`
	Actor     string       `json:"actor"`
	Action    audit.Action `json:"action"`
	Subject   string       `json:"subject"`
	Detail    string       `json:"detail"`
	RequestID string       `json:"request_id"`
	Client    string       `json:"client"`
}

func (c auditCmd) print(k *kong.Kong, entries []audit.Entry) error {
	w := tabwriter.NewWriter(k.Stdout, 0, 0, 2, ' ', 0)
	for _, e := range entries {
		if c.JSON {
			line := entryLine{e.ID, e.At, e.Tenant, e.Actor, e.Action, e.Subject, e.Detail, e.RequestID, e.Client}
			if err := printLine(k, line); err != nil {
				return err
			}
			continue
		}
		// What is written to w is kept there until Flush, which says what went wrong.
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.At.Format(time.RFC3339), orDash(e.Tenant), e.Actor, e.Action, orDash(e.Subject), orDash(e.Detail), orDash(e.Client))
	}
	return w.Flush()
}

// orDash keeps the columns of who reads them apart.
func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// sinceTime is a time, also said by how long ago it was.
type sinceTime time.Time

// UnmarshalText reads a duration, a date, which begins at midnight UTC, or a time of RFC 3339.
func (t *sinceTime) UnmarshalText(text []byte) error {
	if ago, err := time.ParseDuration(string(text)); err == nil && ago >= 0 {
		*t = sinceTime(time.Now().Add(-ago))
		return nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, string(text)); err == nil {
			*t = sinceTime(at)
			return nil
		}
	}
	return fmt.Errorf("%q is neither how long ago, such as 24h, nor a date, nor a time such as 2026-01-31T08:00:00Z", text)
}
