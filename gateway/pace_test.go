package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sluice/gateway"
)

// pipes is a listener of connections within the process, so that a test's clock
// is theirs.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// atPace serves handle behind a gateway's default pace, and returns a connection to it.
func atPace(t *testing.T, handle http.HandlerFunc) net.Conn {
	t.Helper()
	listener := make(pipes)
	server := &http.Server{Handler: gateway.Paced(handle, time.Minute, 512)}
	go func() { _ = server.Serve(listener) }()
	client, conn := net.Pipe()
	listener <- conn
	t.Cleanup(func() { client.Close(); close(listener); _ = server.Close() })
	return client
}

// drips sends a byte each interval until it cannot, as a client that holds a
// connection does.
func drips(t *testing.T, conn net.Conn, interval time.Duration) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
			time.Sleep(interval)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-ended })
}

const postOf1MB = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"

// Of whoever is slower than 512 bytes a second for a minute what came is kept, and
// the connection ends; a byte a second and nothing at all are alike.
func TestSlowBodyEndsAtAMinute(t *testing.T) {
	t.Parallel()
	for name, interval := range map[string]time.Duration{"drips": time.Second, "silence": 100 * time.Hour, "almost": time.Second / 511} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun, came := time.Now(), 0
				conn := atPace(t, func(w http.ResponseWriter, r *http.Request) {
					body, err := io.ReadAll(r.Body)
					came = len(body)
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("the body ended with %v", err)
					}
					w.WriteHeader(http.StatusRequestTimeout)
				})
				fmt.Fprint(conn, postOf1MB)
				drips(t, conn, interval)
				answer, err := io.ReadAll(conn)
				if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), "\r\nConnection: close\r\n") {
					t.Errorf("%v, answered %q", err, answer)
				}
				if took := time.Since(begun); took < time.Minute || took > 61*time.Second || came == 0 || came >= 512*60 {
					t.Errorf("after %v and %d bytes", took, came)
				}
			})
		})
	}
}

// Who keeps up the rate may take any time, and is not charged for a reader that
// waits, such as for S3.
func TestSteadyBodyHasNoEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const seconds, rate = 3600, 530
		conn := atPace(t, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Minute)
			n, err := io.Copy(io.Discard, r.Body)
			time.Sleep(10 * time.Minute)
			fmt.Fprint(w, n, err, r.Context().Err())
		})
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", rate*seconds)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for range seconds {
				fmt.Fprint(conn, strings.Repeat("x", rate))
				time.Sleep(time.Second)
			}
		}()
		t.Cleanup(func() { conn.Close(); <-sent })
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(answer.Body); string(body) != fmt.Sprint(rate*seconds, nil, nil) {
			t.Errorf("answered %s", body)
		}
	})
}

// The server reads what a handler left, to find the next request: not for ever.
func TestRefusedBodyEndsAtAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		conn := atPace(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
		drips(t, conn, time.Second)
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401 ") || time.Since(begun) > 61*time.Second {
			t.Errorf("%v after %v, answered %q", err, time.Since(begun), answer)
		}
	})
}

// A PATCH that is too slow is cut, and its client goes on where it was.
func TestSlowPatchKeepsItsOffset(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.BodyStall, c.BodyRate = 300*time.Millisecond, 10_000 })
	content := []byte(smallCSV)
	file := s.create(tus("Upload-Length", fmt.Sprint(len(content))))
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: %d\r\n\r\n%s",
		file, len(content), content[:10])
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	wantProblem(t, answer{resp.StatusCode, resp.Header, string(body)}, http.StatusLocked, "the slow PATCH")
	if resp.Header.Get("Upload-Offset") != "10" || !resp.Close {
		t.Errorf("the offset is %q, the connection ends: %v", resp.Header.Get("Upload-Offset"), resp.Close)
	}
	if more, err := in.ReadByte(); err == nil {
		t.Errorf("%q follows", more)
	}
	s.wantHead(file, fields{"Upload-Offset": "10"})
	if a := s.patch(file, 10, strings.NewReader(string(content[10:]))); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.wantQueued(file, content)
}
