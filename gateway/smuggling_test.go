package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway"
)

// smuggled follows each request below: no reading of that may make it one of its own.
const smuggled = "DELETE /files/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nConnection: close\r\n\r\n"

// smugglings are requests of which two servers in a row could see different ends.
// Read is what the gateway takes one for, and "" where it is refused. What stands in
// %s is the length of smuggled, and after it smuggled itself.
var smugglings = []struct{ name, request, read string }{
	{"length and chunks", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST /a "},
	{"chunks and length", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: %s\r\n\r\n1\r\nb\r\n0\r\n\r\n", "POST /a b"},
	{"chunks and no length", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST /a "},
	{"two lengths", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: %s\r\n\r\n", ""},
	{"a list of lengths", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0, %s\r\n\r\n", ""},
	{"a negative length", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", ""},
	{"a length with a plus", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +%s\r\n\r\n", ""},
	{"a hexadecimal length", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0x10\r\n\r\n", ""},
	{"a length with an underscore", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1_0\r\n\r\n", ""},
	{"a length beyond 64 bits", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n", ""},
	{"an empty length", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n", ""},
	{"a space before the colon", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length : %s\r\n\r\n", ""},
	{"a tab before the colon", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n", ""},
	{"chunked, identity", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", ""},
	{"identity", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n", ""},
	{"gzip, chunked", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", ""},
	{"chunked twice", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
	{"chunked in quotes", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", ""},
	{"chunked after a vertical tab", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", ""},
	{"a folded coding", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n", "POST /a b"},
	{"a first line folded", "POST /a HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: x\r\n\r\n0\r\n\r\n", ""},
	{"an underscore for the hyphen", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\nConnection: close\r\n\r\n0\r\n\r\n", "POST /a 0\r\n\r\n"},
	{"a bare CR in a name", "POST /a HTTP/1.1\r\nHost: x\r\nX\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
	{"a NUL in a value", "POST /a HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", ""},
	{"a bare LF in a chunk's extension", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nb\r\n0\r\n\r\n", "POST /a cut"},
	{"a chunk of negative size", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nb\r\n0\r\n\r\n", "POST /a cut"},
	{"a chunk's size of 17 digits", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000001\r\nb\r\n0\r\n\r\n", "POST /a cut"},
	{"a chunk longer than its size", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nbcd\r\n0\r\n\r\n", "POST /a bcut"},
	{"a length in the trailer", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\nContent-Length: %s\r\n\r\n", ""},
	{"a trailer that was not announced", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "POST /a b"},
	{"HTTP/1.0 with chunks", "POST /a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST /a "},
	{"HTTP/1.0 kept alive", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /a "},
	{"HTTP/0.9", "GET /a\r\n", ""},
	{"HTTP/2 by name only", "GET /a HTTP/2.0\r\nHost: x\r\n\r\n", ""},
	{"two hosts", "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", ""},
	{"no host", "GET /a HTTP/1.1\r\nX: y\r\n\r\n", ""},
	{"a host with a path", "GET /a HTTP/1.1\r\nHost: x/y\r\n\r\n", ""},
	{"another host in the target", "GET http://target.example/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET target.example/a "},
	{"a method with a space", "DEL ETE /a HTTP/1.1\r\nHost: x\r\n\r\n", ""},
	{"an upgrade to HTTP/2", "GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n\r\n", "GET /a "},
}

// seen is what reached the handlers, and the connection's answers.
func seen(t *testing.T, addr, request string) (answers string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if strings.Contains(request, "%s") {
		request = fmt.Sprintf(request, fmt.Sprint(len(smuggled)))
	}
	if _, err := io.WriteString(conn, request+smuggled); err != nil {
		t.Fatal(err)
	}
	all, _ := io.ReadAll(conn) // it may be reset: there is more than was read
	return string(all)
}

// Each request that two servers could read differently is refused, or read in one
// way; its connection ends in either case, and what follows it is never read.
func TestNothingIsSmuggled(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var reads []string
	web := httptest.NewServer(gateway.Paced(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			body = append(body, "cut"...)
		}
		mu.Lock()
		defer mu.Unlock()
		reads = append(reads, fmt.Sprintf("%s %s %s", r.Method, strings.TrimPrefix(r.Host, "x")+r.URL.Path, body))
		w.WriteHeader(http.StatusNoContent)
	}), time.Minute, 512))
	defer web.Close()
	for _, row := range smugglings {
		t.Run(row.name, func(t *testing.T) {
			answers := seen(t, web.Listener.Addr().String(), row.request)
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(reads, "; "); got != row.read {
				t.Errorf("read %q, want %q", got, row.read)
			}
			reads = nil
			want, count := "HTTP/1.1 204 ", strings.Count(answers, "HTTP/1.")
			if row.read == "" {
				want = "HTTP/1.1 4"
				if strings.HasPrefix(answers, "HTTP/1.1 50") { // a coding or version that is not implemented
					want = "HTTP/1.1 50"
				}
			} else if !strings.Contains(answers, "Connection: close\r\n") {
				t.Error("the connection is not said to end")
			}
			if count != 1 || !strings.HasPrefix(answers, want) && !strings.HasPrefix(answers, "HTTP/1.0 204 ") {
				t.Errorf("answered %q", answers)
			}
		})
	}
}

// Below /files X-HTTP-Method-Override stands for any method, as tus has it, and
// elsewhere for none; the request stays one request.
func TestOverriddenMethods(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, sent := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
		for override, want := range map[string]int{"HEAD": 200, "DELETE": 204, "GET": 405, "CONNECT": 405, "PRI": 405, "delete": 405, "DELETE /files/smuggled": 405} {
			t.Run(sent+" "+override, func(t *testing.T) {
				file := s.create(tus("Upload-Length", "10"))
				path := strings.TrimPrefix(file, s.url)
				header := "Host: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\nX-HTTP-Method-Override: " + override + "\r\nContent-Length: %s\r\nConnection: close\r\n\r\n"
				answers := seen(t, strings.TrimPrefix(s.url, "http://"), sent+" "+path+" HTTP/1.1\r\n"+header)
				if !strings.HasPrefix(answers, fmt.Sprintf("HTTP/1.1 %d ", want)) || strings.Count(answers, "HTTP/1.") != 1 {
					t.Errorf("answered %q, want %d alone", answers, want)
				}
			})
		}
	}
	id := s.completed(outcome{})
	if a := s.do(http.MethodPost, "/api/jobs/"+id+"/status/", fields{"X-HTTP-Method-Override": "GET"}, nil); a.status != http.StatusMethodNotAllowed {
		t.Errorf("outside /files: %d %s", a.status, a.body)
	}
	if a := s.get("/api/jobs/" + id + "/status/"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}
