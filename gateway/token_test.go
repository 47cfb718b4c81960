package gateway_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sluice/gateway"
	"sluice/internal/job"
)

// token issues an upload token for that many bytes and returns the header that carries it.
func (s *server) token(body string) fields {
	s.t.Helper()
	a := s.do(http.MethodPost, "/api/upload-tokens/", fields{"Authorization": "Bearer secret-key", "Content-Type": "application/json"}, strings.NewReader(body))
	if a.status != http.StatusCreated {
		s.t.Fatalf("issue a token: %d %s", a.status, a.body)
	}
	var t struct {
		Token     string
		UploadURL string `json:"upload_url"`
	}
	decode(s.t, a.body, &t)
	if t.UploadURL != "/files/" {
		s.t.Errorf("uploads go to %s", t.UploadURL)
	}
	return fields{"Authorization": "Bearer " + t.Token}
}

// with adds to the header what a tus request has.
func (f fields) with(more ...string) fields {
	all := fields{"Tus-Resumable": "1.0.0"}
	maps.Copy(all, f)
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func TestTokenSendsAndFollows(t *testing.T) {
	t.Parallel()
	s := start(t, keyed)
	token := s.token(`{"max_bytes":10}`)
	created := s.do(http.MethodPost, "/files/", token.with("Upload-Length", "5"), nil)
	if created.status != http.StatusCreated {
		t.Fatalf("create: %d %s", created.status, created.body)
	}
	path := created.header.Get("Location")
	id := strings.TrimPrefix(path, "/files/")
	if a := s.do(http.MethodPatch, path, token.with("Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"), strings.NewReader("12345")); a.status != http.StatusNoContent {
		t.Fatalf("send: %d %s", a.status, a.body)
	}
	if a := s.do(http.MethodHead, path, token.with(), nil); a.status != http.StatusOK || a.header.Get("Upload-Offset") != "5" {
		t.Errorf("HEAD: %d %v", a.status, a.header)
	}
	for _, base := range []string{"/api/jobs/", "/api/financial-transactions/jobs/"} {
		if a := s.do(http.MethodGet, base+id+"/status/", token, nil); a.status != http.StatusOK {
			t.Errorf("status: %d %s", a.status, a.body)
		}
	}
	if a := s.do(http.MethodHead, "/api/jobs/"+id+"/events/", token, nil); a.status != http.StatusOK {
		t.Errorf("events: %d", a.status)
	}

	// Of five more bytes there is room for no six, and the five are all.
	wantProblem(t, s.do(http.MethodPost, "/files/", token.with("Upload-Length", "6"), nil), http.StatusForbidden, "/files/")
	wantProblem(t, s.do(http.MethodPost, "/files/", token.with("Upload-Defer-Length", "1"), nil), http.StatusForbidden, "/files/")
	for _, concat := range []string{"partial", "final;" + path} {
		wantProblem(t, s.do(http.MethodPost, "/files/", token.with("Upload-Length", "1", "Upload-Concat", concat), nil), http.StatusForbidden, "/files/")
	}
	second := s.do(http.MethodPost, "/files/", token.with("Upload-Length", "5"), nil)
	if a := s.do(http.MethodDelete, second.header.Get("Location"), token.with(), nil); a.status != http.StatusNoContent {
		t.Errorf("give up: %d %s", a.status, a.body)
	}
	wantProblem(t, s.do(http.MethodPost, "/files/", token.with("Upload-Length", "1"), nil), http.StatusForbidden, "/files/")

	// What is complete is a job's: its deletion takes the key, by this way too.
	wantProblem(t, s.do(http.MethodDelete, path, token.with(), nil), http.StatusForbidden, "DELETE "+path)

	for _, c := range []struct{ method, path string }{
		{"GET", "/api/jobs/"},
		{"GET", "/api/jobs/" + id + "/offers/"},
		{"GET", "/api/jobs/" + id + "/aggregates/"},
		{"GET", "/api/jobs/" + id + "/portfolio/"},
		{"GET", "/api/jobs/" + id + "/rejects/"},
		{"POST", "/api/jobs/" + id + "/cancel/"},
		{"POST", "/api/jobs/" + id + "/retry/"},
		{"DELETE", "/api/jobs/" + id + "/"},
		{"POST", "/api/upload-tokens/"},
		{"POST", "/session"},
		{"POST", "/api/financial-transactions/upload-file/"},
		{"POST", "/api/financial-transactions/stream-upload/"},
		{"POST", "/api/financial-transactions/process-transactions/"},
		{"POST", "/api/financial-transactions/upload-chunked/"},
		{"GET", "/api/financial-transactions/upload-chunked/s/"},
		{"POST", "/api/financial-transactions/jobs/"},
		{"PUT", "/api/financial-transactions/jobs/" + id + "/upload/"},
		{"PATCH", "/api/financial-transactions/jobs/" + id + "/complete/"},
		{"GET", "/metrics"},
		{"GET", "/unknown"},
	} {
		wantProblem(t, s.do(c.method, c.path, token, nil), http.StatusForbidden, c.method+" "+c.path)
	}
}

// What did not come by the token is not there for it, be it of the same tenant
// or of another of its tokens.
func TestTokenReachesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	s := start(t, keyed)
	token, other := s.token(`{"max_bytes":10}`), s.token(`{"max_bytes":10,"expires_in":60}`)
	theirs := s.do(http.MethodPost, "/files/", other.with("Upload-Length", "5"), nil).header.Get("Location")
	ours := s.do(http.MethodPost, "/files/", fields{"Authorization": "Bearer secret-key"}.with("Upload-Length", "5"), nil).header.Get("Location")
	for _, path := range []string{theirs, ours, "/files/" + job.NewID(), "/files/x"} {
		id := strings.TrimPrefix(path, "/files/")
		for _, method := range []string{http.MethodHead, http.MethodPatch, http.MethodDelete} {
			if a := s.do(method, path, token.with("Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"), strings.NewReader("12345")); a.status != http.StatusNotFound {
				t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
			}
		}
		for _, what := range []string{"status", "events"} {
			wantProblem(t, s.do(http.MethodGet, "/api/jobs/"+id+"/"+what+"/", token, nil), http.StatusNotFound, id)
		}
	}
	// Its end is its end, in the middle of an upload too.
	if _, err := s.pool.Exec(t.Context(), "UPDATE upload_tokens SET expires_at = clock_timestamp()"); err != nil {
		t.Fatal(err)
	}
	if a := s.do(http.MethodHead, theirs, other.with(), nil); a.status != http.StatusUnauthorized {
		t.Errorf("after its end: %d", a.status)
	}
	s.token(`{"max_bytes":1}`)
	var left int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM upload_tokens").Scan(&left); err != nil || left != 1 {
		t.Errorf("%d tokens are kept, %v", left, err)
	}
}

func TestTokenIsAskedForRightly(t *testing.T) {
	t.Parallel()
	s := start(t, keyed)
	for _, body := range []string{
		``, `x`, `[]`, `{}`, `{"max_bytes":0}`, `{"max_bytes":-1}`, `{"max_bytes":9007199254740993}`, `{"max_bytes":1.5}`, `{"max_bytes":1,"expires_in":59}`,
		`{"max_bytes":1,"expires_in":86401}`, `{"max_bytes":1,"more":1}`, `{"max_bytes":"1"}`,
	} {
		wantProblem(t, s.do(http.MethodPost, "/api/upload-tokens/", fields{"Authorization": "Bearer secret-key"}, strings.NewReader(body)), http.StatusBadRequest, body)
	}
	for _, token := range []string{"sut_", "sut_" + strings.Repeat("A", 26)} {
		wantProblem(t, s.do(http.MethodGet, "/api/jobs/"+job.NewID()+"/status/", fields{"Authorization": "Bearer " + token}, nil), http.StatusUnauthorized, token)
	}
}

// Only the listed origins' pages may read answers, to the letter, and never with a cookie.
func TestOrigins(t *testing.T) {
	t.Parallel()
	s := start(t, keyed, func(c *gateway.Config) { c.Origins = []string{"https://shop.example", "http://127.0.0.1:9000"} })
	preflight := fields{"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,tus-resumable,upload-offset"}
	for origin, in := range map[string]bool{
		"https://shop.example": true, "http://127.0.0.1:9000": true,
		"http://shop.example": false, "https://shop.example:8443": false, "https://shop.example.evil.example": false, "https://evilshop.example": false,
		"https://SHOP.example": false, "null": false, "": false, "*": false,
	} {
		for _, path := range []string{"/files/", "/files/job_x", "/api/jobs/job_x/status/"} {
			a := s.do(http.MethodOptions, path, preflight.with("Origin", origin), nil)
			allowed := a.header.Get("Access-Control-Allow-Origin")
			if in != (allowed == origin && origin != "") || !in && allowed != "" || in && a.status != http.StatusNoContent {
				t.Errorf("preflight of %s from %q: %d allows %q", path, origin, a.status, allowed)
			}
			if in {
				for _, header := range []string{"Authorization", "Content-Type", "Tus-Resumable", "Upload-Length", "Upload-Metadata", "Upload-Offset", "Last-Event-ID"} {
					if !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), header) {
						t.Errorf("preflight does not allow %s", header)
					}
				}
			}
			b := s.do(http.MethodGet, "/api/jobs/", fields{"Origin": origin, "Authorization": "Bearer secret-key"}, nil)
			if got := b.header.Get("Access-Control-Allow-Origin"); b.status != http.StatusOK || in != (got != "") || b.header.Get("Vary") != "Origin" {
				t.Errorf("from %q: %d allows %q, varies by %q", origin, b.status, got, b.header.Get("Vary"))
			}
			for _, h := range []http.Header{a.header, b.header} {
				if h.Get("Access-Control-Allow-Credentials") != "" {
					t.Error("cookies are let in")
				}
			}
		}
	}
	// What there is can be asked for, whatever its method.
	allowed := s.do(http.MethodOptions, "/api/jobs/", preflight.with("Origin", "https://shop.example"), nil).header.Get("Access-Control-Allow-Methods")
	for _, route := range gateway.Routes() {
		if method, path, _ := strings.Cut(route, " "); (strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/files/")) && method != http.MethodOptions && !slices.Contains(strings.Split(allowed, ", "), method) {
			t.Errorf("%s is not allowed: %s", route, allowed)
		}
	}
	// A refusal can be read, too, and the page is nobody else's.
	if a := s.do(http.MethodGet, "/api/jobs/", fields{"Origin": "https://shop.example"}, nil); a.status != http.StatusUnauthorized || a.header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("without a key: %d %v", a.status, a.header)
	}
	if a := s.do(http.MethodGet, "/", fields{"Origin": "https://shop.example"}, nil); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("the page is shared")
	}
}
