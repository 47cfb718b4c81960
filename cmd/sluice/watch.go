package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"sluice/internal/drop"
	"sluice/internal/pipeline"
	"sluice/internal/secret"
)

// dropSettings are of the door of S3, for gateway and worker alike.
type dropSettings struct {
	WatchInterval time.Duration `group:"S3 drop" default:"1m" env:"SLUICE_WATCH_INTERVAL" help:"How long a dropped object may lie unseen of which no event came."`
}

func (s dropSettings) check() error {
	if s.WatchInterval < time.Second {
		return errors.New("--watch-interval (SLUICE_WATCH_INTERVAL): at least 1s")
	}
	return nil
}

// hookSettings are the gateway's part of it.
type hookSettings struct {
	HookSecret secret.Text `group:"S3 drop" env:"SLUICE_HOOK_SECRET" placeholder:"SECRET" help:"Asked of who sends bucket events to /hooks/s3. Empty: none are taken. Better given as the variable."`
	WatchAreas []watchArea `group:"S3 drop" env:"SLUICE_WATCH_AREAS" placeholder:"TENANT=BUCKET/PREFIX" help:"Where tenants may add watches over HTTP, with commas between. Empty: nowhere."`
}

// watchArea is a place that a tenant may watch.
type watchArea drop.Area

// UnmarshalText reads TENANT=BUCKET/PREFIX.
func (a *watchArea) UnmarshalText(text []byte) error {
	area, err := drop.ParseArea(string(text))
	*a = watchArea(area)
	return err
}

func (s hookSettings) areas() []drop.Area {
	areas := make([]drop.Area, len(s.WatchAreas))
	for i, a := range s.WatchAreas {
		areas[i] = drop.Area(a)
	}
	return areas
}

// watchCmd is an operator's: it reaches the database, and so every tenant.
type watchCmd struct {
	Add    watchAddCmd    `cmd:"" help:"Have objects under a prefix of a bucket become jobs by themselves."`
	List   watchListCmd   `cmd:"" help:"List the watches, one JSON object a line."`
	Remove watchRemoveCmd `cmd:"" help:"Watch no longer. What was found goes on to its end, and stays where it is."`
}

type watchAddCmd struct {
	Place             string   `arg:"" name:"bucket/prefix" help:"The bucket and, behind a slash, what the keys begin with."`
	Tenant            string   `default:"default" help:"Whose jobs they are."`
	Suffix            []string `placeholder:"SUFFIX" help:"What the keys end in, such as .csv. Repeatable; without it, anything."`
	After             string   `default:"keep" enum:"keep,tag,move,delete" help:"What becomes of an object when its job has ended: keep, tag, move or delete."`
	MoveTo            string   `placeholder:"PREFIX" help:"Where --after move moves it, in the same bucket."`
	InOrder           bool     `help:"One file after the other, of those that were found the smallest name first."`
	Backfill          string   `placeholder:"all|DATE" help:"Take what is there already: all, or what was written from a date on."`
	CreditModelConfig string   `placeholder:"JSON|@FILE" help:"credit_model_config of objects that bring none."`
	AggregateConfig   string   `placeholder:"JSON|@FILE" help:"aggregate_config of objects that bring none."`
	ParseConfig       string   `placeholder:"JSON|@FILE" help:"parse_config of objects that bring none."`
	serverSettings
}

// Validate checks the settings before anything runs.
func (c watchAddCmd) Validate() error {
	return errors.Join(c.serverSettings.check(), checkTenant("--tenant", c.Tenant))
}

// Run adds the watch and prints it.
func (c watchAddCmd) Run(ctx context.Context, k *kong.Kong) error {
	d, err := c.draft()
	if err != nil {
		return exitError{err, exitUsage}
	}
	st, err := c.open(ctx, c.logger(os.Stderr))
	if err != nil {
		return err
	}
	defer st.close()
	w, err := st.drops.Add(ctx, d)
	if errors.Is(err, drop.ErrOverlap) {
		return fmt.Errorf("add watch: %w: sluice watch list shows them", err)
	}
	if err != nil {
		return fmt.Errorf("add watch: %w", err)
	}
	return printWatch(k, w)
}

func (c watchAddCmd) draft() (d drop.Draft, err error) {
	bucket, prefix, _ := strings.Cut(strings.TrimPrefix(c.Place, "s3://"), "/")
	d = drop.Draft{
		Tenant: c.Tenant, Bucket: bucket, Prefix: prefix, Suffixes: c.Suffix,
		After: drop.After(c.After), MoveTo: c.MoveTo, InOrder: c.InOrder,
	}
	if d.Since, err = drop.ParseBackfill(c.Backfill); err != nil {
		return d, fmt.Errorf("--backfill: %w", err)
	}
	for _, config := range []struct {
		flag, value string
		into        *string
	}{
		{"--credit-model-config", c.CreditModelConfig, &d.CreditConfig},
		{"--aggregate-config", c.AggregateConfig, &d.AggregateConfig},
		{"--parse-config", c.ParseConfig, &d.ParseConfig},
	} {
		if *config.into, err = argument(config.flag, config.value); err != nil {
			return d, err
		}
	}
	_, err = pipeline.ParseSettings(d.CreditConfig, d.AggregateConfig, d.ParseConfig)
	return d, err
}

type watchListCmd struct {
	Tenant string `help:"Only this tenant's."`
	serverSettings
}

// Validate checks the settings before anything runs.
func (c watchListCmd) Validate() error { return c.serverSettings.check() }

// Run prints one line for each watch, oldest first.
func (c watchListCmd) Run(ctx context.Context, k *kong.Kong) error {
	st, err := c.open(ctx, c.logger(os.Stderr))
	if err != nil {
		return err
	}
	defer st.close()
	watches, err := st.drops.List(ctx, c.Tenant)
	if err != nil {
		return err
	}
	for _, w := range watches {
		if err := printWatch(k, w); err != nil {
			return err
		}
	}
	return nil
}

type watchRemoveCmd struct {
	ID string `arg:"" name:"id" help:"Of the watch."`
	serverSettings
}

// Validate checks the settings before anything runs.
func (c watchRemoveCmd) Validate() error { return c.serverSettings.check() }

// Run removes the watch.
func (c watchRemoveCmd) Run(ctx context.Context) error {
	st, err := c.open(ctx, c.logger(os.Stderr))
	if err != nil {
		return err
	}
	defer st.close()
	return st.drops.Remove(ctx, "", c.ID)
}

// printWatch writes a watch as a line of JSON.
func printWatch(k *kong.Kong, w drop.Watch) error {
	line := struct {
		ID        string     `json:"id"`
		Tenant    string     `json:"tenant"`
		Bucket    string     `json:"bucket"`
		Prefix    string     `json:"prefix"`
		Suffixes  []string   `json:"suffixes"`
		After     drop.After `json:"after"`
		MoveTo    string     `json:"move_to,omitempty"`
		InOrder   bool       `json:"in_order"`
		Since     time.Time  `json:"since,omitzero"`
		ListedAt  time.Time  `json:"listed_at,omitzero"`
		ListError string     `json:"list_error,omitempty"`
	}{w.ID, w.Tenant, w.Bucket, w.Prefix, w.Suffixes, w.After, w.MoveTo, w.InOrder, w.Since, w.ListedAt, w.ListError}
	if w.Since.Equal(drop.All) {
		line.Since = time.Time{}
	}
	return printLine(k, line)
}

func (s dropSettings) openDrops(st *stack) (err error) {
	st.drops, err = drop.New(drop.Config{Pool: st.pool, Jobs: st.jobs, Bucket: st.bucket, Interval: s.WatchInterval, Logger: st.log})
	return err
}
