package issuer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sluice/internal/issuer"
)

// world is an issuer that signs with three keys, and publishes more.
type world struct {
	*testing.T
	url   string
	rsa   *rsa.PrivateKey
	ec    *ecdsa.PrivateKey
	ed    ed25519.PrivateKey
	other *rsa.PrivateKey // nobody's
	weak  *rsa.PrivateKey

	asked atomic.Int64 // how often for its keys
	away  atomic.Bool
	mu    sync.Mutex
	keys  []any // published
}

// pairs are made once: to make one takes long.
var pairs = sync.OnceValue(func() [3]*rsa.PrivateKey {
	var all [3]*rsa.PrivateKey
	for i, bits := range []int{2048, 2048, 1024} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		all[i] = key
	}
	return all
})

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	w.must(err)
	w.rsa, w.other, w.weak, w.ec, w.ed = pairs()[0], pairs()[1], pairs()[2], ec, ed
	w.publish(
		jose.JSONWebKey{Key: w.rsa.Public(), KeyID: "rsa", Algorithm: "RS256", Use: "sig"},
		jose.JSONWebKey{Key: w.ec.Public(), KeyID: "ec"},
		jose.JSONWebKey{Key: w.ed.Public(), KeyID: "ed"},
		jose.JSONWebKey{Key: w.weak.Public(), KeyID: "weak"},
		jose.JSONWebKey{Key: w.other.Public(), KeyID: "sealing", Use: "enc"},
		jose.JSONWebKey{Key: []byte("a secret that was published by mistake"), KeyID: "oct"},
		map[string]string{"kty": "OF-TOMORROW", "kid": "new"},
	)
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, w.url, w.url+"/keys")
	})
	mux.HandleFunc("/keys", func(rw http.ResponseWriter, _ *http.Request) {
		w.asked.Add(1)
		if w.away.Load() {
			http.Error(rw, "away", http.StatusBadGateway)
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		_ = json.NewEncoder(rw).Encode(map[string]any{"keys": w.keys})
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) publish(keys ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys = keys
}

// issuer returns one that trusts w.
func (w *world) issuer(edit ...func(*issuer.Config)) *issuer.Issuer {
	w.Helper()
	cfg := issuer.Config{Issuer: w.url, Audience: "sluice", KeysURL: w.url + "/keys", MaxAge: time.Hour, Patience: time.Hour}
	for _, e := range edit {
		e(&cfg)
	}
	i, err := issuer.New(cfg)
	w.must(err)
	return i
}

type members map[string]any

// header and claims are of a good token; each case spoils one thing.
func header(more ...members) members {
	return merged(members{"alg": "RS256", "kid": "rsa", "typ": "JWT"}, more)
}

func (w *world) claims(more ...members) members {
	now := time.Now().Unix()
	return merged(members{"iss": w.url, "aud": "sluice", "sub": "alice", "exp": now + 3600, "nbf": now - 10, "iat": now - 10, "tenant": "acme", "role": "read"}, more)
}

// merged adds members; nil takes one away.
func merged(all members, more []members) members {
	for _, m := range more {
		for name, value := range m {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
	}
	return all
}

func b64(v any) string {
	raw, ok := v.(string)
	if !ok {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		raw = string(text)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(raw))
}

// signed returns a token, its header and claims members or the JSON itself, signed by an RSA key and SHA-256 whatever
// the header says.
func signed(key *rsa.PrivateKey, header, claims any) string {
	text := b64(header) + "." + b64(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(string(signature))
}

// mac returns a token whose signature is an HMAC by that secret.
func mac(secret []byte, header, claims any) string {
	text := b64(header) + "." + b64(claims)
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(text))
	return text + "." + b64(string(m.Sum(nil)))
}

func pemOf(key *rsa.PrivateKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// by signs with a key of another kind, by the library.
func (w *world) by(alg jose.SignatureAlgorithm, key any, kid string, claims members) string {
	w.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	w.must(err)
	text, err := json.Marshal(claims)
	w.must(err)
	signature, err := signer.Sign(text)
	w.must(err)
	token, err := signature.CompactSerialize()
	w.must(err)
	return token
}

func TestGoodTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.issuer()
	for name, token := range map[string]string{
		"RS256":              signed(w.rsa, header(), w.claims()),
		"ES256":              w.by(jose.ES256, w.ec, "ec", w.claims()),
		"EdDSA":              w.by(jose.EdDSA, w.ed, "ed", w.claims()),
		"many audiences":     signed(w.rsa, header(), w.claims(members{"aud": []string{"other", "sluice"}})),
		"no type":            signed(w.rsa, header(members{"typ": nil}), w.claims()),
		"an access token":    signed(w.rsa, header(members{"typ": "application/at+jwt"}), w.claims()),
		"the only EC key":    w.by(jose.ES256, w.ec, "", w.claims()),
		"not quite begun":    signed(w.rsa, header(), w.claims(members{"nbf": time.Now().Unix() + 10})),
		"no nbf and no iat":  signed(w.rsa, header(), w.claims(members{"nbf": nil, "iat": nil})),
		"a thumbprint":       signed(w.rsa, header(members{"x5t": "abc"}), w.claims()),
		"claims of no use":   signed(w.rsa, header(), w.claims(members{"email": "a@b", "deep": members{"tenant": "rival"}})),
		"a time of fraction": signed(w.rsa, header(), w.claims(members{"exp": float64(time.Now().Unix()) + 600.5})),
	} {
		id, err := i.Verify(t.Context(), token)
		if err != nil || id.Subject != "alice" || id.Tenant != "acme" || len(id.Roles) != 1 || id.Roles[0] != "read" {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
	if _, err := i.Verify(t.Context(), signed(w.rsa, header(), w.claims(members{"exp": time.Now().Unix() - 1}))); err != nil {
		t.Errorf("just expired: %v", err)
	}
	if n := w.asked.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	for _, c := range []struct {
		role any
		want string
	}{{"read", "[read]"}, {"openid read  write", "[openid read write]"}, {[]string{"a", "b"}, "[a b]"}, {nil, "[]"}, {7, "[]"}, {members{"a": 1}, "[]"}, {[]any{"read", 1}, "[]"}} {
		id, err := i.Verify(t.Context(), signed(w.rsa, header(), w.claims(members{"role": c.role})))
		if got := fmt.Sprint(id.Roles); err != nil || got != c.want {
			t.Errorf("role %v is %s, %v", c.role, got, err)
		}
	}
	renamed := w.issuer(func(c *issuer.Config) { c.TenantClaim, c.RoleClaim = "https://sluice.example/tenant", "scope" })
	id, err := renamed.Verify(t.Context(), signed(w.rsa, header(), w.claims(members{"https://sluice.example/tenant": "beta", "scope": "admin"})))
	if err != nil || id.Tenant != "beta" || id.Roles[0] != "admin" {
		t.Errorf("by other names: %+v, %v", id, err)
	}
}

// hostile are tokens of which none may pass.
func (w *world) hostile() map[string]string {
	good := signed(w.rsa, header(), w.claims())
	parts := strings.Split(good, ".")
	now := time.Now().Unix()
	with := func(more members) string { return signed(w.rsa, header(), w.claims(more)) }
	head := func(more members) string { return signed(w.rsa, header(more), w.claims()) }
	forged := func(more members) string { return signed(w.other, header(more), w.claims()) }
	jwk := jose.JSONWebKey{Key: w.other.Public(), KeyID: "rsa", Algorithm: "RS256"}
	jsonClaims := func(text string) string {
		return signed(w.rsa, header(), strings.NewReplacer("ISS", w.url, "EXP", fmt.Sprint(now+600)).Replace(text))
	}
	return map[string]string{
		// Algorithms.
		"none, unsigned":                   b64(header(members{"alg": "none"})) + "." + parts[1] + ".",
		"none, with a signature":           b64(header(members{"alg": "none"})) + "." + parts[1] + "." + parts[2],
		"None":                             b64(header(members{"alg": "None"})) + "." + parts[1] + ".",
		"no algorithm":                     head(members{"alg": nil}),
		"an empty algorithm":               head(members{"alg": ""}),
		"an algorithm that is a number":    head(members{"alg": 256}),
		"a list of algorithms":             head(members{"alg": []string{"RS256", "none"}}),
		"HS256 by the public key as PEM":   mac(pemOf(w.rsa), header(members{"alg": "HS256"}), w.claims()),
		"HS256 by its modulus":             mac(w.rsa.N.Bytes(), header(members{"alg": "HS256"}), w.claims()),
		"HS256 by nothing":                 mac(nil, header(members{"alg": "HS256"}), w.claims()),
		"HS256 by a published secret":      mac([]byte("a secret that was published by mistake"), header(members{"alg": "HS256", "kid": "oct"}), w.claims()),
		"RS512 said, RS256 done":           head(members{"alg": "RS512"}),
		"PS256 said, RS256 done":           head(members{"alg": "PS256"}),
		"ES256 said, RS256 done":           head(members{"alg": "ES256"}),
		"ES256 by the key of RS256":        w.by(jose.ES256, w.ec, "rsa", w.claims()),
		"another algorithm than the key's": w.by(jose.RS512, w.rsa, "rsa", w.claims()),
		// Keys.
		"another's signature":         forged(nil),
		"an unknown kid":              forged(members{"kid": "other"}),
		"a kid that is a path":        forged(members{"kid": "../../../../dev/null"}),
		"a kid that is SQL":           forged(members{"kid": "' UNION SELECT 'rsa' --"}),
		"a kid that is a URL":         forged(members{"kid": w.url + "/keys"}),
		"a kid with a NUL":            forged(members{"kid": "rsa\x00"}),
		"a kid that is a number":      head(members{"kid": 1}),
		"a kid that is a list":        head(members{"kid": []string{"rsa"}}),
		"a long kid":                  forged(members{"kid": strings.Repeat("k", 7000)}),
		"a weak key, though its own":  signed(w.weak, header(members{"kid": "weak"}), w.claims()),
		"a key for sealing":           signed(w.other, header(members{"kid": "sealing"}), w.claims()),
		"its own key in jwk":          forged(members{"jwk": jwk}),
		"a good one with a jwk":       head(members{"jwk": jwk}),
		"its own key behind jku":      forged(members{"jku": "https://evil.example/keys"}),
		"a good one with a jku":       head(members{"jku": "https://evil.example/keys"}),
		"its own key behind x5u":      forged(members{"x5u": "https://evil.example/cert.pem"}),
		"its own certificate in x5c":  forged(members{"x5c": []string{"AAAA"}}),
		"a good one with an x5c":      head(members{"x5c": []string{"AAAA"}}),
		"an empty kid, which is none": forged(members{"kid": ""}),
		// The header's extensions.
		"crit":                 head(members{"crit": []string{"exp"}}),
		"crit of what is none": head(members{"crit": []string{"of-tomorrow"}, "of-tomorrow": true}),
		"an empty crit":        head(members{"crit": []string{}}),
		"b64 false":            head(members{"crit": []string{"b64"}, "b64": false}),
		"zip":                  head(members{"zip": "DEF"}),
		"cty":                  head(members{"cty": "JWT"}),
		"a token of logout":    head(members{"typ": "logout+jwt"}),
		"a type that is none":  head(members{"typ": 1}),
		// The form.
		"nothing":                    "",
		"two dots":                   "..",
		"one part":                   parts[0],
		"two parts":                  parts[0] + "." + parts[1],
		"four parts":                 good + ".AAAA",
		"no signature":               parts[0] + "." + parts[1] + ".",
		"a signature cut short":      good[:len(good)-4],
		"a signature with more":      good + "AAAA",
		"a signature of another":     parts[0] + "." + b64(w.claims(members{"tenant": "rival"})) + "." + parts[2],
		"padded":                     parts[0] + "==." + parts[1] + "." + parts[2],
		"white space":                parts[0] + ". " + parts[1] + "." + parts[2],
		"the JSON form":              fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2]),
		"a token for two":            fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, parts[1], parts[0], parts[2]),
		"an encrypted one":           b64(members{"alg": "RSA-OAEP", "enc": "A256GCM"}) + ".AA.AA.AA.AA",
		"a header that is no object": b64("[]") + "." + parts[1] + "." + parts[2],
		"a header that is null":      b64("null") + "." + parts[1] + "." + parts[2],
		"two algorithms":             signed(w.rsa, `{"alg":"none","alg":"RS256","kid":"rsa"}`, w.claims()),
		"oversized":                  with(members{"more": strings.Repeat("x", 9000)}),
		"claims that are no object":  signed(w.rsa, header(), "[]"),
		"claims that are null":       signed(w.rsa, header(), "null"),
		"claims that are no JSON":    signed(w.rsa, header(), "{"),
		"claims with more behind":    jsonClaims(`{"iss":"ISS","aud":"sluice","sub":"a","tenant":"acme","exp":EXP}{}`),
		// Whose, for whom, and when.
		"no iss":                     with(members{"iss": nil}),
		"another iss":                with(members{"iss": "https://evil.example"}),
		"an iss with a slash more":   with(members{"iss": w.url + "/"}),
		"an iss in other case":       with(members{"iss": strings.ToUpper(w.url)}),
		"a list of iss":              with(members{"iss": []string{w.url}}),
		"no aud":                     with(members{"aud": nil}),
		"another aud":                with(members{"aud": "other"}),
		"an empty list of aud":       with(members{"aud": []string{}}),
		"an aud that has ours in it": with(members{"aud": "sluice-staging"}),
		"an aud that is an object":   with(members{"aud": members{"sluice": true}}),
		"expired":                    with(members{"exp": now - 61}),
		"expired long ago":           with(members{"exp": 1}),
		"no exp":                     with(members{"exp": nil}),
		"an exp that is null":        jsonClaims(`{"iss":"ISS","aud":"sluice","sub":"a","tenant":"acme","exp":null}`),
		"an exp that is a text":      with(members{"exp": fmt.Sprint(now + 600)}),
		"an exp below 0":             with(members{"exp": -1}),
		"an exp of the far future":   with(members{"exp": int64(1) << 62}),
		"an exp beyond all numbers":  jsonClaims(`{"iss":"ISS","aud":"sluice","sub":"a","tenant":"acme","exp":1e400}`),
		"an exp of 1e300":            jsonClaims(`{"iss":"ISS","aud":"sluice","sub":"a","tenant":"acme","exp":1e300}`),
		"an exp of next year":        with(members{"exp": now + 366*24*3600}),
		"nbf ahead":                  with(members{"nbf": now + 600}),
		"an nbf that is a text":      with(members{"nbf": "now"}),
		"iat ahead":                  with(members{"iat": now + 600}),
		"two exp":                    jsonClaims(`{"iss":"ISS","aud":"sluice","sub":"a","tenant":"acme","exp":1,"exp":EXP}`),
		"two tenants":                jsonClaims(`{"iss":"ISS","aud":"sluice","sub":"a","tenant":"acme","tenant":"rival","exp":EXP}`),
		"claims in other case":       jsonClaims(`{"ISS":"ISS","AUD":"sluice","SUB":"a","TENANT":"acme","EXP":EXP}`),
		// Who.
		"no tenant":                  with(members{"tenant": nil}),
		"an empty tenant":            with(members{"tenant": ""}),
		"a tenant that is a list":    with(members{"tenant": []string{"acme"}}),
		"a tenant that is a number":  with(members{"tenant": 7}),
		"a tenant that is true":      with(members{"tenant": true}),
		"a tenant that is an object": with(members{"tenant": members{"id": "acme"}}),
		"a tenant that is null":      jsonClaims(`{"iss":"ISS","aud":"sluice","sub":"a","tenant":null,"exp":EXP}`),
		"no sub":                     with(members{"sub": nil}),
		"an empty sub":               with(members{"sub": ""}),
		"a sub that is a number":     with(members{"sub": 7}),
		"a long sub":                 with(members{"sub": strings.Repeat("s", 256)}),
	}
}

func TestHostileTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.issuer()
	hostile := w.hostile()
	for name, token := range hostile {
		if id, err := i.Verify(t.Context(), token); !errors.Is(err, issuer.ErrToken) {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
	if len(hostile) < 40 {
		t.Errorf("only %d hostile tokens", len(hostile))
	}
	if _, err := i.Verify(t.Context(), signed(w.rsa, header(), w.claims())); err != nil {
		t.Errorf("a good one behind them: %v", err)
	}
	if n := w.asked.Load(); n != 1 {
		t.Errorf("unknown kids had the keys fetched %d times", n)
	}
}

// A key that the issuer begins to use is fetched as soon as a token names it; one that it takes back is gone when the
// keys are fetched anew.
func TestKeysChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.issuer(func(c *issuer.Config) { c.Patience, c.MaxAge = time.Nanosecond, time.Nanosecond })
	old, next := signed(w.rsa, header(), w.claims()), signed(w.other, header(members{"kid": "next"}), w.claims())
	w.verify(i, old, nil)
	w.verify(i, next, issuer.ErrToken)
	w.publish(jose.JSONWebKey{Key: w.other.Public(), KeyID: "next"})
	w.verify(i, next, nil)
	w.verify(i, old, issuer.ErrToken)
}

func (w *world) verify(i *issuer.Issuer, token string, want error) {
	w.Helper()
	if _, err := i.Verify(w.Context(), token); !errors.Is(err, want) {
		w.Errorf("verify: %v, want %v", err, want)
	}
}

// While the issuer is away, or answers what is of no use, the keys that were fetched go on; without any nothing passes.
func TestIssuerAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := signed(w.rsa, header(), w.claims())
	hasty := func(c *issuer.Config) { c.Patience, c.MaxAge = time.Nanosecond, time.Nanosecond }
	knows, never := w.issuer(hasty), w.issuer(hasty)
	w.verify(knows, good, nil)
	w.away.Store(true)
	for range 5 {
		w.verify(knows, good, nil)
		w.verify(never, good, issuer.ErrAway)
	}
	w.away.Store(false)
	w.publish() // no key
	w.verify(knows, signed(w.other, header(members{"kid": "none"}), w.claims()), issuer.ErrToken)
	w.verify(knows, good, nil)
	w.verify(never, good, issuer.ErrAway)
	w.publish(jose.JSONWebKey{Key: w.rsa.Public(), KeyID: "rsa"})
	w.verify(never, good, nil)
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := signed(w.rsa, header(), w.claims())
	w.verify(w.issuer(func(c *issuer.Config) { c.KeysURL = "" }), good, nil)
	elsewhere := httptest.NewServer(http.RedirectHandler(w.url+"/.well-known/openid-configuration", http.StatusFound))
	t.Cleanup(elsewhere.Close)
	w.verify(w.issuer(func(c *issuer.Config) { c.Issuer, c.KeysURL = elsewhere.URL, "" }), good, issuer.ErrAway)
	another := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q}`, w.url, w.url+"/keys")
	}))
	t.Cleanup(another.Close)
	w.verify(w.issuer(func(c *issuer.Config) { c.Issuer, c.KeysURL = another.URL, "" }), good, issuer.ErrAway)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := issuer.Config{Issuer: "https://issuer.example", Audience: "sluice"}
	for name, edit := range map[string]func(*issuer.Config){
		"Audience": func(c *issuer.Config) { c.Audience = "" },
		"Issuer":   func(c *issuer.Config) { c.Issuer = "http://issuer.example" },
		"KeysURL":  func(c *issuer.Config) { c.KeysURL = "file:///etc/passwd" },
		"MaxAge":   func(c *issuer.Config) { c.MaxAge = -1 },
	} {
		bad := good
		edit(&bad)
		if _, err := issuer.New(bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a bad %s gives %v", name, err)
		}
	}
	for text, ok := range map[string]bool{
		"https://a.example/x": true, "http://127.0.0.1:1": true, "http://localhost": true, "http://[::1]:9": true,
		"": false, "a.example": false, "http://a.example": false, "https://u:p@a.example": false, "http://127.0.0.1.evil.example": false, "ftp://localhost": false,
	} {
		if err := issuer.CheckURL(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
