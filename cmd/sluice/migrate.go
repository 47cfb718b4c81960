package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"sluice/migrations"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply every migration that is due. Any number of processes may do so at once."`
	Status migrateStatusCmd `cmd:"" help:"List the migrations, applied and due."`
}

type migrateUpCmd struct {
	databaseSettings
	logSettings
}

// Validate checks the settings before anything runs.
func (c migrateUpCmd) Validate() error { return c.databaseSettings.check() }

// Run applies what is due.
func (c migrateUpCmd) Run(ctx context.Context) error {
	return migrations.Up(ctx, c.DatabaseURL.Reveal(), c.logger(os.Stderr))
}

type migrateStatusCmd struct{ databaseSettings }

// Validate checks the settings before anything runs.
func (c migrateStatusCmd) Validate() error { return c.check() }

// Run prints one line for each migration.
func (c migrateStatusCmd) Run(ctx context.Context, k *kong.Kong) error {
	entries, err := migrations.Status(ctx, c.DatabaseURL.Reveal())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, err := fmt.Fprintln(k.Stdout, e); err != nil {
			return err
		}
	}
	return nil
}
