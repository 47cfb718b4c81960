package upload

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/tus/tusd/v2/pkg/handler"

	"sluice/internal/audit"
	"sluice/internal/job"
	"sluice/internal/scope"
	"sluice/internal/upload/db"
)

// TokenPrefix begins every token, so that one is told from a key at a glance.
const TokenPrefix = "sut_"

// ErrToken is the answer for an upload that is larger than what is left to its token, or whose length is not known: 403.
var ErrToken error = handler.NewError("ERR_UPLOAD_TOKEN", "the upload token does not cover an upload of this length, or of one that is not told", http.StatusForbidden)

// Token is what a browser of a tenant's customer carries: it creates and sends uploads and follows their jobs, and
// reaches nothing else.
type Token struct {
	// Text is the token itself. It is kept nowhere, so it cannot be read again.
	Text string
	// MaxBytes bounds the declared lengths of all its uploads together.
	MaxBytes int64
	// ExpiresAt ends it, also for uploads under way.
	ExpiresAt time.Time
}

// Grant is the token that a request carries, known to be good. Its zero value is none.
type Grant struct{ digest string }

// ID tells tokens apart, and opens nothing: it is the beginning of the token's digest.
func (g Grant) ID() string { return hex.EncodeToString([]byte(g.digest[:8])) }

type grantKey struct{}

// WithGrant returns a context in which NewUpload charges the token and notes the upload as its own.
func WithGrant(ctx context.Context, g Grant) context.Context {
	return context.WithValue(ctx, grantKey{}, g)
}

// GrantOf returns the token of WithGrant, and false where ctx has none.
func GrantOf(ctx context.Context) (Grant, bool) {
	g, ok := ctx.Value(grantKey{}).(Grant)
	return g, ok
}

// NewToken issues a token of the tenant's for that many bytes and that long.
func (s *Store) NewToken(ctx context.Context, tenant string, maxBytes int64, expiresIn time.Duration) (Token, error) {
	t := Token{Text: TokenPrefix + rand.Text(), MaxBytes: maxBytes}
	if err := s.ledger.as(scope.Tenant(tenant)).DeleteTokens(ctx, tenant); err != nil {
		return Token{}, fmt.Errorf("delete expired tokens: %w", err)
	}
	digest := digestOf(t.Text)
	err := s.cfg.Jobs.InTx(ctx, scope.Tenant(tenant), func(tx pgx.Tx) (err error) {
		t.ExpiresAt, err = db.New(tx).InsertToken(ctx, db.InsertTokenParams{
			Digest: digest, Tenant: tenant, MaxBytes: maxBytes, ExpiresIn: expiresIn,
		})
		if err != nil {
			return fmt.Errorf("insert token: %w", err)
		}
		return audit.Record(ctx, tx, audit.Act{Tenant: tenant, Action: audit.TokenCreate, Subject: Grant{string(digest)}.ID()})
	})
	return t, err
}

// Grant looks a token up, and returns its tenant. Text that is no token, or one that has expired, is false.
func (s *Store) Grant(ctx context.Context, text string) (g Grant, tenant string, ok bool, err error) {
	if !strings.HasPrefix(text, TokenPrefix) {
		return Grant{}, "", false, nil
	}
	digest := digestOf(text)
	tenant, err = s.ledger.as(scope.System).TokenTenant(ctx, digest)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Grant{}, "", false, nil
	case err != nil:
		return Grant{}, "", false, fmt.Errorf("look token up: %w", err)
	}
	return Grant{string(digest)}, tenant, true, nil
}

// Granted tells whether the upload came by the token.
func (s *Store) Granted(ctx context.Context, g Grant, id string) (bool, error) {
	ok, err := s.ledger.as(scope.Tenant(job.Tenant(ctx))).IsTokenUpload(ctx, db.IsTokenUploadParams{UploadID: id, Digest: []byte(g.digest), Tenant: job.Tenant(ctx)})
	if err != nil {
		return false, fmt.Errorf("look upload of token up: %w", err)
	}
	return ok, nil
}

// charge takes a new upload off what is left to the token of ctx, if it has one, and notes that it is the token's. A
// length that is not known cannot be taken off.
func (l *ledger) charge(ctx context.Context, tx pgx.Tx, u db.Upload) error {
	g, ok := GrantOf(ctx)
	if !ok {
		return nil
	}
	if u.SizeBytes == nil {
		return ErrToken
	}
	q := db.New(tx)
	charged, err := q.ChargeToken(ctx, db.ChargeTokenParams{SizeBytes: *u.SizeBytes, Digest: []byte(g.digest), Tenant: u.Tenant})
	if err != nil {
		return fmt.Errorf("charge token: %w", err)
	}
	if charged == 0 {
		return ErrToken
	}
	if err := q.InsertTokenUpload(ctx, db.InsertTokenUploadParams{UploadID: u.ID, Digest: []byte(g.digest), Tenant: u.Tenant}); err != nil {
		return fmt.Errorf("note upload of token: %w", err)
	}
	return nil
}

func digestOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
