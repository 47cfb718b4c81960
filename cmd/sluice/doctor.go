package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
	"sluice/internal/doctor"
	"sluice/internal/drop"
	"sluice/internal/job"
)

type doctorCmd struct {
	JSON bool `name:"json" help:"Print what was found as JSON, for programs."`
	hookSettings
	serverSettings
}

// Validate checks the settings before anything runs.
func (c doctorCmd) Validate() error { return c.check() }

// Run makes every check, prints what each came to, and fails where one did.
func (c doctorCmd) Run(ctx context.Context, k *kong.Kong) error {
	pool, err := pgxpool.New(ctx, c.DatabaseURL.Reveal())
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	defer pool.Close()
	bucket, err := c.bucket(ctx, nil)
	if err != nil {
		return err
	}
	watched, err := c.watched(pool, bucket)
	if err != nil {
		return err
	}
	found, err := doctor.Look(ctx, doctor.Config{Pool: pool, Bucket: bucket, Keep: c.keep(), Watched: watched, Heard: drop.ProbeChannel})
	if err != nil {
		return err
	}
	transports, err := c.findings()
	if err != nil {
		return err
	}
	found = append(transports, found...)
	failed := 0
	for _, f := range found {
		if f.Status == doctor.Fail {
			failed++
		}
	}
	show := showFindings
	if c.JSON {
		show = showFindingsJSON
	}
	if err := show(k.Stdout, found, failed == 0); err != nil {
		return err
	}
	switch failed {
	case 0:
		return nil
	case 1:
		return errors.New("one check failed")
	}
	return fmt.Errorf("%d checks failed", failed)
}

// watched returns what lists the places of watches, nil where no events are taken.
func (c doctorCmd) watched(pool *pgxpool.Pool, bucket *blob.Bucket) (func(context.Context) ([]doctor.Place, error), error) {
	if c.HookSecret == "" {
		return nil, nil
	}
	jobs, err := job.New(job.Config{Pool: pool})
	if err != nil {
		return nil, err
	}
	drops, err := drop.New(drop.Config{Pool: pool, Jobs: jobs, Bucket: bucket})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) ([]doctor.Place, error) {
		watches, err := drops.List(ctx, "") // of every tenant
		places := make([]doctor.Place, len(watches))
		for i, w := range watches {
			places[i] = doctor.Place{Bucket: w.Bucket, Prefix: w.Prefix, Probe: w.Probe()}
		}
		return places, err
	}, nil
}

// keep is how long an object is needed at least: from its upload's first part
// until its job is deleted. 0: for ever.
func (s serverSettings) keep() time.Duration {
	if s.JobRetention == 0 {
		return 0
	}
	return s.UploadExpiry + s.JobRetention
}

func showFindings(w io.Writer, found []doctor.Finding, _ bool) error {
	for _, f := range found {
		if _, err := fmt.Fprintf(w, "%-4s  %-22s %s\n", f.Status, f.Check, strings.ReplaceAll(f.Detail, "\n", " ")); err != nil {
			return err
		}
		if f.Fix == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "      → %s\n", f.Fix); err != nil {
			return err
		}
	}
	return nil
}

func showFindingsJSON(w io.Writer, found []doctor.Finding, ok bool) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"ok": ok, "checks": found})
}
