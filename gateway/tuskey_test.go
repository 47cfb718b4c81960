package gateway_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestKeyedCreation: a creation with a key is made once, whatever extension it
// uses; a repeat is told where the upload stands.
func TestKeyedCreation(t *testing.T) {
	t.Parallel()
	s := start(t)
	for name, more := range map[string][]string{
		"plain":       {"Upload-Length", "5", "Upload-Metadata", "filename YS5jc3Y="},
		"deferred":    {"Upload-Defer-Length", "1"},
		"empty":       {"Upload-Length", "0"},
		"partial":     {"Upload-Length", "5", "Upload-Concat", "partial"},
		"with-upload": {"Upload-Length", "5", "Content-Type", "application/offset+octet-stream"},
	} {
		create := func(key string, more ...string) answer {
			h := fields{"Idempotency-Key": key}.with(more...)
			body := ""
			if name == "with-upload" {
				body = "12345"
			}
			return s.do(http.MethodPost, "/files/", h, strings.NewReader(body))
		}
		var answers [4]answer
		var all sync.WaitGroup
		for k := range answers {
			all.Go(func() {
				for answers[k] = create(name, more...); answers[k].status == http.StatusConflict; {
					answers[k] = create(name, more...)
				}
			})
		}
		all.Wait()
		for _, a := range answers {
			if a.status != http.StatusCreated || a.header.Get("Location") != answers[0].header.Get("Location") || a.header.Get("Upload-Expires") == "" {
				t.Errorf("%s: answers are %d %v and %v", name, a.status, a.header, answers[0].header)
			}
		}
		if name == "with-upload" {
			if a := create(name, more...); a.header.Get("Upload-Offset") != "5" {
				t.Errorf("a repeat stands at %q", a.header.Get("Upload-Offset"))
			}
		}
		wantProblem(t, create(name, "Upload-Length", "6"), http.StatusUnprocessableEntity, "/files/")
		if a := create("other-"+name, more...); a.header.Get("Location") == answers[0].header.Get("Location") {
			t.Errorf("%s: another key made no other upload", name)
		}
	}
	var uploads int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM uploads").Scan(&uploads); err != nil || uploads != 10 {
		t.Errorf("%d uploads, want 10: %v", uploads, err)
	}
	// Of a final upload too; and what was refused frees its key.
	list := fields{"Idempotency-Key": "final"}
	a := s.do(http.MethodPost, "/files/", list.with("Upload-Concat", "final;/files/unknown"), nil)
	wantProblem(t, a, http.StatusBadRequest, "/files/")
	part := s.do(http.MethodPost, "/files/", fields{}.with("Upload-Length", "0", "Upload-Concat", "partial"), nil).header.Get("Location")
	first := s.do(http.MethodPost, "/files/", list.with("Upload-Concat", "final;"+part), nil)
	again := s.do(http.MethodPost, "/files/", list.with("Upload-Concat", "final;"+part), nil)
	if first.status != http.StatusCreated || again.status != http.StatusCreated || first.header.Get("Location") != again.header.Get("Location") {
		t.Errorf("final: %d %v, then %d %v", first.status, first.header, again.status, again.header)
	}
}
