package access

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/access/db"
	"sluice/internal/audit"
	"sluice/internal/scope"
)

// SessionPrefix begins every session.
const SessionPrefix = "sls_"

// Begin begins a session of that length for who was let in, and returns what stands for it. It ends with its key, and at
// endsAt at the latest, where that is not zero. The text is kept nowhere; as of a key there is a digest of it.
func (s *Store) Begin(ctx context.Context, p Principal, life time.Duration, endsAt time.Time) (text string, ends time.Time, err error) {
	if err := s.q.DropSessions(ctx); err != nil {
		return "", time.Time{}, fmt.Errorf("drop sessions: %w", err)
	}
	text = SessionPrefix + newSecret()
	d := digestOf(text)
	params := db.BeginSessionParams{Digest: d[:], Tenant: p.Tenant, Role: string(p.Role), Subject: p.Subject, Life: life}
	if p.KeyID != "" {
		params.KeyID = &p.KeyID
	}
	if !endsAt.IsZero() {
		params.EndsAt = &endsAt
	}
	err = pgx.BeginFunc(ctx, scope.Over(s.pool, scope.System), func(tx pgx.Tx) error {
		if ends, err = db.New(tx).BeginSession(ctx, params); err != nil {
			return fmt.Errorf("begin session: %w", err)
		}
		return audit.Record(ctx, tx, audit.Act{Tenant: p.Tenant, Action: audit.SessionCreate, Subject: SessionID(text)})
	})
	return text, ends, err
}

// SessionID tells sessions apart, and opens nothing: it is the beginning of the digest of what stands for one.
func SessionID(text string) string {
	d := digestOf(text)
	return hex.EncodeToString(d[:8])
}

// Session looks a session up, and says when it ends. Text that is none, or whose time or key is over, is false.
func (s *Store) Session(ctx context.Context, text string) (p Principal, endsAt time.Time, ok bool, err error) {
	if !strings.HasPrefix(text, SessionPrefix) {
		return p, endsAt, false, nil
	}
	d := digestOf(text)
	f, turn, ok := s.cache.get(d)
	if ok {
		return f.principal, f.endsAt, true, nil
	}
	row, err := s.q.LiveSession(ctx, db.LiveSessionParams{Fresh: s.fresh, Digest: d[:]})
	if errors.Is(err, pgx.ErrNoRows) {
		return p, endsAt, false, nil
	}
	if err != nil {
		return p, endsAt, false, fmt.Errorf("look session up: %w", err)
	}
	p = Principal{Tenant: row.Tenant, Role: Role(row.Role), Subject: row.Subject}
	if row.KeyID != nil {
		p.KeyID = *row.KeyID
	}
	s.cache.put(d, found{principal: p, endsAt: row.EndsAt, until: time.Now().Add(row.GoodFor)}, turn)
	return p, row.EndsAt, true, nil
}

// End ends a session, wherever its text is. Of text that is none it changes nothing.
func (s *Store) End(ctx context.Context, text string) error {
	if !strings.HasPrefix(text, SessionPrefix) {
		return nil
	}
	d := digestOf(text)
	err := pgx.BeginFunc(ctx, scope.Over(s.pool, scope.System), func(tx pgx.Tx) error {
		tenants, err := db.New(tx).EndSession(ctx, d[:])
		if err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		if len(tenants) == 0 {
			return nil
		}
		if err := audit.Record(ctx, tx, audit.Act{Tenant: tenants[0], Action: audit.SessionEnd, Subject: SessionID(text)}); err != nil {
			return err
		}
		return s.tell(ctx, tx, "")
	})
	s.cache.forget()
	return err
}
