package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/job"
)

// ledgerSettings are of the operator's commands that need the database alone.
type ledgerSettings struct {
	databaseSettings
	logSettings
}

// with calls fn with the jobs of the database.
func (s ledgerSettings) with(ctx context.Context, fn func(*job.Store) error) error {
	return s.withPool(ctx, func(st *stack) error {
		jobs, err := job.New(job.Config{Pool: st.pool, Logger: s.logger(os.Stderr)})
		if err != nil {
			return err
		}
		return fn(jobs)
	})
}

// withPool calls fn with a stack that has the database, migrated, and nothing else.
func (s ledgerSettings) withPool(ctx context.Context, fn func(*stack) error) error {
	pool, err := pgxpool.New(ctx, s.DatabaseURL.Reveal())
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer pool.Close()
	st := &stack{pool: pool}
	if err := st.migrated(ctx); err != nil {
		return fmt.Errorf("check database: %w (sluice migrate up)", err)
	}
	return fn(st)
}

// tenantsCmd says what a tenant may have of what all share.
type tenantsCmd struct {
	List  tenantsListCmd  `cmd:"" help:"List tenants that have limits or unfinished jobs, one JSON object a line."`
	Erase tenantsEraseCmd `cmd:"" help:"Delete all that a tenant has, for good, and print the receipt."`
	Set   tenantsSetCmd   `cmd:"" help:"Set a tenant's priority, how many of its jobs run at once, how long they are kept, and what it may send and store."`
}

type tenantsListCmd struct{ ledgerSettings }

// Validate checks the settings before anything runs.
func (c tenantsListCmd) Validate() error { return c.databaseSettings.check() }

// Run prints one line for each tenant, by name.
func (c tenantsListCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.with(ctx, func(jobs *job.Store) error {
		loads, err := jobs.Loads(ctx)
		if err != nil {
			return err
		}
		for _, l := range loads {
			line := loadJSON{limitsJSON: limitsOf(l.Limits), Running: l.Running, Queued: l.Queued, Held: l.Held, DayBytes: l.DayBytes, StoredBytes: l.StoredBytes}
			if err := printLine(k, line); err != nil {
				return err
			}
		}
		return nil
	})
}

type tenantsSetCmd struct {
	Tenant         string     `arg:"" help:"Whose limits they are; * for all tenants that have none of their own, of what they may store and send."`
	Priority       string     `enum:",high,normal,low" default:"" help:"Whose jobs go first: high, normal or low. Strict: others wait for higher ones."`
	MaxRunning     *orNone    `placeholder:"N|none" help:"Jobs that run at once, in all workers together; the others wait, in order. 0: none runs."`
	Retention      *keepTime  `placeholder:"TIME|forever|default" help:"How long ended jobs are kept, with files and results, such as 720h; default: --job-retention of the workers."`
	MaxUploadBytes *orDefault `placeholder:"SIZE|default" help:"Largest upload, such as 500MiB; default: as * has it, and for * no limit."`
	MaxOpenUploads *orDefault `placeholder:"N|default" help:"Uploads whose bytes are still arriving."`
	MaxJobs        *orDefault `placeholder:"N|default" help:"Jobs that have not ended: open, queued and running."`
	MaxDayBytes    *orDefault `placeholder:"SIZE|default" help:"Bytes received in a day, UTC."`
	MaxStoredBytes *orDefault `placeholder:"SIZE|default" help:"Bytes of files that are kept. Results are not counted."`
	ledgerSettings
}

// Validate checks the settings before anything runs.
func (c tenantsSetCmd) Validate() error {
	err := c.databaseSettings.check()
	if c.Tenant != job.Everybody {
		err = errors.Join(err, checkTenant("tenant", c.Tenant))
	}
	if c.Tenant == job.Everybody && (c.Priority != "" || c.MaxRunning != nil || c.Retention != nil) {
		err = errors.Join(err, errors.New("tenant: * has no --priority, --max-running or --retention"))
	}
	return err
}

// Run changes what was given, and prints what holds then.
func (c tenantsSetCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.with(ctx, func(jobs *job.Store) error {
		l, err := jobs.SetLimits(ctx, c.Tenant, c.edit)
		if err != nil {
			return err
		}
		return printLine(k, limitsOf(l))
	})
}

func (c tenantsSetCmd) edit(l *job.Limits) {
	for priority, word := range priorities {
		if word == c.Priority {
			l.Priority = priority
		}
	}
	if c.MaxRunning != nil {
		l.MaxRunning = c.MaxRunning.n
	}
	if c.Retention != nil {
		l.Retention = c.Retention.age
	}
	for to, given := range map[**int64]*orDefault{
		&l.MaxUploadBytes: c.MaxUploadBytes, &l.MaxOpenUploads: c.MaxOpenUploads, &l.MaxJobs: c.MaxJobs,
		&l.MaxDayBytes: c.MaxDayBytes, &l.MaxStoredBytes: c.MaxStoredBytes,
	} {
		if given != nil {
			*to = given.n
		}
	}
}

// priorities are the words for them.
var priorities = map[job.Priority]string{job.High: "high", job.Normal: "normal", job.Low: "low"}

// orNone is a number, or none.
type orNone struct{ n *int32 }

// UnmarshalText reads a number from 0, or "none".
func (o *orNone) UnmarshalText(text []byte) error {
	o.n = nil
	if string(text) == "none" {
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is neither a number from 0 nor none", text)
	}
	o.n = new(int32(n))
	return nil
}

// orDefault is a number, which may be written as a size, or nil for the default.
type orDefault struct{ n *int64 }

// maxQuota keeps sums of what is counted far from overflowing.
const maxQuota = 1 << 53

// UnmarshalText reads a number or a size from 0, or "default".
func (o *orDefault) UnmarshalText(text []byte) error {
	o.n = nil
	if string(text) == "default" {
		return nil
	}
	var n byteCount
	if err := n.UnmarshalText(text); err != nil || n > maxQuota {
		return fmt.Errorf("%q is neither a number from 0 to 8PiB, such as 20 or 5GiB, nor default", text)
	}
	o.n = new(int64(n))
	return nil
}

// keepTime is how long something is kept: 0 for ever, nil as long as anybody's.
type keepTime struct{ age *time.Duration }

// UnmarshalText reads a time of whole seconds from one minute, "forever" or "default".
func (t *keepTime) UnmarshalText(text []byte) error {
	t.age = nil
	switch string(text) {
	case "default":
		return nil
	case "forever":
		t.age = new(time.Duration)
		return nil
	}
	age, err := time.ParseDuration(string(text))
	if err != nil || age < time.Minute || age%time.Second != 0 {
		return fmt.Errorf("%q is no time of whole seconds from 1m, such as 720h, nor forever nor default", text)
	}
	t.age = &age
	return nil
}

// limitsJSON is a tenant's limits as a line.
type limitsJSON struct {
	Tenant     string `json:"tenant"`
	Priority   string `json:"priority"`
	MaxRunning *int32 `json:"max_running"` // null: no cap
	Retention  string `json:"retention"`

	// null: as "*" has it.
	MaxUploadBytes *int64 `json:"max_upload_bytes"`
	MaxOpenUploads *int64 `json:"max_open_uploads"`
	MaxJobs        *int64 `json:"max_jobs"`
	MaxDayBytes    *int64 `json:"max_day_bytes"`
	MaxStoredBytes *int64 `json:"max_stored_bytes"`
}

// loadJSON is the same with what the tenant has in the queue.
type loadJSON struct {
	limitsJSON
	Running int64 `json:"running"`
	Queued  int64 `json:"queued"`
	Held    int64 `json:"held"` // by its cap
	// Counted while the tenant has a limit of what it may send or store.
	DayBytes    int64 `json:"day_bytes"`
	StoredBytes int64 `json:"stored_bytes"`
}

func limitsOf(l job.Limits) limitsJSON {
	line := limitsJSON{
		Tenant: l.Tenant, Priority: priorities[l.Priority], MaxRunning: l.MaxRunning, Retention: "default",
		MaxUploadBytes: l.MaxUploadBytes, MaxOpenUploads: l.MaxOpenUploads, MaxJobs: l.MaxJobs, MaxDayBytes: l.MaxDayBytes, MaxStoredBytes: l.MaxStoredBytes,
	}
	if l.Retention != nil {
		if line.Retention = "forever"; *l.Retention > 0 {
			line.Retention = l.Retention.String()
		}
	}
	return line
}

// printLine writes a value as a line of JSON.
func printLine(k *kong.Kong, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode line: %w", err)
	}
	_, err = fmt.Fprintf(k.Stdout, "%s\n", text)
	return err
}
