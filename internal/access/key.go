package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/internal/access/db"
)

const (
	// KeyPrefix begins every key, so that one is told from a token at a glance, and by scanners for secrets.
	KeyPrefix = "slk_"
	// idLength is that of a key's id, prefix included: 8 letters of 32, enough to tell keys apart.
	idLength = len(KeyPrefix) + 8
	// secretLength is what follows the id of a key and an underscore: 52 letters of 32, 260 random bits.
	secretLength = 2 * 26
)

// digest is the SHA-256 of a secret. No slow hash, as there is for passwords: with 260 random bits there is nothing to
// be guessed, by however many tries in a second, and each request would pay for it.
type digest [sha256.Size]byte

func digestOf(text string) digest { return sha256.Sum256([]byte(text)) }

// newKey returns a key and its id, which is how it begins.
func newKey() (text, id string) {
	id = KeyPrefix + strings.ToLower(rand.Text()[:8])
	return id + "_" + newSecret(), id
}

// newSecret returns secretLength letters that nobody guesses.
func newSecret() string { return strings.ToLower(rand.Text() + rand.Text()) }

// keyID returns the id of a text that has the form of a key.
func keyID(text string) (string, bool) {
	if len(text) != idLength+1+secretLength || !strings.HasPrefix(text, KeyPrefix) || text[idLength] != '_' {
		return "", false
	}
	for _, c := range []byte(text[len(KeyPrefix):]) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') && c != '_' {
			return "", false
		}
	}
	return text[:idLength], true
}

// Key looks a key up. Text that is no key, or one that was revoked or has expired, is false. What is heard on Channel
// is heeded at once; a revocation of which nobody heard, because the connection was away, within Config.Fresh.
func (s *Store) Key(ctx context.Context, text string) (Principal, bool, error) {
	id, ok := keyID(text)
	if !ok {
		return Principal{}, false, nil
	}
	d := digestOf(text)
	f, turn, ok := s.cache.get(d)
	if ok {
		return f.principal, true, nil
	}
	row, err := s.q.LiveKey(ctx, db.LiveKeyParams{Fresh: s.fresh, ID: id})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Principal{}, false, nil
	case err != nil:
		return Principal{}, false, fmt.Errorf("look key up: %w", err)
	case subtle.ConstantTimeCompare(row.Digest, d[:]) != 1:
		return Principal{}, false, nil
	}
	if row.Stale {
		s.use(ctx, row)
	}
	p := Principal{Tenant: row.Tenant, Role: Role(row.Role), KeyID: row.ID}
	s.cache.put(d, found{principal: p, until: time.Now().Add(row.GoodFor)}, turn)
	return p, true, nil
}

// use notes when the key was used. Nobody is refused because that could not be written.
func (s *Store) use(ctx context.Context, row db.LiveKeyRow) {
	if err := s.q.UseKey(ctx, db.UseKeyParams{Tenant: row.Tenant, ID: row.ID}); err != nil {
		s.log.WarnContext(ctx, "use of key not noted", "key_id", row.ID, "err", err)
	}
}

// Any tells whether there is a key, be it revoked: from the first one on nothing is open to who has none.
func (s *Store) Any(ctx context.Context) (bool, error) {
	is, known, turn := s.cache.anyKey()
	if known {
		return is, nil
	}
	is, err := s.q.AnyKey(ctx)
	if err != nil {
		return false, fmt.Errorf("look for a key: %w", err)
	}
	s.cache.putAny(is, s.fresh, turn)
	return is, nil
}

// Heard is told of each notification on Channel, whatever it says. It does not block.
func (s *Store) Heard(string) { s.cache.forget() }
