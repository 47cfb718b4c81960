package gateway_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"

	"sluice/gateway"
)

// shown is a stand-in for River UI, which cmd mounts, that notes what reaches it.
type shown struct {
	mu   sync.Mutex
	seen []string
}

func (s *shown) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Method+" "+r.URL.Path)
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("queue"))
}

func (s *shown) changes() (got []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, request := range s.seen {
		if !strings.HasPrefix(request, "GET ") && !strings.HasPrefix(request, "HEAD ") {
			got = append(got, request)
		}
	}
	return got
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// queuePaths are the queue's page, its files, its API and what only looks like it.
var queuePaths = []string{"/admin/queue", "/admin/queue/", "/admin/queue/api/jobs", "/admin/queue/api/jobs/delete", "/admin/queue/jobs/7", "/admin/queue/assets/main.js"}

func TestQueueIsForAdmins(t *testing.T) {
	t.Parallel()
	ui := &shown{}
	s := start(t, keyed, func(c *gateway.Config) { c.AdminKey, c.Queue = "admin-key", ui })
	session := s.logIn("secret-key")
	var token struct{ Token string }
	decode(t, s.do(http.MethodPost, "/api/upload-tokens/", fields{"Authorization": "Bearer secret-key"}, strings.NewReader(`{"max_bytes":100}`)).body, &token)
	refused := map[string]fields{
		"nothing": nil, "the tenant's key": {"Authorization": "Bearer secret-key"}, "it as a user": {"Authorization": basic("secret-key", "")},
		"it as a password": {"Authorization": basic("admin", "secret-key")}, "an empty one": {"Authorization": "Bearer "}, "an empty password": {"Authorization": basic("", "")},
		"a session": {"Cookie": session.Name + "=" + session.Value}, "an upload token": {"Authorization": "Bearer " + token.Token},
		"a wrong password beside the key": {"Authorization": basic("admin-key", "x")},
	}
	for _, path := range queuePaths {
		for what, header := range refused {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
				a := s.do(method, path, header, nil)
				wantProblem(t, a, http.StatusUnauthorized, method+" "+path+" with "+what)
				if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
					t.Errorf("%s: a browser is not asked for the key: %q", path, a.header.Get("WWW-Authenticate"))
				}
			}
		}
	}
	if len(ui.seen) > 0 {
		t.Fatalf("the queue was asked: %v", ui.seen)
	}
	for _, header := range []string{"Bearer admin-key", basic("admin-key", ""), basic("anybody", "admin-key")} {
		for _, path := range queuePaths {
			a := s.do(http.MethodGet, path, fields{"Authorization": header}, nil)
			if a.status != http.StatusOK || a.body != "queue" {
				t.Errorf("GET %s with %s: %d %s", path, header, a.status, a.body)
			}
			if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self';") || !strings.HasPrefix(policy, "default-src 'none'") {
				t.Errorf("GET %s has the policy %q", path, policy)
			}
		}
	}
}

func TestQueueIsReadOnly(t *testing.T) {
	t.Parallel()
	ui := &shown{}
	s := start(t, keyed, func(c *gateway.Config) { c.AdminKey, c.Queue = "admin-key", ui })
	for _, path := range queuePaths {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "INVENTED", http.MethodOptions} {
			a := s.do(method, path, fields{"Authorization": "Bearer admin-key", "X-HTTP-Method-Override": http.MethodGet}, nil)
			if a.status != http.StatusMethodNotAllowed && method != http.MethodOptions {
				t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
			}
			if method == http.MethodPost && !strings.Contains(a.body, "/api/jobs/{id}/cancel/") {
				t.Errorf("%s %s does not say where to do it: %s", method, path, a.body)
			}
		}
	}
	// A GET is one, whatever it says that it were.
	s.do(http.MethodGet, "/admin/queue/api/jobs/delete", fields{"Authorization": "Bearer admin-key", "X-HTTP-Method-Override": http.MethodPost}, nil)
	if got := ui.changes(); len(got) > 0 {
		t.Errorf("these reached the queue: %v", got)
	}
}

// The admin key is no key of a tenant's: it reads no file.
func TestAdminKeyOpensNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t, keyed, func(c *gateway.Config) { c.AdminKey = "admin-key" })
	admin := fields{"Authorization": "Bearer admin-key"}
	for _, path := range []string{"/api/jobs/", "/api/watches/", "/files/", "/admin/", "/admin/other"} {
		wantProblem(t, s.do(http.MethodGet, path, admin, nil), http.StatusUnauthorized, path)
	}
	wantProblem(t, s.do(http.MethodPost, "/session", admin, nil), http.StatusUnauthorized, "a session for it")
	for _, header := range []fields{admin, {"Authorization": "Bearer secret-key"}} {
		if a := s.do(http.MethodGet, "/metrics", header, nil); a.status != http.StatusOK {
			t.Errorf("/metrics with %v: %d %s", header, a.status, a.body)
		}
	}
	wantProblem(t, s.do(http.MethodGet, "/metrics", nil, nil), http.StatusUnauthorized, "/metrics without")
}

func TestQueueWithoutAdminKey(t *testing.T) {
	t.Parallel()
	closed := start(t, keyed, func(c *gateway.Config) { c.Queue = nil })
	wantProblem(t, closed.do(http.MethodGet, "/admin/queue/", fields{"Authorization": "Bearer secret-key"}, nil), http.StatusNotFound, "not mounted")
	// Though it were mounted by mistake.
	mounted := start(t, keyed)
	wantProblem(t, mounted.do(http.MethodGet, "/admin/queue/", fields{"Authorization": "Bearer secret-key"}, nil), http.StatusUnauthorized, "mounted")
	wantProblem(t, mounted.do(http.MethodGet, "/admin/queue/", nil, nil), http.StatusUnauthorized, "mounted")

	keyless := start(t)
	if a := keyless.get("/admin/queue/"); a.status != http.StatusOK {
		t.Errorf("keyless on loopback: %d %s", a.status, a.body)
	}
	wantProblem(t, keyless.do(http.MethodGet, "/admin/queue/", fields{"Host": "rebound.example"}, nil), http.StatusMisdirectedRequest, "keyless by another name")
}
