// Package migrations brings a Postgres database to the schema of this build:
// River's tables first, at a pinned version, then our own numbered files, then what
// each role may do, of grants. All are embedded.
//
// It does not know what the tables mean, and it never goes back: the Down parts
// of the files are for development.
package migrations

import (
	"context"
	"embed"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed *.sql grants/*.sql
var files embed.FS

// grants are the files of what each role may do. Each is applied whole, every time.
var grants = []string{"tenant", "worker", "system", "queue", "eraser"}

const (
	// riverVersion is the version of River's schema that the River in go.mod
	// (v0.51.1) needs. It is raised together with River, on purpose, never by an
	// upgrade alone.
	riverVersion = 8
	// lockKey is our key among the database's advisory locks: "sluice" in ASCII.
	lockKey = 0x736c75696365
	// maxConns are the lock's, the migrator's, and one to spare.
	maxConns = 3
)

// Up applies everything that is missing in the database of dsn, a Postgres URL
// or keyword string, and reports each migration to logger. Any number of
// processes may call it at once: one migrates, the others wait for it and then
// find nothing to do. Each migration is a transaction of its own.
//
// The waiting is on a session's advisory lock, so dsn must lead to Postgres
// itself or to a pooler in session mode. A process that dies gives up the lock
// with its connection.
func Up(ctx context.Context, dsn string, logger *slog.Logger) error {
	pool, err := connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer pool.Close() // ends the session that holds the lock, too

	lock, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("connect to database: %w", err)
	}
	defer lock.Release()
	if _, err := lock.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(lockKey)); err != nil {
		return fmt.Errorf("lock migrations: %w", err)
	}
	if err := riverUp(ctx, pool, logger); err != nil {
		return err
	}
	if err := apply(ctx, pool, "roles"); err != nil {
		return err
	}
	if err := oursUp(ctx, pool, logger); err != nil {
		return err
	}
	return apply(ctx, pool, grants...)
}

// apply runs files of grants in one transaction: nobody sees a role without its rights.
func apply(ctx context.Context, pool *pgxpool.Pool, names ...string) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, name := range names {
			text, err := files.ReadFile("grants/" + name + ".sql")
			if err != nil {
				return fmt.Errorf("read grants: %w", err)
			}
			if _, err := tx.Exec(ctx, string(text)); err != nil {
				return fmt.Errorf("apply grants/%s.sql: %w", name, err)
			}
		}
		return nil
	})
}

// connect opens a small pool whose sessions count in UTC, because goose writes
// times without a zone, and in which row-level security hides nothing: a migration that
// it would hide rows from fails.
func connect(ctx context.Context, dsn string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("parse database url: %w", err)
	}
	cfg.MaxConns = maxConns
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	cfg.ConnConfig.RuntimeParams["row_security"] = "off"
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return pool, nil
}

func riverUp(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) error {
	m, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("read river migrations: %w", err)
	}
	done, err := m.Migrate(ctx, rivermigrate.DirectionUp, &rivermigrate.MigrateOpts{TargetVersion: riverVersion})
	if err != nil {
		return fmt.Errorf("migrate river: %w", err)
	}
	for _, v := range done.Versions {
		report(ctx, logger, River, int64(v.Version))
	}
	return nil
}

func oursUp(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) error {
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }() // gives connections back; the pool is not closed by it
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, r := range done {
		report(ctx, logger, Sluice, r.Source.Version)
	}
	return nil
}

func report(ctx context.Context, logger *slog.Logger, line Line, version int64) {
	logger.InfoContext(ctx, "migration applied", slog.String("line", string(line)), slog.Int64("version", version))
}
