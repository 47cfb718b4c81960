// Package access says who may ask for what: it keeps the tenants' keys and the sessions that were begun with them, and
// looks both up for every request. It knows roles, but not the routes that take them, and nothing of HTTP.
package access

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/access/db"
	"sluice/internal/scope"
)

//go:generate ../../.bin/sqlc generate

// Channel is the one of Postgres's on which changes of keys and sessions are told. Whoever listens passes on what it
// hears to Store.Heard.
const Channel = "sluice_access"

// defaultFresh bounds how long a change of which nobody heard goes unnoticed.
const defaultFresh = 5 * time.Second

var (
	// ErrNoKey is returned for a key that is not there.
	ErrNoKey = errors.New("no such key")
	// ErrKeyOver is returned for a key that cannot be rotated: it is revoked, has expired, or was rotated before.
	ErrKeyOver = errors.New("the key is revoked, expired or rotated already")
)

// Role is what a key may do in its tenant.
type Role string

// The roles. Upload creates and sends uploads and follows jobs; Read reads all of jobs; Admin does both, changes jobs,
// and has webhooks, watches and upload tokens.
const (
	Upload Role = "upload"
	Read   Role = "read"
	Admin  Role = "admin"
)

// Valid tells whether r is one of the roles.
func (r Role) Valid() bool { return r == Upload || r == Read || r == Admin }

// ValidTenant tells whether a name may be a tenant's, whose objects have it in their keys: 1 to 64 letters and digits of
// ASCII, and ., _ and - behind the first.
func ValidTenant(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '.' && c != '_' && c != '-') {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

// Principal is who asks, known to be who it says.
type Principal struct {
	Tenant string
	Role   Role
	// KeyID is the key's that was shown, or that the session was begun with; "" where there is none of this package.
	KeyID string
	// Subject is whom the issuer named; "" for a key.
	Subject string
}

// Config is what a Store needs.
type Config struct {
	Pool *pgxpool.Pool // of a migrated database; stays the caller's to close
	// Fresh is how long what was looked up is believed without hearing otherwise. Default 5 s.
	Fresh  time.Duration
	Logger *slog.Logger // nil: none
}

// Store keeps keys and sessions in Postgres, and for moments in memory. Any number of goroutines may share it.
type Store struct {
	pool  *pgxpool.Pool
	q     *db.Queries
	fresh time.Duration
	log   *slog.Logger
	cache *cache
}

// New returns the store of cfg.
func New(cfg Config) (*Store, error) {
	if cfg.Pool == nil {
		return nil, errors.New("access: Pool is required")
	}
	if cfg.Fresh < 0 {
		return nil, errors.New("access: Fresh must not be negative")
	}
	return &Store{
		pool: cfg.Pool, q: db.New(scope.Over(cfg.Pool, scope.System)), fresh: cmp.Or(cfg.Fresh, defaultFresh),
		log: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)), cache: newCache(),
	}, nil
}
