// Package issuer tells whether a JWT is one of an issuer's, and what it says of who has it. It knows the issuer's public
// keys, which it fetches, and nothing of ours: what a tenant or a role is others decide.
package issuer

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// maxTokenBytes is far above what issuers send.
	maxTokenBytes = 8 << 10
	// leeway is what the issuer's clock and ours may differ by.
	leeway = 30 * time.Second
	// maxLife bounds how far ahead a token may end: what is good for longer is a key, and can be revoked.
	maxLife = 31 * 24 * time.Hour
	// maxSubject bounds a sub, in bytes.
	maxSubject = 255
)

var (
	// ErrToken is returned for text that is no token of the issuer's, or not one for us, now. Its text says why, for logs.
	ErrToken = errors.New("the token is refused")
	// ErrAway is returned while there is no key to verify with, because the issuer has never answered.
	ErrAway = errors.New("the issuer does not answer")
)

// Config is what an Issuer needs.
type Config struct {
	Issuer   string // what iss must be, to the letter; an https URL, or http on this machine
	Audience string // what aud must be, or hold
	// KeysURL is where the issuer's JWKS is. Empty: where Issuer + "/.well-known/openid-configuration" says.
	KeysURL string
	// TenantClaim and RoleClaim name the members that hold the tenant and the role; "tenant" and "role" by default.
	TenantClaim, RoleClaim string
	// MaxAge is how long fetched keys are used before they are fetched anew. While that fails they are used on. Default
	// 10 min.
	MaxAge time.Duration
	// Patience is the least time between two fetches, whoever sends which unknown keys. Default 10 s.
	Patience time.Duration
	Logger   *slog.Logger // nil: none
}

// Identity is what a token says of who has it.
type Identity struct {
	Subject   string // sub
	Tenant    string
	Roles     []string // the words of a text, or the texts of a list
	ExpiresAt time.Time
}

// Issuer verifies tokens. Any number of goroutines may share it.
type Issuer struct {
	cfg  Config
	keys *keySet
}

// New returns the issuer of cfg. It fetches nothing yet.
func New(cfg Config) (*Issuer, error) {
	if cfg.Audience == "" {
		return nil, errors.New("issuer: Audience is required")
	}
	if cfg.MaxAge < 0 || cfg.Patience < 0 {
		return nil, errors.New("issuer: MaxAge and Patience must not be negative")
	}
	if err := CheckURL(cfg.Issuer); err != nil {
		return nil, fmt.Errorf("issuer: Issuer: %w", err)
	}
	if cfg.KeysURL != "" {
		if err := CheckURL(cfg.KeysURL); err != nil {
			return nil, fmt.Errorf("issuer: KeysURL: %w", err)
		}
	}
	cfg.TenantClaim, cfg.RoleClaim = cmp.Or(cfg.TenantClaim, "tenant"), cmp.Or(cfg.RoleClaim, "role")
	cfg.MaxAge, cfg.Patience = cmp.Or(cfg.MaxAge, 10*time.Minute), cmp.Or(cfg.Patience, 10*time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	return &Issuer{cfg: cfg, keys: newKeySet(cfg)}, nil
}

// CheckURL returns an error unless the text is a URL by which keys may be fetched: of https, or of http where nobody can
// be between, on this machine.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q is not a URL such as https://issuer.example", text)
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if here := u.Hostname() == "localhost" || err == nil && addr.IsLoopback(); u.Scheme != "https" && (u.Scheme != "http" || !here) {
		return fmt.Errorf("%q is not of https", text)
	}
	return nil
}

// Looks tells whether a text has the form of a token: three parts with dots between.
func Looks(text string) bool { return strings.Count(text, ".") == 2 }

// Verify returns what a token says, ErrToken where it is refused and ErrAway where nothing can be verified.
func (i *Issuer) Verify(ctx context.Context, text string) (Identity, error) {
	if len(text) > maxTokenBytes {
		return Identity{}, refused("it is too long")
	}
	token, err := jwt.ParseSigned(text, algorithms)
	if err != nil {
		return Identity{}, refused("it cannot be read: " + err.Error())
	}
	if err := checkHeader(text); err != nil {
		return Identity{}, err
	}
	header := token.Headers[0]
	keys, err := i.keys.find(ctx, header.KeyID, jose.SignatureAlgorithm(header.Algorithm))
	if err != nil {
		return Identity{}, err
	}
	var known jwt.Claims
	var all map[string]any
	for _, key := range keys {
		if err = token.Claims(key, &known, &all); err == nil {
			return i.identity(known, all)
		}
	}
	return Identity{}, refused("no key of the issuer's verifies it")
}

func refused(why string) error { return fmt.Errorf("%w: %s", ErrToken, why) }

// checkHeader refuses what an issuer that signs with its published keys has no need of, and an attacker may: keys that the
// token brings itself (jwk, x5c) or says where to find (jku, x5u), and what must be understood (crit, b64).
func checkHeader(text string) error {
	encoded, _, _ := strings.Cut(text, ".")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return refused("its header cannot be read")
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		return refused("its header cannot be read")
	}
	for name := range members {
		if !slices.Contains([]string{"alg", "kid", "typ", "x5t", "x5t#S256"}, name) {
			return refused("its header has what it needs not")
		}
	}
	kind, ok := members["typ"].(string)
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	if _, has := members["typ"]; has && (!ok || kind != "jwt" && kind != "at+jwt") {
		return refused("it is of another type")
	}
	return nil
}

// identity checks what a token claims that the issuer has signed.
func (i *Issuer) identity(known jwt.Claims, all map[string]any) (id Identity, err error) {
	now := time.Now()
	expected := jwt.Expected{Issuer: i.cfg.Issuer, AnyAudience: jwt.Audience{i.cfg.Audience}, Time: now}
	if err := known.ValidateWithLeeway(expected, leeway); err != nil {
		return id, refused(err.Error())
	}
	if exp, ok := all["exp"].(float64); !ok || exp <= 0 || exp > float64(now.Add(maxLife).Unix()) {
		return id, refused("it does not end within a month")
	}
	tenant, ok := all[i.cfg.TenantClaim].(string)
	if !ok || tenant == "" {
		return id, refused("it names no tenant")
	}
	if known.Subject == "" || len(known.Subject) > maxSubject {
		return id, refused("it names no subject")
	}
	return Identity{Subject: known.Subject, Tenant: tenant, Roles: words(all[i.cfg.RoleClaim]), ExpiresAt: known.Expiry.Time()}, nil
}

// words returns the words of a text, or the texts of a list; of anything else none.
func words(claim any) (all []string) {
	switch c := claim.(type) {
	case string:
		return strings.Fields(c)
	case []any:
		for _, item := range c {
			text, ok := item.(string)
			if !ok {
				return nil
			}
			all = append(all, text)
		}
	}
	return all
}
