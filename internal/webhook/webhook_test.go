package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"golang.org/x/net/dns/dnsmessage"

	"sluice/internal/secret"
	"sluice/internal/webhook"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

func TestSendSigns(t *testing.T) {
	t.Parallel()
	old, now := webhook.NewSecret(), webhook.NewSecret()
	payload := []byte(`{"type":"job_completed"}`)
	verified := make(chan error, 3)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for _, key := range []string{old, now, webhook.NewSecret()} {
			by, err := standardwebhooks.NewWebhook(key)
			if err == nil {
				err = by.Verify(body, r.Header)
			}
			verified <- err
		}
	}))
	defer receiver.Close()
	s := webhook.NewSender(webhook.Config{Allow: loopback})
	status, err := s.Send(t.Context(), webhook.Message{ID: "msg_1", URL: receiver.URL, Payload: payload, Secrets: []secret.Text{secret.Text(now), secret.Text(old)}})
	if status != http.StatusOK || err != nil {
		t.Fatalf("%d, %v", status, err)
	}
	if a, b, c := <-verified, <-verified, <-verified; a != nil || b != nil || !errors.Is(c, standardwebhooks.ErrNoMatchingSignature) {
		t.Errorf("old %v, new %v, another's %v", a, b, c)
	}
}

func TestSendRefuses(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was reached") }))
	defer receiver.Close()
	port := receiver.URL[strings.LastIndex(receiver.URL, ":")+1:]
	s := webhook.NewSender(webhook.Config{})
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f000001", "0177.0.0.1", "127.1"} {
		status, err := s.Send(t.Context(), webhook.Message{ID: "msg_1", URL: "http://" + host + ":" + port + "/"})
		if status != 0 || err == nil {
			t.Errorf("%s: %d, %v", host, status, err)
		}
		if err != nil && (strings.Contains(err.Error(), "127.") || strings.Contains(err.Error(), port)) {
			t.Errorf("%s: the error tells the address: %v", host, err)
		}
	}
}

// A redirect leads nowhere, wherever it points to.
func TestSendFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer target.Close()
	receiver := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusTemporaryRedirect))
	defer receiver.Close()
	s := webhook.NewSender(webhook.Config{Allow: loopback})
	if status, err := s.Send(t.Context(), webhook.Message{ID: "msg_1", URL: receiver.URL}); status != http.StatusTemporaryRedirect || err == nil {
		t.Errorf("%d, %v", status, err)
	}
}

// A receiver that says nothing, or never stops saying, holds nobody up.
func TestSendIsBounded(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { ended <- struct{}{} }()
		if r.URL.Path == "/silent" {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			return
		}
		for chunk := bytes.Repeat([]byte("x"), 1<<20); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer receiver.Close()
	silent := webhook.NewSender(webhook.Config{Allow: loopback, Timeout: 50 * time.Millisecond})
	if status, err := silent.Send(t.Context(), webhook.Message{ID: "msg_1", URL: receiver.URL + "/silent"}); status != 0 || err == nil {
		t.Errorf("silent: %d, %v", status, err)
	}
	<-ended
	endless := webhook.NewSender(webhook.Config{Allow: loopback})
	if status, err := endless.Send(t.Context(), webhook.Message{ID: "msg_1", URL: receiver.URL + "/endless"}); status != http.StatusOK || err != nil {
		t.Errorf("endless: %d, %v", status, err)
	}
	<-ended
}

// A name that leads to a good address first and to a forbidden one then (DNS
// rebinding): each delivery goes by the address that it dials.
func TestSendAgainstRebinding(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer receiver.Close()
	u, err := url.Parse(receiver.URL)
	if err != nil {
		t.Fatal(err)
	}
	// The receiver listens at 127.0.0.1, which is allowed; ::1 and 127.0.0.2 are not.
	answers := [][4]byte{{127, 0, 0, 1}, {127, 0, 0, 2}, {10, 0, 0, 1}, {127, 0, 0, 1}}
	s := webhook.NewSender(webhook.Config{Allow: loopback, Resolver: rebinding(t, answers)})
	for i, want := range []error{nil, webhook.ErrRefused, webhook.ErrRefused, nil} {
		_, err := s.Send(t.Context(), webhook.Message{ID: "msg_1", URL: "http://rebind.test:" + u.Port() + "/"})
		if !errors.Is(err, want) {
			t.Errorf("delivery %d: %v, want %v", i, err, want)
		}
	}
	if n := reached.Load(); n != 2 {
		t.Errorf("the receiver was reached %d times, not twice", n)
	}
}

// rebinding is a resolver of a real name server, which gives each of the
// addresses once, in turn.
func rebinding(t *testing.T, addresses [][4]byte) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		for buf := make([]byte, 512); ; {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA && len(addresses) > 0 {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body:   &dnsmessage.AResource{A: addresses[0]},
				}}
				addresses = addresses[1:]
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"https://example.com/hook?a=b": true, "http://example.com:8080": true,
		"": false, "example.com": false, "ftp://example.com/": false, "https://": false, "https://user:pw@example.com/": false,
		"https://example.com/#x": false, "file:///etc/passwd": false, "https://example.com/" + strings.Repeat("x", 2048): false, "http://[::1": false,
	} {
		if err := webhook.CheckURL(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
