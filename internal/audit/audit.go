// Package audit keeps who did what to which job and key: a table to which entries are added, each in the transaction of
// what it tells of, and from which nobody takes any. It knows names and ids, and nothing of what they stand for; never
// put the content of a record, a file's name or a secret into it, for it outlives what it speaks of.
package audit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/audit/db"
	"sluice/internal/scope"
)

//go:generate ../../.bin/sqlc generate

// maxBytes bounds the texts of an entry, which the table does too.
const maxBytes = 300

// Act is what was done.
type Act struct {
	Tenant  string // whose it is; "" for what is of all tenants
	Action  Action
	Subject string // the id of what it was done to; "" for none
	Detail  string // more of it, in words of ours; at most 300 bytes
}

// Entry is an Act as the log has it.
type Entry struct {
	ID int64
	At time.Time // by Postgres's clock
	By
	Act
}

// Record adds an entry by whom ctx names, as part of tx: what tx does and the entry are there both, or neither.
func Record(ctx context.Context, tx pgx.Tx, a Act) error { return record(ctx, db.New(tx), a) }

func record(ctx context.Context, q *db.Queries, a Act) error {
	by := byOf(ctx)
	err := q.InsertEntry(ctx, db.InsertEntryParams{
		Tenant: a.Tenant, Actor: bounded(by.Actor), Action: string(a.Action), Subject: bounded(a.Subject), Detail: bounded(a.Detail),
		RequestID: by.RequestID, Client: by.Client,
	})
	if err != nil {
		return fmt.Errorf("record %s of %s: %w", a.Action, a.Subject, err)
	}
	return nil
}

// bounded makes a text from outside, such as an issuer's subject, one line that the table takes.
func bounded(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	for len(text) > maxBytes {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// Config is what a Log needs.
type Config struct {
	Pool *pgxpool.Pool // of a migrated database; stays the caller's to close
}

// Log reads the log. Any number of goroutines may share it.
type Log struct{ pool *pgxpool.Pool }

// New returns the log of cfg.
func New(cfg Config) (*Log, error) {
	if cfg.Pool == nil {
		return nil, errors.New("audit: Pool is required")
	}
	return &Log{pool: cfg.Pool}, nil
}

// of returns the queries of a tenant, or of the system for "".
func (l *Log) of(tenant string) *db.Queries { return db.New(scope.Over(l.pool, scope.Of(tenant))) }

// Note records what changes no row of ours, such as a read. What must not be done unrecorded begins after its return.
func (l *Log) Note(ctx context.Context, a Act) error { return record(ctx, l.of(a.Tenant), a) }

// Filter says which entries are listed. Its zero value is all of them.
type Filter struct {
	Tenant  string // "": every tenant's, and what is of all
	Action  Action // "": any
	Subject string // "": any
	Since   time.Time
	Before  int64 // the id of the last entry that was seen; 0: none was
}

// List returns up to limit entries, newest first.
func (l *Log) List(ctx context.Context, f Filter, limit int) ([]Entry, error) {
	p := db.ListEntriesParams{Tenant: f.Tenant, Action: string(f.Action), Subject: f.Subject, Before: f.Before, MaxRows: int32(limit)}
	if p.Before == 0 {
		p.Before = math.MaxInt64
	}
	if !f.Since.IsZero() {
		p.Since = &f.Since
	}
	rows, err := l.of(f.Tenant).ListEntries(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("list audit log: %w", err)
	}
	entries := make([]Entry, len(rows))
	for i, r := range rows {
		entries[i] = Entry{
			ID: r.ID, At: r.At.UTC(), By: By{Actor: r.Actor, RequestID: r.RequestID, Client: r.Client},
			Act: Act{Tenant: r.Tenant, Action: Action(r.Action), Subject: r.Subject, Detail: r.Detail},
		}
	}
	return entries, nil
}
