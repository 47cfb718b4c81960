package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/access/db"
	"sluice/internal/audit"
	"sluice/internal/scope"
)

// Draft is a key to be made.
type Draft struct {
	Tenant string // of ValidTenant
	Role   Role
	Name   string // for its owner to know it by; may be empty
	// Lifetime ends it by itself; 0: never.
	Lifetime time.Duration
}

// Key is one of the keys there are, without what opens anything.
type Key struct {
	ID         string // how it begins
	Tenant     string
	Role       Role
	Name       string
	ReplacedBy string // the id of what it was rotated to; "" for nothing
	CreatedAt  time.Time
	UsedAt     time.Time // to the minute; zero: never
	ExpiresAt  time.Time // zero: never
	RevokedAt  time.Time // zero: it is not
	Live       bool      // it opens what its role may do
}

// NewKey is a key that was just made. Its text is kept nowhere, so it cannot be read again.
type NewKey struct {
	Key
	Text string
}

// Create makes a key.
func (s *Store) Create(ctx context.Context, d Draft) (NewKey, error) {
	if !ValidTenant(d.Tenant) || !d.Role.Valid() || d.Lifetime < 0 {
		return NewKey{}, errors.New("access: the draft of a key is not valid")
	}
	return s.change(ctx, func(tx pgx.Tx) (NewKey, error) {
		made, err := s.insert(ctx, tx, d)
		if err != nil {
			return NewKey{}, err
		}
		return made, audit.Record(ctx, tx, audit.Act{Tenant: d.Tenant, Action: audit.KeyCreate, Subject: made.ID, Detail: string(d.Role)})
	})
}

// change calls fn in a transaction after which everybody looks at keys anew.
func (s *Store) change(ctx context.Context, fn func(pgx.Tx) (NewKey, error)) (made NewKey, err error) {
	err = pgx.BeginFunc(ctx, scope.Over(s.pool, scope.System), func(tx pgx.Tx) (err error) {
		if made, err = fn(tx); err != nil {
			return err
		}
		return s.tell(ctx, tx, made.ID)
	})
	s.cache.forget()
	return made, err
}

func (s *Store) tell(ctx context.Context, tx pgx.Tx, id string) error {
	if err := db.New(tx).TellChange(ctx, id); err != nil {
		return fmt.Errorf("tell change of access: %w", err)
	}
	return nil
}

func (s *Store) insert(ctx context.Context, tx pgx.Tx, d Draft) (NewKey, error) {
	text, id := newKey()
	sum := digestOf(text)
	row, err := db.New(tx).InsertKey(ctx, db.InsertKeyParams{
		ID: id, Tenant: d.Tenant, Role: string(d.Role), Name: d.Name, Digest: sum[:], Lifetime: d.Lifetime,
	})
	if err != nil {
		return NewKey{}, fmt.Errorf("insert key: %w", err)
	}
	k := Key{ID: id, Tenant: d.Tenant, Role: d.Role, Name: d.Name, CreatedAt: row.CreatedAt, ExpiresAt: given(row.ExpiresAt), Live: true}
	return NewKey{Key: k, Text: text}, nil
}

// Rotate makes a key that may do what another may, for as long as that was made for, and lets the other go on for the
// grace time.
func (s *Store) Rotate(ctx context.Context, id string, grace time.Duration) (NewKey, error) {
	return s.change(ctx, func(tx pgx.Tx) (NewKey, error) {
		old, err := s.lock(ctx, tx, id)
		if err != nil {
			return NewKey{}, err
		}
		if !old.Live || old.ReplacedBy != nil {
			return NewKey{}, ErrKeyOver
		}
		made, err := s.insert(ctx, tx, Draft{Tenant: old.Tenant, Role: Role(old.Role), Name: old.Name, Lifetime: old.Lifetime})
		if err != nil {
			return NewKey{}, err
		}
		_, err = db.New(tx).ReplaceKey(ctx, db.ReplaceKeyParams{ReplacedBy: &made.ID, Grace: grace, Tenant: old.Tenant, ID: old.ID})
		if err != nil {
			return NewKey{}, fmt.Errorf("replace key %s: %w", id, err)
		}
		return made, audit.Record(ctx, tx, audit.Act{Tenant: old.Tenant, Action: audit.KeyRotate, Subject: id, Detail: made.ID})
	})
}

// Revoke ends a key and its sessions. Of a key that is revoked already it changes nothing.
func (s *Store) Revoke(ctx context.Context, id string) error {
	_, err := s.change(ctx, func(tx pgx.Tx) (NewKey, error) {
		k, err := s.lock(ctx, tx, id)
		if err != nil {
			return NewKey{}, err
		}
		n, err := db.New(tx).RevokeKey(ctx, db.RevokeKeyParams{Tenant: k.Tenant, ID: k.ID})
		if err != nil {
			return NewKey{}, fmt.Errorf("revoke key %s: %w", id, err)
		}
		if n > 0 {
			err = audit.Record(ctx, tx, audit.Act{Tenant: k.Tenant, Action: audit.KeyRevoke, Subject: id})
		}
		return NewKey{Key: Key{ID: id}}, err
	})
	return err
}

func (s *Store) lock(ctx context.Context, tx pgx.Tx, id string) (db.LockKeyRow, error) {
	k, err := db.New(tx).LockKey(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return k, ErrNoKey
	}
	if err != nil {
		return k, fmt.Errorf("lock key %s: %w", id, err)
	}
	return k, nil
}

// List returns the tenant's keys, or those of all where tenant is empty, also those that open nothing any more.
func (s *Store) List(ctx context.Context, tenant string) ([]Key, error) {
	rows, err := s.q.ListKeys(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	keys := make([]Key, len(rows))
	for i, r := range rows {
		keys[i] = Key{
			ID: r.ID, Tenant: r.Tenant, Role: Role(r.Role), Name: r.Name, CreatedAt: r.CreatedAt,
			UsedAt: given(r.UsedAt), ExpiresAt: given(r.ExpiresAt), RevokedAt: given(r.RevokedAt), Live: r.Live,
		}
		if r.ReplacedBy != nil {
			keys[i].ReplacedBy = *r.ReplacedBy
		}
	}
	return keys, nil
}

// given returns the zero time for none.
func given(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return *at
}
