package main_test

import (
	"bufio"
	"bytes"
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

// A process that is told to stop while it starts, and waits for a database that
// does not answer, ends as cleanly as one that runs.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"serve", "--work"}, {"work"}} {
		silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		cmd := command(t, []string{"SLUICE_DATABASE_URL=postgres://sluice@" + silent.Addr().String() + "/sluice?sslmode=disable"}, args...)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		conn, err := silent.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("sluice %q told to stop: %v\n%s", args, err, &said)
		}
	}
}
