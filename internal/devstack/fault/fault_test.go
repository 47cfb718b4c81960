package fault_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"sluice/internal/devstack/fault"
)

// store is a server that keeps what is PUT to it.
type store struct {
	mu   sync.Mutex
	kept map[string]string
}

func (s *store) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[r.URL.Path] = string(body)
}

func (s *store) get(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[path]
}

func newStore(t *testing.T) (*store, *httptest.Server) {
	t.Helper()
	s := &store{kept: map[string]string{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server
}

// put returns the answer's status, 0 for none.
func put(t *testing.T, url, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestS3(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		answer fault.Answer
		status int
		kept   bool
	}{
		"refuse": {fault.Refuse(500), 500, false},
		"slow":   {fault.Refuse(503), 503, false},
		"cut":    {fault.Cut(2), 0, false},
		"lose":   {fault.Lose, 0, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept, server := newStore(t)
			proxy, err := fault.NewS3(t.Context(), server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer proxy.Close()
			proxy.Add(fault.Rule{
				Match: func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/k") },
				Skip:  1, Times: 1, Answer: tc.answer,
			})
			for path, want := range map[string]int{"/other": 200, "/k1": 200} {
				if got := put(t, proxy.URL+path, "body"); got != want {
					t.Errorf("%s answers %d", path, got)
				}
			}
			if got := put(t, proxy.URL+"/k2", "body"); got != tc.status || (kept.get("/k2") == "body") != tc.kept {
				t.Errorf("the second request answers %d, kept %q", got, kept.get("/k2"))
			}
			if got := put(t, proxy.URL+"/k3", "body"); got != 200 || kept.get("/k3") != "body" {
				t.Errorf("the third request answers %d", got)
			}
			if n := proxy.Calls()[http.MethodPut]; n < 4 {
				t.Errorf("counted %d requests", n)
			}
		})
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	kept, server := newStore(t)
	proxy, err := fault.NewS3(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	proxy.Add(fault.Rule{Times: 1, Answer: fault.Hold(held, release, done)})
	first := make(chan int, 1)
	go func() { first <- put(t, proxy.URL+"/k", "late") }()
	<-held
	if status := put(t, proxy.URL+"/k", "early"); status != 200 || kept.get("/k") != "early" {
		t.Errorf("the second request answers %d, kept %q", status, kept.get("/k"))
	}
	close(release)
	<-done
	if status := <-first; status != 0 || kept.get("/k") != "late" {
		t.Errorf("the held request answers %d, kept %q", status, kept.get("/k"))
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	received := make(chan int, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what came before the cut
		received <- len(body)
	}))
	t.Cleanup(server.Close)
	kept, other := newStore(t)
	line, err := fault.NewLine(t.Context(), strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	body := strings.Repeat("x", 1<<20)
	if status := put(t, "http://"+line.Addr+"/k", body); status != 200 || <-received != len(body) {
		t.Errorf("an unspoilt line answers %d", status)
	}
	line.After(100_000, line.Cut)
	if status := put(t, "http://"+line.Addr+"/k", body); status != 0 {
		t.Errorf("a cut line answers %d", status)
	}
	if n := <-received; n > 100_000 {
		t.Errorf("%d bytes have come through, want the header and they to be 100,000 at most", n)
	}
	line.Direct(strings.TrimPrefix(other.URL, "http://"))
	if status := put(t, "http://"+line.Addr+"/k", body); status != 200 || !bytes.Equal([]byte(kept.get("/k")), []byte(body)) {
		t.Errorf("the line to another server answers %d", status)
	}
}
