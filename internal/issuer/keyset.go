package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// fetchTimeout bounds one request to the issuer: a request of ours waits for it.
	fetchTimeout = 5 * time.Second
	// maxDocument bounds what the issuer may answer.
	maxDocument = 1 << 20
	// minRSABits is what RFC 7518 §3.3 asks for.
	minRSABits = 2048
)

// algorithms are those that a token may be signed with: each takes a key pair, so what verifies cannot sign.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// curves are the sizes in bits of the curves that belong to an algorithm (RFC 7518 §3.4).
var curves = map[jose.SignatureAlgorithm]int{jose.ES256: 256, jose.ES384: 384, jose.ES512: 521}

// keySet is the issuer's keys as they were last fetched.
type keySet struct {
	cfg    Config
	client *http.Client

	mu        sync.Mutex
	keys      []jose.JSONWebKey
	fetchedAt time.Time     // when the issuer last answered
	triedAt   time.Time     // when it was last asked
	asked     chan struct{} // closed when it had answered, or not; nil: it was never asked
}

func newKeySet(cfg Config) *keySet {
	return &keySet{cfg: cfg, client: &http.Client{
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // to wherever, over whatever
	}}
}

// find returns the keys that a token may be signed with: those of its kid, and where it has none the only one there is.
// A kid that is not known has the keys fetched anew.
func (s *keySet) find(ctx context.Context, kid string, alg jose.SignatureAlgorithm) ([]jose.JSONWebKey, error) {
	found, fetched, stale := s.known(kid, alg)
	switch {
	case len(found) == 0:
		select {
		case <-s.refresh(ctx):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		found, fetched, _ = s.known(kid, alg)
	case stale: // and good meanwhile: nobody waits for an issuer that may be away
		s.refresh(ctx)
	}
	switch {
	case !fetched:
		return nil, ErrAway
	case len(found) == 0:
		return nil, refused("the issuer has no such key")
	case kid == "" && len(found) > 1:
		return nil, refused("it does not say by which key it is signed")
	}
	return found, nil
}

// known returns what is there, whether anything ever was, and whether it is time to look again.
func (s *keySet) known(kid string, alg jose.SignatureAlgorithm) (found []jose.JSONWebKey, fetched, stale bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range s.keys {
		if (kid == "" || key.KeyID == kid) && fits(key, alg) {
			found = append(found, key)
		}
	}
	return found, !s.fetchedAt.IsZero(), time.Since(s.fetchedAt) > s.cfg.MaxAge
}

// fits tells whether a key is one for that algorithm.
func fits(key jose.JSONWebKey, alg jose.SignatureAlgorithm) bool {
	if key.Algorithm != "" && key.Algorithm != string(alg) {
		return false
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(string(alg), "RS") || strings.HasPrefix(string(alg), "PS")
	case *ecdsa.PublicKey:
		return curves[alg] == k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return alg == jose.EdDSA
	}
	return false
}

// refresh has the keys fetched, and returns what is closed once they are. Where somebody is at it, or was a moment ago, it
// is not done again: who sends unknown kids makes nobody ask more often.
func (s *keySet) refresh(ctx context.Context) (done <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != nil {
		select {
		case <-s.asked:
			if time.Since(s.triedAt) >= s.cfg.Patience {
				break
			}
			return s.asked
		default:
			return s.asked
		}
	}
	asked := make(chan struct{})
	s.asked, s.triedAt = asked, time.Now()
	go func() {
		defer close(asked)
		s.replace(context.WithoutCancel(ctx)) // others wait for it too
	}()
	return asked
}

// replace fetches the keys. What is there stays where the issuer does not answer.
func (s *keySet) replace(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	keys, err := s.fetch(ctx)
	if err != nil {
		s.cfg.Logger.WarnContext(ctx, "issuer's keys not fetched", "err", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.fetchedAt = keys, time.Now()
}

// fetch returns the keys that the issuer publishes and that are of use. None is an error: no issuer means it.
func (s *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	at, err := s.keysURL(ctx)
	if err != nil {
		return nil, err
	}
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := s.get(ctx, at, &document); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range document.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && usable(key) { // a key of a kind that nobody here knows is no fault
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the issuer publishes no key to verify with")
	}
	return keys, nil
}

// usable tells whether a key is public, strong, and for signatures.
func usable(key jose.JSONWebKey) bool {
	if !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
		return false
	}
	weak, ok := key.Key.(*rsa.PublicKey)
	return !ok || weak.N.BitLen() >= minRSABits
}

// keysURL returns where the keys are, if need be as the issuer's own document says.
func (s *keySet) keysURL(ctx context.Context) (string, error) {
	if s.cfg.KeysURL != "" {
		return s.cfg.KeysURL, nil
	}
	var document struct {
		Issuer  string `json:"issuer"`
		KeysURL string `json:"jwks_uri"`
	}
	if err := s.get(ctx, strings.TrimSuffix(s.cfg.Issuer, "/")+"/.well-known/openid-configuration", &document); err != nil {
		return "", err
	}
	if document.Issuer != s.cfg.Issuer { // OpenID Connect Discovery §4.3
		return "", fmt.Errorf("the document of %s is that of another issuer", s.cfg.Issuer)
	}
	return document.KeysURL, CheckURL(document.KeysURL)
}

// get reads a JSON document.
func (s *keySet) get(ctx context.Context, at string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask issuer: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask issuer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask issuer: %s answers %s", at, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return fmt.Errorf("ask issuer: %w", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read answer of issuer: %w", err)
	}
	return nil
}
