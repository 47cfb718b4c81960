package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// byTLS is a server that was launched with a certificate of the authority.
func (a *authority) byTLS(t testing.TB, s *server) (get func(path string) (*http.Response, error), serial func() string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}}
	get = func(path string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(s.url, "http:", "https:", 1)+path, http.NoBody)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	return get, func() string {
		t.Helper()
		resp, err := get("/healthz")
		if err != nil {
			t.Fatal(err)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
}

// The gateway speaks TLS 1.2 and later, and a certificate that is written anew is
// used without a restart; of one that is written by half, or is none, it says so
// and goes on with the one it has.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	ca, dir := newAuthority(t), t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	cert, key := ca.issue(t, "127.0.0.1")
	writeFile(t, certFile, cert)
	writeFile(t, keyFile, key)
	s := serve(t, append(stackEnv(t), "SLUICE_TLS_CERT="+certFile, "SLUICE_TLS_KEY="+keyFile), "127.0.0.1:0")
	get, serial := ca.byTLS(t, s)
	first := serial()
	resp, err := get("/")
	if err != nil || resp.Header.Get("Strict-Transport-Security") == "" || resp.TLS.Version < tls.VersionTLS12 || resp.Proto != "HTTP/1.1" {
		t.Fatalf("%v: %v %v", err, resp.Proto, resp.Header)
	}
	addr := strings.TrimPrefix(s.url, "http://")
	old := &tls.Dialer{Config: &tls.Config{RootCAs: ca.pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}}
	if conn, err := old.DialContext(t.Context(), "tcp", addr); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is spoken")
	}

	complaints := 0
	complained := func(context.Context) bool {
		_ = serial() // a client must come for the files to be looked at
		n := strings.Count(strings.Join(s.tail.all(), "\n"), "new certificate not used")
		return n > complaints
	}
	cert, key = ca.issue(t, "127.0.0.1")
	for _, broken := range []func(){
		func() { writeFile(t, certFile, cert) }, // and its key not yet
		func() { writeFile(t, certFile, []byte("none")) },
		func() {
			if err := os.Remove(certFile); err != nil {
				t.Fatal(err)
			}
		},
	} {
		broken()
		eventually(t, "a complaint", complained)
		complaints = strings.Count(strings.Join(s.tail.all(), "\n"), "new certificate not used")
		if got := serial(); got != first {
			t.Fatalf("the certificate is %s, not %s", got, first)
		}
	}
	writeFile(t, certFile, cert)
	writeFile(t, keyFile, key)
	eventually(t, "the new certificate", func(context.Context) bool { return serial() != first })
	if log := strings.Join(s.tail.all(), "\n"); !strings.Contains(log, "certificate reloaded") || strings.Contains(log, "PRIVATE") {
		t.Errorf("the log is\n%s", log)
	}
	s.stop(t)
}

// A certificate that cannot be used at the start ends it, with a name.
func TestCertificateAtStart(t *testing.T) {
	t.Parallel()
	ca, dir := newAuthority(t), t.TempDir()
	cert, _ := ca.issue(t, "127.0.0.1")
	_, key := ca.issue(t, "127.0.0.1")
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	writeFile(t, certFile, cert)
	writeFile(t, keyFile, key)
	env := stackEnv(t)
	for name, c := range map[string]struct {
		more []string
		code int
		want string
	}{
		"no key":       {[]string{"SLUICE_TLS_CERT=" + certFile}, 2, "SLUICE_TLS_KEY"},
		"no file":      {[]string{"SLUICE_TLS_CERT=" + certFile, "SLUICE_TLS_KEY=" + dir + "/nothing"}, 1, "SLUICE_TLS_KEY"},
		"another's":    {[]string{"SLUICE_TLS_CERT=" + certFile, "SLUICE_TLS_KEY=" + keyFile}, 1, "private key does not match"},
		"no time":      {[]string{"SLUICE_HEADER_TIMEOUT=0s"}, 2, "SLUICE_HEADER_TIMEOUT"},
		"no time idle": {[]string{"SLUICE_IDLE_TIMEOUT=-1s"}, 2, "SLUICE_IDLE_TIMEOUT"},
		"no rate":      {[]string{"SLUICE_BODY_RATE=0"}, 2, "SLUICE_BODY_RATE"},
		"no stall":     {[]string{"SLUICE_BODY_STALL=1ms"}, 2, "SLUICE_BODY_STALL"},
	} {
		var stderr bytes.Buffer
		cmd := command(t, append(env, append(c.more, "SLUICE_HTTP_ADDR=127.0.0.1:0")...), "serve")
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if code := exitCode(t, cmd); code != c.code || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: exit %d\n%s", name, code, &stderr)
		}
	}
}

// dial returns a connection to the server.
func dial(t testing.TB, s *server) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Who trickles a header, sends one too large, or nothing at all, is let go of.
func TestConnectionsEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, append(stackEnv(t), "SLUICE_HEADER_TIMEOUT=200ms", "SLUICE_IDLE_TIMEOUT=200ms"), "127.0.0.1:0")
	const request = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	for name, c := range map[string]struct{ sent, trickle, want string }{
		"silence": {"", "", ""},
		"header":  {request, "X: y\r\n", ""},
		"line":    {"GET /", "x", ""},
		"idle":    {request + "\r\n", "", "HTTP/1.1 200 OK"},
		"large":   {request + "X: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", "", "HTTP/1.1 431 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, s)
			var sender errgroup.Group
			sender.Go(func() error {
				_, err := io.WriteString(conn, c.sent)
				for err == nil && c.trickle != "" {
					time.Sleep(20 * time.Millisecond)
					_, err = io.WriteString(conn, c.trickle)
				}
				return nil
			})
			answer, _ := io.ReadAll(conn) // to its end, or a reset
			if !strings.HasPrefix(string(answer), c.want) || c.want == "" && len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 4") {
				t.Errorf("answered %q", answer)
			}
			conn.Close()
			_ = sender.Wait()
		})
	}
}

// Many clients that trickle are all cut, each upload keeps what came of it, and
// files go through beside them. `make soak` gives them the default of a minute.
func TestSlowloris(t *testing.T) {
	t.Parallel()
	clients, stall := 20, "1s"
	if os.Getenv("SLUICE_SLOWLORIS") != "" {
		clients, stall = 500, "1m"
	}
	s := serve(t, append(stackEnv(t), "SLUICE_BODY_STALL="+stall), "127.0.0.1:0")
	var group errgroup.Group
	for range clients {
		id, err := tusRequest(http.MethodPost, s.url+"/files/", http.NoBody, 0, "Upload-Length", "100000")
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() error { return trickled(t, s, "/files/"+id) })
	}
	upload(t, s.url, written(t, "honest.csv", "account_id,date,amount\nA,2024-01-01,1.00\n"))
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// trickled sends a PATCH byte by byte until it is cut, and compares the offset with
// what was sent.
func trickled(t testing.TB, s *server, path string) error {
	t.Helper()
	conn := dial(t, s)
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 100000\r\n\r\n", path)
	sent := make(chan int)
	go func() {
		n := 0
		for {
			if _, err := io.WriteString(conn, "x"); err != nil {
				break
			}
			n++
			time.Sleep(50 * time.Millisecond)
		}
		sent <- n
	}()
	answer, _ := io.ReadAll(conn)
	conn.Close()
	n := <-sent
	if len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 423 ") {
		return fmt.Errorf("answered %q", answer)
	}
	offset, err := offsetOf(t, s.url+path)
	if err == nil && (offset < 1 || offset > n) {
		err = fmt.Errorf("%d bytes are kept of %d", offset, n)
	}
	return err
}

// offsetOf asks where an upload stands.
func offsetOf(t testing.TB, url string) (offset int, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Tus-Resumable", "1.0.0")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	_, err = fmt.Sscan(resp.Header.Get("Upload-Offset"), &offset)
	return offset, err
}
