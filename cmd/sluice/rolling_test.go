package main_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// A gateway that is told to stop answers whoever had connected before, though it
// had not come to accept them: here it could not, for it was stopped.
func TestStopAnswersWhoHasConnected(t *testing.T) {
	t.Parallel()
	s := launch(t, command(t, append(stackEnv(t), "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0"), "serve"))
	signal := func(sig syscall.Signal) {
		if err := s.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	var waiting [32]net.Conn
	for i := range waiting {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n", conn.RemoteAddr()); err != nil {
			t.Fatal(err)
		}
		waiting[i] = conn
	}
	signal(syscall.SIGTERM)
	signal(syscall.SIGCONT)
	for i, conn := range waiting {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("connection %d: %v", i, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("connection %d: %s", i, resp.Status)
		}
	}
	s.ended(t)
}
