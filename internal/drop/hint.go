package drop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"sluice/internal/blob"
	"sluice/internal/drop/db"
	"sluice/internal/scope"
)

// Hint says where an object may be. It is never believed further than that.
type Hint struct{ Bucket, Key, VersionID string }

// ErrNoEvent is returned for a text that is no notification of a bucket.
var ErrNoEvent = errors.New("not a bucket notification")

// event is what S3 and MinIO send (Records), and what AWS sends by EventBridge
// (detail). What else is in it nobody needs.
type event struct {
	Records []struct {
		S3 *place `json:"s3"`
	} `json:"Records"`
	Detail *place `json:"detail"`
	Event  string `json:"Event"` // "s3:TestEvent", when AWS is told of a new receiver
}

type place struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string `json:"key"`
		VersionID string `json:"versionId"`
		// EventBridge's spelling.
		VersionDashID string `json:"version-id"`
	} `json:"object"`
}

// ParseHints reads a notification. Records without a place, and a test, give none.
func ParseHints(text []byte) ([]Hint, error) {
	var e event
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoEvent, err)
	}
	if e.Records == nil && e.Detail == nil && e.Event == "" {
		return nil, fmt.Errorf("%w: neither Records nor detail", ErrNoEvent)
	}
	var hints []Hint
	for _, r := range e.Records {
		if r.S3 == nil {
			continue
		}
		key, err := url.QueryUnescape(r.S3.Object.Key) // keys in Records are escaped as in a form
		if err != nil {
			return nil, fmt.Errorf("%w: key %.80q", ErrNoEvent, r.S3.Object.Key)
		}
		hints = append(hints, Hint{r.S3.Bucket.Name, key, r.S3.Object.VersionID})
	}
	if e.Detail != nil {
		hints = append(hints, Hint{e.Detail.Bucket.Name, e.Detail.Object.Key, e.Detail.Object.VersionDashID})
	}
	return hints, nil
}

// Hint looks at the places that a notification names and takes what it finds
// there. When it returns nil, what was there has its job, or waits for its turn; an
// error asks for the same hints again. Places that nobody watches are passed over.
func (s *Store) Hint(ctx context.Context, hints []Hint) error {
	seen := make(map[Hint]bool, len(hints))
	for _, h := range hints {
		if seen[h] || !storable(h.Bucket) || !storable(h.Key) {
			continue
		}
		seen[h] = true
		if err := s.hint(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) hint(ctx context.Context, h Hint) error {
	row, err := s.as(scope.System).FindWatch(ctx, db.FindWatchParams{Bucket: h.Bucket, ObjectKey: h.Key})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find watch: %w", err)
	}
	if isProbe(h.Key) {
		return s.heard(ctx, h)
	}
	w := watchOf(row)
	if !w.wants(h.Key) {
		return nil
	}
	if w.InOrder {
		return s.listSoon(ctx, w.ID)
	}
	if h.VersionID == blob.NullVersion { // not every server knows it by this name
		h.VersionID = ""
	}
	found, err := s.cfg.Bucket.Other(w.Bucket).Look(ctx, h.Key, h.VersionID)
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.take(ctx, w, found)
}

// listSoon has the watch listed: only a list tells which name is the smallest.
func (s *Store) listSoon(ctx context.Context, id string) error {
	return pgx.BeginFunc(ctx, scope.Over(s.cfg.Pool, scope.System), func(tx pgx.Tx) error {
		if err := db.New(tx).ListSoon(ctx, id); err != nil {
			return fmt.Errorf("make listing of watch %s due: %w", id, err)
		}
		if _, err := s.river.InsertTx(ctx, tx, RoundArgs{}, nil); err != nil {
			return fmt.Errorf("insert river job for watch %s: %w", id, err)
		}
		return nil
	})
}

// wants tells whether the key of an object is one that the watch takes. What ends
// in a slash is a folder, as some clients draw them, and probes are the doctor's.
func (w Watch) wants(key string) bool {
	if !strings.HasPrefix(key, w.Prefix) || strings.HasSuffix(key, "/") || isProbe(key) || !storable(key) || !straight(key) {
		return false
	}
	for _, suffix := range w.Suffixes {
		if strings.HasSuffix(key, suffix) {
			return true
		}
	}
	return len(w.Suffixes) == 0
}

// straight tells that a key has no . or .. between slashes. A server that keeps
// objects as files gives another object for such a key, which may be anybody's.
func straight(key string) bool {
	for part := range strings.SplitSeq(key, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return true
}

// storable reports whether S3 can have a bucket or key of that name, and Postgres hold it.
func storable(text string) bool {
	return text != "" && len(text) <= maxKeyBytes && utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}
