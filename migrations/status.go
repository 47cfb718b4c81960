package migrations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// ErrPending is returned by Check for a database that this build is ahead of.
var ErrPending = errors.New("migrations pending")

// Codes of Postgres's errors.
const (
	undefinedTable = "42P01"
	undefinedRole  = "22023" // of set_config: it is invalid_parameter_value
)

// Line tells whose migration it is. Each line has versions of its own.
type Line string

// The lines, in the order in which they are applied.
const (
	River  Line = "river"
	Sluice Line = "sluice"
)

// Entry is one migration that this build holds.
type Entry struct {
	Line      Line
	Version   int64 // from 1, rising
	Name      string
	AppliedAt time.Time // UTC; zero when it is pending
}

// Applied reports whether the database has it.
func (e Entry) Applied() bool { return !e.AppliedAt.IsZero() }

// Status returns all migrations of this build in the order in which they are
// applied. It changes nothing, not even in an empty database.
func Status(ctx context.Context, dsn string) ([]Entry, error) {
	pool, err := connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	return status(ctx, pool)
}

// Querier is a connection, a pool or a transaction of a role that may read both lines'
// tables of versions.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Check returns nil when the database has every migration of this build, else
// an ErrPending that names the first one missing. Migrations of a newer build
// are no fault: it has started first.
func Check(ctx context.Context, db Querier) error {
	entries, err := status(ctx, db)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Applied() {
			return fmt.Errorf("%w: %s %d (%s)", ErrPending, e.Line, e.Version, e.Name)
		}
	}
	return nil
}

func status(ctx context.Context, db Querier) ([]Entry, error) {
	theirs, err := riverEntries()
	if err != nil {
		return nil, err
	}
	ours, err := ourEntries()
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, db, theirs, `SELECT version, created_at FROM river_migration WHERE line = 'main'`); err != nil {
		return nil, err
	}
	if err := fill(ctx, db, ours, `SELECT version_id, tstamp AT TIME ZONE 'UTC' FROM goose_db_version WHERE is_applied`); err != nil {
		return nil, err
	}
	return append(theirs, ours...), nil
}

// riverEntries lists River's migrations up to the pinned version.
func riverEntries() ([]Entry, error) {
	m, err := rivermigrate.New(riverpgxv5.New(nil), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("read river migrations: %w", err)
	}
	var entries []Entry
	for _, v := range m.AllVersions() {
		if v.Version <= riverVersion {
			entries = append(entries, Entry{Line: River, Version: int64(v.Version), Name: v.Name})
		}
	}
	return entries, nil
}

// ourEntries lists the embedded files; fs.Glob sorts them, and so their numbers.
func ourEntries() ([]Entry, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	entries := make([]Entry, 0, len(names))
	for _, name := range names {
		number, rest, _ := strings.Cut(strings.TrimSuffix(name, path.Ext(name)), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("number migration %s: %w", name, err)
		}
		entries = append(entries, Entry{Line: Sluice, Version: version, Name: rest})
	}
	return entries, nil
}

// fill sets AppliedAt of the entries that query, of versions and times, returns.
func fill(ctx context.Context, db Querier, entries []Entry, query string) error {
	applied := make(map[int64]time.Time)
	rows, err := db.Query(ctx, query)
	if err == nil {
		var version int64
		var at time.Time
		_, err = pgx.ForEachRow(rows, []any{&version, &at}, func() error {
			applied[version] = at.UTC()
			return nil
		})
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == undefinedTable || pg.Code == undefinedRole) { // nothing was ever applied
		return nil
	}
	if err != nil {
		return fmt.Errorf("read applied migrations: %w", err)
	}
	for i := range entries {
		entries[i].AppliedAt = applied[entries[i].Version]
	}
	return nil
}
