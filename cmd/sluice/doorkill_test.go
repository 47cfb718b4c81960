package main_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestKilledAtTheDoors: the gateway is killed while a file comes by one of the
// doors beside tus, and before it answers. The client does what the door's
// documentation says, and there is one job, with exact sums.
func TestKilledAtTheDoors(t *testing.T) {
	t.Parallel()
	file := newSample(t, 400_000)
	for name, door := range doors {
		t.Run(name+", before the end", func(t *testing.T) {
			t.Parallel()
			k := newKilled(t)
			size := file.size
			if name == "process-transactions" {
				size = int64(len(file.transactions(t).json(t)))
			}
			gate := newGate(t, strings.TrimPrefix(k.url(), "http://"), size*19/20) // the first part is stored by then
			done := make(chan string, 1)
			go func() { done <- door(&doorClient{TB: t, url: func() string { return gate.url }}, file.transactions(t)) }()
			k.server().awaitBytes(t)
			k.strike()
			gate.open()
			k.check(file, <-done)
		})
		t.Run(name+", before an answer", func(t *testing.T) {
			t.Parallel()
			k := newKilled(t)
			proxy := k.loseAnswer(name)
			k.check(file, door(&doorClient{TB: t, url: func() string { return proxy }}, file.transactions(t)))
			if !k.struck.Load() {
				t.Error("no answer was lost")
			}
		})
	}
}

// killed is a server that is killed once, and started again at its address.
type killed struct {
	testing.TB

	env    []string
	mu     sync.Mutex
	now    *server
	struck atomic.Bool
}

func newKilled(t testing.TB) *killed {
	t.Helper()
	k := &killed{TB: t, env: append(stackEnv(t), "SLUICE_STREAM_EXPIRY=1s", "SLUICE_LEASE_EXPIRY=2s")}
	k.now = serve(t, k.env, "127.0.0.1:0")
	return k
}

func (k *killed) server() *server {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *killed) url() string { return k.server().url }

func (k *killed) strike() {
	k.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now.kill(k)
	k.now = serve(k, k.env, strings.TrimPrefix(k.now.url, "http://"))
	k.struck.Store(true)
}

// loseAnswer returns a way to the server on which one good answer is lost, with
// the server: to a batch the third, else the first.
func (k *killed) loseAnswer(door string) string {
	k.Helper()
	target, err := url.Parse(k.url())
	if err != nil {
		k.Fatal(err)
	}
	loses := int64(1)
	if strings.HasPrefix(door, "jobs") || door == "upload-chunked" {
		loses = 3
	}
	var answers atomic.Int64
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode >= http.StatusBadRequest || answers.Add(1) != loses {
				return nil
			}
			k.strike()
			return errors.New("the answer is lost")
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	})
	k.Cleanup(proxy.Close)
	return proxy.URL
}

// check wants the job of that id, and no other that has ended well.
func (k *killed) check(file sample, id string) {
	k.Helper()
	eventually(k, "the job's end", func(context.Context) bool { return k.server().status(k, id).State == "JOB_COMPLETE" })
	file.check(k, k.url(), id)
	k.server().stop(k)
}

// transactions are the rows of a sample.
func (s sample) transactions(t testing.TB) (ts transactions) {
	t.Helper()
	content, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(content)), "\n") {
		if f := strings.Split(line, ","); i > 0 {
			ts = append(ts, [4]string{f[0], f[1], f[2]})
		}
	}
	return ts
}
