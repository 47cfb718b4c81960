package gateway_test

import (
	"regexp"
	"strings"
	"testing"
)

func TestPage(t *testing.T) {
	t.Parallel()
	s := start(t)
	for path, media := range map[string]string{"/": "text/html", "/app.js": "text/javascript", "/style.css": "text/css"} {
		a := s.get(path)
		if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), media) || len(a.body) < 500 {
			t.Errorf("%s: %d %s, %d bytes", path, a.status, a.header.Get("Content-Type"), len(a.body))
		}
		policy := a.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s has the policy %s", path, policy)
		}
		// What the policy would block, or what would let a file name become markup.
		if bad := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\son\w+=["']|<style|\sstyle=|https?://`).FindString(a.body); bad != "" {
			t.Errorf("%s holds %s", path, bad)
		}
	}
	for _, path := range []string{"/web/app.js", "/index.html", "/gateway.go", "/..%2fgateway.go"} {
		wantProblem(t, s.get(path), 404, path)
	}
}
