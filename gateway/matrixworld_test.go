package gateway_test

import (
	"crypto/ed25519"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"

	"sluice/gateway"
	"sluice/internal/access"
	"sluice/internal/issuer"
	"sluice/internal/job"
	"sluice/internal/webhook"
)

// matrix is a server with two tenants, acme and rival, beside that of SLUICE_API_KEY.
type matrix struct {
	*server
	keys  map[string]access.NewKey // by tenant and role
	token fields                   // acme's, which each of its uploads comes by
	made  map[string]fields        // credentials that were made before
	signs func(claims map[string]any) string
}

func newMatrix(t *testing.T, edit ...func(*gateway.Config)) *matrix {
	t.Helper()
	from, signs := trusted(t)
	s := start(t, append(edit, keyed, func(c *gateway.Config) { c.AdminKey, c.HookSecret, c.Issuer = "admin-key", "hush", from })...)
	m := &matrix{server: s, signs: signs, keys: map[string]access.NewKey{}, made: map[string]fields{}}
	for _, tenant := range []string{"acme", "rival"} {
		for _, role := range []access.Role{access.Upload, access.Read, access.Admin} {
			m.keys[tenant+" "+string(role)] = m.key(tenant, role, 0)
		}
	}
	m.token = m.newToken()
	return m
}

// trusted is an issuer, and what signs its tokens: claims are added to those of a
// good one of acme's, and nil takes one away.
func trusted(t *testing.T) (*issuer.Issuer, func(claims map[string]any) string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "1"}}})
	}))
	t.Cleanup(web.Close)
	from, err := issuer.New(issuer.Config{Issuer: web.URL, Audience: "sluice", KeysURL: web.URL})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: "1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return from, func(claims map[string]any) string {
		all := map[string]any{"iss": web.URL, "aud": "sluice", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "tenant": "acme", "role": "read"}
		maps.Copy(all, claims)
		signature, err := signer.Sign([]byte(jsonOf(t, all)))
		if err != nil {
			t.Fatal(err)
		}
		token, err := signature.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
}

// jwt is what a token of the issuer's of those claims comes as.
func (m *matrix) jwt(claims map[string]any) fields { return bearer(m.signs(claims)) }

func (m *matrix) key(tenant string, role access.Role, lifetime time.Duration) access.NewKey {
	m.t.Helper()
	k, err := m.access.Create(m.t.Context(), access.Draft{Tenant: tenant, Role: role, Lifetime: lifetime})
	m.must(err)
	return k
}

func (m *matrix) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func bearer(text string) fields { return fields{"Authorization": "Bearer " + text} }

// newToken is an upload token of acme's.
func (m *matrix) newToken() fields {
	m.t.Helper()
	header := bearer(m.keys["acme admin"].Text)
	maps.Copy(header, jsonType)
	a := m.do(http.MethodPost, "/api/upload-tokens/", header, strings.NewReader(`{"max_bytes":1000000}`))
	var token struct{ Token string }
	decode(m.t, a.body, &token)
	return bearer(token.Token)
}

// session is the cookie of a session begun with the key.
func (m *matrix) session(k access.NewKey) fields {
	m.t.Helper()
	text, _, err := m.access.Begin(m.t.Context(), access.Principal{Tenant: k.Tenant, Role: k.Role, KeyID: k.ID}, time.Hour, time.Time{})
	m.must(err)
	return fields{"Cookie": "sluice_session=" + text, "Sec-Fetch-Site": "same-origin"}
}

func (m *matrix) revoked() access.NewKey {
	m.t.Helper()
	k := m.key("acme", access.Admin, 0)
	m.must(m.access.Revoke(m.t.Context(), k.ID))
	return k
}

// with returns the headers of a credential, made once, but for sessions that end.
func (m *matrix) with(credential string, v visit) fields {
	m.t.Helper()
	if v.kind == "leave" {
		return m.make(credential)
	}
	if m.made[credential] == nil {
		m.made[credential] = m.make(credential)
	}
	return m.made[credential]
}

func (m *matrix) make(credential string) fields {
	m.t.Helper()
	role := func(of string) access.NewKey { return m.keys["acme "+strings.Fields(of)[0]] }
	switch credential {
	case "nothing":
		return nil
	case "a wrong key":
		return bearer("secret-kez")
	case "an unknown key":
		text := m.keys["acme admin"].Text
		return bearer(text[:len(text)-52] + strings.Repeat("a", 52))
	case "a revoked key":
		return bearer(m.revoked().Text)
	case "an expired key":
		k := m.key("acme", access.Admin, time.Hour)
		m.exec("UPDATE access_keys SET expires_at = clock_timestamp() WHERE id = $1", k.ID)
		return bearer(k.Text)
	case "another tenant's key":
		return bearer(m.keys["rival admin"].Text)
	case "an upload key", "a read key", "an admin key":
		return bearer(role(strings.TrimPrefix(strings.TrimPrefix(credential, "an "), "a ")).Text)
	case "a session of an upload key", "a session of a read key", "a session of an admin key":
		return m.session(role(strings.TrimPrefix(strings.TrimPrefix(credential, "a session of a"), "n")))
	case "a session of an admin key, not from the page":
		header := m.session(m.keys["acme admin"])
		delete(header, "Sec-Fetch-Site")
		return header
	case "a session of a revoked key":
		k := m.key("acme", access.Admin, 0)
		header := m.session(k)
		m.must(m.access.Revoke(m.t.Context(), k.ID))
		return header
	case "a forged session":
		return fields{"Cookie": "sluice_session=sls_" + strings.Repeat("a", 52), "Sec-Fetch-Site": "same-origin"}
	case "the upload's token":
		return m.token
	case "another upload's token":
		return m.newToken()
	case "an expired token":
		header := m.newToken()
		m.exec("UPDATE upload_tokens SET expires_at = clock_timestamp() WHERE digest = sha256($1)", []byte(strings.TrimPrefix(header["Authorization"], "Bearer ")))
		return header
	case "an issuer's token of the role upload", "an issuer's token of the role read", "an issuer's token of the role admin":
		return m.jwt(map[string]any{"role": "openid sluice:" + credential[strings.LastIndex(credential, " ")+1:]})
	case "a session of an issuer's token":
		a := m.do(http.MethodPost, "/session", m.jwt(map[string]any{"role": []string{"admin"}}), nil)
		cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
		return fields{"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
	case "another tenant's token of the issuer":
		return m.jwt(map[string]any{"tenant": "rival", "role": "admin"})
	case "an expired token of the issuer":
		return m.jwt(map[string]any{"role": "admin", "exp": time.Now().Add(-time.Hour).Unix()})
	case "a token of the issuer without a role":
		return m.jwt(map[string]any{"role": "read upload"}) // which of the two?
	case "a token of the issuer for a tenant that cannot be":
		return m.jwt(map[string]any{"role": "admin", "tenant": "acme/../rival"})
	case "a token of nobody's":
		_, signs := trusted(m.t.(*testing.T))
		return bearer(signs(map[string]any{"role": "admin"}))
	case "SLUICE_API_KEY":
		return bearer("secret-key")
	case "SLUICE_ADMIN_KEY":
		return bearer("admin-key")
	}
	m.t.Fatalf("nobody has %s", credential)
	return nil
}

// upload is one of five bytes that are still to come.
func (m *matrix) upload() []string {
	a := m.do(http.MethodPost, "/files/", m.token.with("Upload-Length", "5"), nil)
	return []string{strings.TrimPrefix(a.header.Get("Location"), "/files/")}
}

// ended is an upload that was cancelled: its events come to an end.
func (m *matrix) ended() []string {
	id := m.upload()
	m.inTx("acme", func(tx pgx.Tx) error { return m.jobs.CancelTx(m.t.Context(), tx, "acme", id[0]) })
	return id
}

func (m *matrix) chunks() []string {
	session := strings.ToLower(job.NewID())
	header := bearer(m.keys["acme upload"].Text)
	maps.Copy(header, jsonType)
	m.told(m.do(http.MethodPost, chunkedPath, header, strings.NewReader(chunkBody(session, 1, 2, "[]"))), http.StatusAccepted)
	return []string{session}
}

func (m *matrix) batches() []string {
	header := bearer(m.keys["acme upload"].Text)
	maps.Copy(header, jsonType)
	id := m.told(m.do(http.MethodPost, doorsPath+"jobs/", header, strings.NewReader(newBatch)), http.StatusCreated)["job_id"].(string)
	header["Content-Type"] = "text/csv"
	m.told(m.do(http.MethodPut, doorsPath+"jobs/"+id+"/upload/", header, strings.NewReader(smallCSV)), http.StatusOK)
	return []string{id}
}

func (m *matrix) complete() []string {
	return []string{m.completed(outcome{tenant: "acme", offers: []job.Offer{{AccountID: "a", Day: job.NoDay, Approved: true, RiskLevel: "LOW"}}, rejects: "line,reason,detail\n"})}
}

func (m *matrix) queuedJob() []string { return []string{m.queued(job.Draft{Tenant: "acme"})} }

func (m *matrix) failed() []string {
	id := m.queuedJob()
	m.must(m.jobs.Fail(m.t.Context(), m.claim("acme", id[0]), job.Error{Code: "c", Message: "It failed."}, true, nil))
	return id
}

func (m *matrix) webhook() []string {
	id, err := m.jobs.RegisterWebhook(m.t.Context(), job.Webhook{Tenant: "acme", URL: "https://example.com/", EventTypes: job.EventTypes()}, webhook.NewSecret())
	m.must(err)
	return []string{id}
}

func (m *matrix) delivery() []string {
	hook := m.webhook()
	m.ended()
	logs, err := m.jobs.Deliveries(m.t.Context(), "acme", hook[0], "", 1)
	if err != nil || len(logs) != 1 {
		m.t.Fatalf("deliveries: %v, %v", logs, err)
	}
	m.exec("DELETE FROM webhooks WHERE id <> $1", hook[0]) // there may be but so many
	return append(hook, logs[0].ID)
}

func (m *matrix) watch() []string {
	id := "watch_" + strings.TrimPrefix(job.NewID(), "job_")
	m.exec(`INSERT INTO watches (id, tenant, bucket, prefix, suffixes, credit_model_config, aggregate_config, parse_config, after, move_to, in_order)
		VALUES ($1, 'acme', 'drops', $1, '{}', '', '', '', 'keep', '', false)`, id)
	return []string{id}
}

// filled fills the ids into a route's path.
func filled(path string, ids []string) string {
	for _, id := range ids {
		open, end := strings.Index(path, "{"), strings.Index(path, "}")
		path = path[:open] + id + path[end+1:]
	}
	return strings.Replace(path, "*", "api/jobs", 1)
}

// ask sends a visit with a credential.
func (m *matrix) ask(method, path string, v visit, credential fields) answer {
	header := fields{}
	maps.Copy(header, v.header)
	maps.Copy(header, credential)
	if v.body == "" {
		return m.do(method, path, header, nil)
	}
	return m.do(method, path, header, strings.NewReader(v.body))
}
