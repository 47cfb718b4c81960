package gateway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/gateway"
)

func TestPage(t *testing.T) {
	t.Parallel()
	s := start(t)
	for path, media := range map[string]string{"/": "text/html", "/docs": "text/html", "/app.js": "text/javascript", "/docs.js": "text/javascript", "/style.css": "text/css"} {
		a := s.get(path)
		if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), media) || len(a.body) < 300 {
			t.Errorf("%s: %d %s, %d bytes", path, a.status, a.header.Get("Content-Type"), len(a.body))
		}
		policy := a.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s has the policy %s", path, policy)
		}
		// What the policy would block.
		if bad := regexp.MustCompile(`document\.write|\beval\(|new Function|<style|\sstyle="|<script>`).FindString(a.body); bad != "" {
			t.Errorf("%s holds %s", path, bad)
		}
	}
	for _, path := range []string{"/web/dist/app.js", "/index.html", "/gateway.go", "/..%2fgateway.go"} {
		wantProblem(t, s.get(path), 404, path)
	}
}

// A file name or a cell is never markup: nothing in the page's source could make it so.
func TestPageSetsTextAsText(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob("web/src/*.ts*")
	if err != nil || len(sources) < 10 {
		t.Fatalf("%d sources, %v", len(sources), err)
	}
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bad := regexp.MustCompile(`innerHTML|outerHTML|InnerHTML|insertAdjacentHTML|document\.write|eval\(|\sstyle=|https?://`).Find(text); bad != nil {
			t.Errorf("%s holds %s", path, bad)
		}
	}
}

// Browsers are told to come by https only where they do, and each answer, an
// error's too, has what keeps its content from being taken for another.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	for publicURL, want := range map[string]string{"": "", "http://127.0.0.1:8080": "", "https://sluice.example": "max-age=31536000"} {
		s := start(t, func(c *gateway.Config) { c.PublicURL = publicURL })
		for _, path := range []string{"/", "/healthz", "/api/jobs/", "/api/jobs/job_x/status/", "/nothing"} {
			a := s.get(path)
			if got := a.header.Get("Strict-Transport-Security"); got != want {
				t.Errorf("%q: %s has Strict-Transport-Security %q", publicURL, path, got)
			}
			if a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Content-Security-Policy") == "" || a.header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s: %v", path, a.header)
			}
		}
	}
}
