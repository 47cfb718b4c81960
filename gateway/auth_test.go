package gateway_test

import (
	"encoding/base64"
	"net/http"
	"testing"

	"sluice/gateway"
	"sluice/internal/job"
)

func TestKey(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.APIKey = "secret-key" })
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, c := range []struct {
		name, authorization string
		in                  bool
	}{
		{"bearer", "Bearer secret-key", true},
		{"bearer in other case", "bearer  secret-key", true},
		{"basic user", basic("secret-key", ""), true},
		{"basic user with any password", basic("secret-key", "x"), true},
		{"none", "", false},
		{"wrong", "Bearer secret-kex", false},
		{"prefix", "Bearer secret", false},
		{"longer", "Bearer secret-key2", false},
		{"basic password", basic("x", "secret-key"), false},
		{"other scheme", "Digest secret-key", false},
		{"no scheme", "secret-key", false},
	} {
		for _, path := range []string{"/api/jobs/", "/metrics"} {
			a := s.do(http.MethodGet, path, fields{"Authorization": c.authorization}, nil)
			if c.in && a.status != http.StatusOK {
				t.Errorf("%s: %s answers %d", c.name, path, a.status)
			}
			if !c.in {
				wantProblem(t, a, http.StatusUnauthorized, path)
				if a.header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s: %s does not say how to authenticate", c.name, path)
				}
			}
		}
	}
}

func TestWhatNeedsNoKey(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.APIKey = "secret-key" })
	for _, path := range []string{"/", "/app.js", "/style.css", "/healthz", "/readyz"} {
		if a := s.get(path); a.status != http.StatusOK {
			t.Errorf("%s answers %d without a key", path, a.status)
		}
	}
	id := job.NewID()
	for _, c := range []struct{ method, path string }{
		{"POST", "/files/"},
		{"OPTIONS", "/files/"},
		{"HEAD", "/files/" + id},
		{"PATCH", "/files/" + id},
		{"DELETE", "/files/" + id},
		{"GET", "/api/jobs/"},
		{"GET", "/api/jobs/" + id + "/status/"},
		{"GET", "/api/jobs/" + id + "/offers/"},
		{"GET", "/api/jobs/" + id + "/aggregates/"},
		{"GET", "/api/jobs/" + id + "/rejects/"},
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
		{"POST", "/"},
	} {
		if a := s.do(c.method, c.path, fields{"Tus-Resumable": "1.0.0"}, nil); a.status != http.StatusUnauthorized && c.path != "/" {
			t.Errorf("%s %s answers %d without a key", c.method, c.path, a.status)
		}
	}
}

func TestKeylessAnswersLoopbackNamesOnly(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.PublicURL = "https://sluice.example/" })
	for host, status := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1": 200, "127.8.9.1:80": 200, "[::1]:8080": 200, "sluice.example": 200,
		"evil.example": 421, "evil.example:8080": 421, "10.0.0.1": 421, "localhost.evil.example": 421,
	} {
		a := s.do(http.MethodGet, "/api/jobs/", fields{"Host": host}, nil)
		if a.status != status {
			t.Errorf("host %s: got %d, want %d", host, a.status, status)
		}
	}
}
