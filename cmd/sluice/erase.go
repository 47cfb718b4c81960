package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"sluice/internal/access"
	"sluice/internal/erasure"
)

// erasePoll is how often the command looks whether the workers are done.
const erasePoll = time.Second

type tenantsEraseCmd struct {
	Tenant string `arg:"" help:"Whose jobs, files, results, keys, webhooks, watches and all else go. The name is not used again."`
	Yes    bool   `help:"Needed: nothing brings back what is gone."`
	NoWait bool   `help:"Begin it, and print no receipt; the same command prints it later."`
	ledgerSettings
}

// Validate checks the settings before anything runs.
func (c tenantsEraseCmd) Validate() error {
	errs := []error{c.databaseSettings.check()}
	if !access.ValidTenant(c.Tenant) {
		errs = append(errs, fmt.Errorf("tenant: %w", erasure.ErrTenant))
	}
	if !c.Yes {
		errs = append(errs, errors.New("--yes: needed, for nothing brings back what is gone"))
	}
	return errors.Join(errs...)
}

// Run has the workers erase the tenant, waits for them and prints the receipt. Broken off, it goes on without the
// command; the same command waits for it again, and prints the same receipt whenever it is run.
func (c tenantsEraseCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.withPool(ctx, func(st *stack) error {
		erasures, err := erasure.New(erasure.Config{Pool: st.pool})
		if err != nil {
			return err
		}
		e, err := erasures.Begin(ctx, c.Tenant)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(k.Stderr, "%s: begun at %s; the workers go on with it, also without this command\n", e.ID, e.BegunAt.Format(time.RFC3339))
		if c.NoWait {
			return nil
		}
		if e, err = finished(ctx, erasures, e); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(k.Stdout, e.Receipt); err != nil {
			return err
		}
		_, err = fmt.Fprintf(k.Stderr, "sha256 of the receipt, without the end of its line: %s\n", e.SHA256())
		return err
	})
}

// finished waits until the workers are done.
func finished(ctx context.Context, erasures *erasure.Store, e erasure.Erasure) (erasure.Erasure, error) {
	tick := time.NewTicker(erasePoll)
	defer tick.Stop()
	for e.FinishedAt.IsZero() {
		select {
		case <-ctx.Done():
			return e, exitError{ctx.Err(), exitInterrupted}
		case <-tick.C:
		}
		var err error
		if e, err = erasures.Get(ctx, e.Tenant); err != nil {
			return e, err
		}
	}
	return e, nil
}
