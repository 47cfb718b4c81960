package gateway_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"sluice/gateway"
)

// logIn trades the key for a cookie, as the page does.
func (s *server) logIn(key string) *http.Cookie {
	s.t.Helper()
	a := s.do(http.MethodPost, "/session", fields{"Authorization": "Bearer " + key}, nil)
	cookies, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
	if a.status != http.StatusNoContent || err != nil {
		s.t.Fatalf("POST /session: %d %s, %v", a.status, a.body, err)
	}
	return cookies
}

func keyed(c *gateway.Config) { c.APIKey = "secret-key" }

func TestSession(t *testing.T) {
	t.Parallel()
	s := start(t, keyed)
	cookie := s.logIn("secret-key")
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Secure || cookie.Path != "/" || cookie.MaxAge != 12*60*60 {
		t.Errorf("the cookie is %v", cookie)
	}
	if strings.Contains(cookie.Value, "secret") {
		t.Errorf("the cookie shows the key: %s", cookie.Value)
	}
	with := fields{"Cookie": cookie.Name + "=" + cookie.Value}
	if a := s.do(http.MethodGet, "/api/jobs/", with, nil); a.status != http.StatusOK {
		t.Errorf("with the cookie: %d %s", a.status, a.body)
	}
	for what, header := range map[string]fields{"no key": nil, "a wrong one": {"Authorization": "Bearer x"}, "a session": with} {
		wantProblem(t, s.do(http.MethodPost, "/session", header, nil), http.StatusUnauthorized, what)
	}
	wantProblem(t, s.do(http.MethodGet, "/api/jobs/", fields{"Cookie": with["Cookie"], "Authorization": "Bearer x"}, nil), http.StatusUnauthorized, "a wrong key beside it")

	// Any gateway of that key takes it, and no gateway of another.
	other := s.another(keyed)
	if a := other.do(http.MethodGet, "/api/jobs/", with, nil); a.status != http.StatusOK {
		t.Errorf("at another gateway: %d", a.status)
	}
	changed := s.another(func(c *gateway.Config) { c.APIKey = "next-key" })
	wantProblem(t, changed.do(http.MethodGet, "/api/jobs/", with, nil), http.StatusUnauthorized, "after a change of key")

	parts := strings.Split(cookie.Value, ".")
	id, ends, mac := parts[0], parts[1], parts[2]
	for _, forged := range []string{
		"", ".", "..", id, id + "." + ends, id + "." + ends + ".", id + ".9" + ends + "." + mac, id + "." + ends + "." + mac + "A",
		"." + ends + "." + mac, "A" + id + "." + ends + "." + mac, id + ends + "." + mac, id + ".1." + mac, ends + "." + mac,
	} {
		wantProblem(t, s.do(http.MethodGet, "/api/jobs/", fields{"Cookie": cookie.Name + "=" + forged}, nil), http.StatusUnauthorized, forged)
	}

	var told struct {
		KeyNeeded bool    `json:"key_needed"`
		ExpiresAt *string `json:"expires_at"`
	}
	decode(t, s.do(http.MethodGet, "/session", with, nil).body, &told)
	if !told.KeyNeeded || told.ExpiresAt == nil {
		t.Errorf("with a session: %+v", told)
	}
}

// Who logs out ends the session wherever its cookie is, and no other session.
func TestLogOutEndsTheSession(t *testing.T) {
	t.Parallel()
	s := start(t, keyed)
	left, stays := s.logIn("secret-key"), s.logIn("secret-key")
	other := s.another(keyed)
	with := func(cookie *http.Cookie) fields {
		return fields{"Cookie": cookie.Name + "=" + cookie.Value, "Sec-Fetch-Site": "same-origin"}
	}
	neighbour := with(left)
	neighbour["Sec-Fetch-Site"] = "same-site"
	wantProblem(t, s.do(http.MethodDelete, "/session", neighbour, nil), http.StatusForbidden, "ended by a neighbour")
	if a := s.do(http.MethodGet, "/api/jobs/", with(left), nil); a.status != http.StatusOK {
		t.Errorf("before it is ended: %d", a.status)
	}
	for what, header := range map[string]fields{"the first time": with(left), "again": with(left), "without a session": {"Sec-Fetch-Site": "same-origin"}} {
		if a := s.do(http.MethodDelete, "/session", header, nil); a.status != http.StatusNoContent || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("DELETE /session %s: %d %v", what, a.status, a.header)
		}
	}
	for what, at := range map[string]*server{"here": s, "at another gateway": other} {
		wantProblem(t, at.do(http.MethodGet, "/api/jobs/", with(left), nil), http.StatusUnauthorized, "ended, "+what)
		var told struct {
			ExpiresAt *string `json:"expires_at"`
		}
		decode(t, at.do(http.MethodGet, "/session", with(left), nil).body, &told)
		if told.ExpiresAt != nil {
			t.Errorf("%s the ended session is told to last until %s", what, *told.ExpiresAt)
		}
		if a := at.do(http.MethodGet, "/api/jobs/", with(stays), nil); a.status != http.StatusOK {
			t.Errorf("%s the other session: %d %s", what, a.status, a.body)
		}
	}
}

// A browser sends the cookie whoever asks it to; so what changes something must
// say that it comes from the page.
func TestSessionChangesOnlyForThePage(t *testing.T) {
	t.Parallel()
	s := start(t, keyed, func(c *gateway.Config) { c.PublicURL = "https://sluice.example/base" })
	cookie := s.logIn("secret-key")
	if !cookie.Secure {
		t.Error("behind https the cookie is not Secure")
	}
	for _, c := range []struct {
		name   string
		header fields
		in     bool
	}{
		{"says nothing", nil, false},
		{"the page", fields{"Sec-Fetch-Site": "same-origin", "Origin": "https://sluice.example"}, true},
		{"the page behind a proxy", fields{"Origin": "https://sluice.example"}, true},
		{"the page by this address", fields{"Origin": s.url}, true},
		{"another site", fields{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, false},
		{"a neighbour", fields{"Sec-Fetch-Site": "same-site", "Origin": "https://blog.sluice.example"}, false},
		{"an old browser elsewhere", fields{"Origin": "https://evil.example"}, false},
		{"a sandboxed frame", fields{"Origin": "null"}, false},
	} {
		for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodDelete} {
			header := fields{"Cookie": cookie.Name + "=" + cookie.Value, "Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
			maps.Copy(header, c.header)
			path := "/files/"
			if method != http.MethodPost {
				path += "job_none"
			}
			if a := s.do(method, path, header, nil); (a.status == http.StatusForbidden) == c.in {
				t.Errorf("%s: %s answers %d %s", c.name, method, a.status, a.body)
			}
		}
	}
	// With the key itself there is nothing to forge.
	if a := s.do(http.MethodPost, "/files/", fields{"Authorization": "Bearer secret-key", "Origin": "https://evil.example", "Tus-Resumable": "1.0.0", "Upload-Length": "5"}, nil); a.status != http.StatusCreated {
		t.Errorf("with the key: %d", a.status)
	}
}
