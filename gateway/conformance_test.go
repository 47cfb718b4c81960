package gateway_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"path"
	"strconv"
	"strings"
	"testing"

	"sluice/gateway"
	"sluice/internal/job"
)

// conformance is tus 1.0 and its extensions, sentence by sentence, as requests
// and what must come of them. "%s" in a header is the upload's URL.
type conformance struct {
	name   string
	on     string // what the request is sent to: see uploadFor; "" is /files/
	method string
	header fields // beside Tus-Resumable; "-" leaves that out
	body   string

	status int
	want   fields // of the answer: "" is absent, "*" any value
	offset string // what HEAD then tells; "" is not looked at
	stored string // what a job is then enqueued with; "" is not looked at
}

const octets = "application/offset+octet-stream"

// notDigits are no numbers as tus writes them, though some readers take them for one.
var notDigits = []string{
	"+0", "-0", "+1", "-1", "--1", "+ 1", "0x0", "0b1", "0o7", "1_0", "1,0", "1, 1", "1;1", "1.0", ".5", "1e1", "1E0", "1L", "0 0", "1 2", `"1"`, "NaN", "Inf", "true", "null",
	"\uFF11", "\u0661", "\u00b2", "\u22121", "1\u200b", "9223372036854775808", "-9223372036854775808", "18446744073709551617", strings.Repeat("9", 1000), "1" + strings.Repeat("0", 1000),
}

// uploadFor makes an upload in the state that a case begins with.
func (s *server) uploadFor(kind string) string {
	s.t.Helper()
	with := func(body string, header ...string) string {
		a := s.do("POST", "/files/", tus(append(header, "Content-Type", octets)...), strings.NewReader(body))
		if a.status != http.StatusCreated {
			s.t.Fatalf("%s: %d %s", kind, a.status, a.body)
		}
		return a.header.Get("Location")
	}
	final := func(partials ...string) string {
		return s.create(tus("Upload-Concat", "final;"+strings.Join(partials, " ")))
	}
	partial, full := []string{"Upload-Length", "10", "Upload-Concat", "partial"}, "0123456789"
	switch kind {
	case "":
		return "/files/"
	case "new":
		return s.create(tus("Upload-Length", "10"))
	case "half":
		return with("01234", "Upload-Length", "10")
	case "full":
		return with(full, "Upload-Length", "10")
	case "deferred":
		return s.create(tus("Upload-Defer-Length", "1"))
	case "deferred half":
		return with("01234", "Upload-Defer-Length", "1")
	case "partial":
		return with("01234", partial...)
	case "full partial":
		return with(full, partial...)
	case "deferred partial":
		return s.create(tus("Upload-Defer-Length", "1", "Upload-Concat", "partial"))
	case "final":
		return final(with(full, partial...), with(full, partial...))
	case "open final":
		return final(with(full, partial...), with("01234", partial...))
	case "open final of unknown length":
		return final(s.create(tus("Upload-Defer-Length", "1", "Upload-Concat", "partial")))
	case "unknown":
		return "/files/" + job.NewID()
	}
	file := s.uploadFor("half")
	id := path.Base(file)
	switch kind {
	case "terminated":
		s.do("DELETE", file, tus(), nil)
	case "expired":
		s.exec(`UPDATE uploads SET expires_at = now() - interval '1 second' WHERE id = $1`, id)
	case "another's":
		s.exec(`UPDATE uploads SET tenant = 'other' WHERE id = $1`, id)
	default:
		s.t.Fatalf("no kind %q", kind)
	}
	return file
}

func (s *server) exec(sql string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(s.t.Context(), sql, args...); err != nil {
		s.t.Fatal(err)
	}
}

// sums writes Upload-Checksum headers of a body, one for each algorithm.
func sums(body string) map[string]string {
	b := []byte(body)
	one, two, five := sha1.Sum(b), sha256.Sum256(b), md5.Sum(b)
	c := binary.BigEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	all := map[string]string{}
	for name, sum := range map[string][]byte{"sha1": one[:], "sha256": two[:], "md5": five[:], "crc32c": c} {
		all[name] = name + " " + base64.StdEncoding.EncodeToString(sum)
	}
	return all
}

func at(offset int, more ...string) fields {
	h := fields{"Upload-Offset": strconv.Itoa(offset), "Content-Type": octets}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	return h
}

func head(on string, status int, want fields) conformance {
	return conformance{name: "HEAD of " + on, on: on, method: "HEAD", status: status, want: want}
}

func coreCases() []conformance {
	gone := fields{"Upload-Offset": ""}
	cases := []conformance{
		head("new", 200, fields{"Upload-Offset": "0", "Upload-Length": "10", "Cache-Control": "no-store", "Upload-Expires": "*", "Upload-Concat": "", "Upload-Defer-Length": ""}),
		head("half", 200, fields{"Upload-Offset": "5", "Upload-Length": "10", "Cache-Control": "no-store"}),
		head("full", 200, fields{"Upload-Offset": "10", "Upload-Length": "10", "Cache-Control": "no-store"}),
		head("deferred", 200, fields{"Upload-Offset": "0", "Upload-Length": "", "Upload-Defer-Length": "1"}),
		head("unknown", 404, gone), head("terminated", 410, gone), head("expired", 410, gone), head("another's", 404, gone),
		{name: "PATCH", on: "new", method: "PATCH", header: at(0), body: "01234", status: 204, want: fields{"Upload-Offset": "5", "Upload-Expires": "*"}, offset: "5"},
		{name: "PATCH goes on", on: "half", method: "PATCH", header: at(5), body: "56", status: 204, want: fields{"Upload-Offset": "7"}, offset: "7"},
		{name: "PATCH to the end", on: "half", method: "PATCH", header: at(5), body: "56789", status: 204, want: fields{"Upload-Offset": "10"}, stored: "0123456789"},
		{name: "PATCH of nothing", on: "half", method: "PATCH", header: at(5), status: 204, want: fields{"Upload-Offset": "5"}, offset: "5"},
		{name: "PATCH of nothing after the end", on: "full", method: "PATCH", header: at(10), status: 204, want: fields{"Upload-Offset": "10"}, stored: "0123456789"},
		{name: "PATCH before the offset", on: "half", method: "PATCH", header: at(4), body: "4", status: 409, want: fields{"Upload-Offset": "5"}, offset: "5"},
		{name: "PATCH behind the offset", on: "half", method: "PATCH", header: at(6), body: "6", status: 409, want: fields{"Upload-Offset": "5"}, offset: "5"},
		{name: "PATCH of the beginning after the end", on: "full", method: "PATCH", header: at(0), body: "0", status: 409, want: fields{"Upload-Offset": "10"}, stored: "0123456789"},
		{name: "PATCH beyond the length", on: "half", method: "PATCH", header: at(5), body: "567890", status: 413, offset: "5"},
		{name: "PATCH without offset", on: "half", method: "PATCH", header: fields{"Content-Type": octets}, body: "5", status: 400, offset: "5"},
		{name: "PATCH with a negative offset", on: "half", method: "PATCH", header: at(-1), body: "5", status: 400, offset: "5"},
		{name: "PATCH with words for an offset", on: "half", method: "PATCH", header: at(0, "Upload-Offset", "five"), body: "5", status: 400, offset: "5"},
		{name: "PATCH of no type", on: "half", method: "PATCH", header: fields{"Upload-Offset": "5"}, body: "5", status: 415, offset: "5"},
		{name: "PATCH of another type", on: "half", method: "PATCH", header: at(5, "Content-Type", "text/csv"), body: "5", status: 415, offset: "5"},
		{name: "PATCH of parameters", on: "half", method: "PATCH", header: at(5, "Content-Type", "application/x-www-form-urlencoded"), body: "a=5", status: 415, offset: "5"},
		{name: "PATCH with a length that is known", on: "half", method: "PATCH", header: at(5, "Upload-Length", "10"), body: "5", status: 400, offset: "5"},
		{name: "override to PATCH", on: "half", method: "POST", header: at(5, "X-HTTP-Method-Override", "PATCH"), body: "56789", status: 204, want: fields{"Upload-Offset": "10"}, stored: "0123456789"},
		{name: "override to DELETE", on: "half", method: "POST", header: fields{"X-HTTP-Method-Override": "DELETE"}, status: 204},
		{name: "override to HEAD", on: "half", method: "POST", header: fields{"X-HTTP-Method-Override": "HEAD"}, status: 200, want: fields{"Upload-Offset": "5"}},
		{name: "override of PUT", on: "half", method: "PUT", header: at(5, "X-HTTP-Method-Override", "PATCH"), body: "5", status: 204, offset: "6"},
		{name: "override to GET", on: "half", method: "POST", header: fields{"X-HTTP-Method-Override": "GET"}, status: 405},
		{name: "GET", on: "half", method: "GET", status: 405},
		{name: "OPTIONS", method: "OPTIONS", header: fields{"Tus-Resumable": "-"}, status: 204, want: fields{
			"Tus-Version": "1.0.0", "Tus-Resumable": "1.0.0", "Tus-Max-Size": "1000", "Tus-Checksum-Algorithm": "sha1,sha256,md5,crc32c",
			"Tus-Extension": "creation,creation-with-upload,creation-defer-length,termination,concatenation,concatenation-unfinished,checksum,checksum-trailer,expiration",
		}},
		{name: "OPTIONS of an upload", on: "half", method: "OPTIONS", header: fields{"Tus-Resumable": "-"}, status: 204, want: fields{"Tus-Version": "1.0.0"}},
		{name: "OPTIONS of another version", method: "OPTIONS", header: fields{"Tus-Resumable": "0.2.2"}, status: 204, want: fields{"Tus-Version": "1.0.0"}},
	}
	for _, number := range notDigits {
		cases = append(cases, conformance{name: fmt.Sprintf("PATCH at %q", number), on: "new", method: "PATCH", header: at(0, "Upload-Offset", number), body: "0", status: 400, offset: "0"})
	}
	for _, on := range []string{"unknown", "another's"} {
		cases = append(cases, conformance{name: "PATCH of " + on, on: on, method: "PATCH", header: at(5), body: "5", status: 404})
	}
	for _, on := range []string{"terminated", "expired"} {
		cases = append(cases, conformance{name: "PATCH of " + on, on: on, method: "PATCH", header: at(5), body: "5", status: 410})
	}
	for _, version := range []string{"-", "0.2.2", "1.0.1", "2.0.0"} {
		refused := fields{"Tus-Version": "1.0.0", "Tus-Resumable": "1.0.0"}
		for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
			cases = append(cases, conformance{name: method + " of version " + version, on: "half", method: method, header: at(5, "Tus-Resumable", version), status: 412, want: refused, offset: "5"})
		}
		cases = append(cases, conformance{name: "POST of version " + version, method: "POST", header: fields{"Upload-Length": "1", "Tus-Resumable": version}, status: 412, want: refused})
	}
	return cases
}

func creationCases() []conformance {
	created := func(name string, header fields, body string, status int, offset, stored string) conformance {
		c := conformance{name: "creation: " + name, method: "POST", header: header, body: body, status: status, offset: offset, stored: stored}
		if status == http.StatusCreated {
			c.want = fields{"Location": "*", "Upload-Expires": "*"}
		}
		return c
	}
	length := func(n string, more ...string) fields {
		h := fields{"Upload-Length": n}
		for i := 0; i < len(more); i += 2 {
			h[more[i]] = more[i+1]
		}
		return h
	}
	var cases []conformance
	for _, number := range notDigits {
		cases = append(cases,
			created(fmt.Sprintf("of length %q", number), length(number), "", 400, "", ""),
			conformance{name: fmt.Sprintf("length declared as %q", number), on: "deferred half", method: "PATCH", header: at(5, "Upload-Length", number), body: "5", status: 400, offset: "5"},
		)
	}
	for _, number := range append(notDigits, "01", "1 ", "2") {
		if strings.TrimSpace(number) != "1" { // HTTP takes spaces off
			cases = append(cases, created(fmt.Sprintf("of a length deferred by %q", number), fields{"Upload-Defer-Length": number}, "", 400, "", ""))
		}
	}
	cases = append(cases, []conformance{
		created("of a length", length("10"), "", 201, "0", ""),
		created("of nothing", length("0"), "", 201, "0", ""),
		created("of the greatest length", length("1000"), "", 201, "0", ""),
		created("of too great a length", length("1001"), "", 413, "", ""),
		created("without length", fields{}, "", 400, "", ""),
		created("of a negative length", length("-1"), "", 400, "", ""),
		created("of a length in words", length("ten"), "", 400, "", ""),
		created("of a deferred length", fields{"Upload-Defer-Length": "1"}, "", 201, "0", ""),
		created("of a length deferred by 2", fields{"Upload-Defer-Length": "2"}, "", 400, "", ""),
		created("of a length deferred by 0", fields{"Upload-Defer-Length": "0"}, "", 400, "", ""),
		created("of a length that is deferred and known", length("1", "Upload-Defer-Length", "1"), "", 400, "", ""),
		created("with metadata", length("10", "Upload-Metadata", metadata("filename", "ü.csv")+",flag"), "", 201, "0", ""),
		created("with a key twice", length("10", "Upload-Metadata", "a Yg==,a Yg=="), "", 400, "", ""),
		created("with an empty key", length("10", "Upload-Metadata", "a Yg==,,b Yg=="), "", 400, "", ""),
		created("with a value that is not base64", length("10", "Upload-Metadata", "a !"), "", 400, "", ""),
		created("with all bytes", length("5", "Content-Type", octets), "01234", 201, "5", "01234"),
		created("with some bytes", length("10", "Content-Type", octets), "01234", 201, "5", ""),
		created("with no bytes", length("10", "Content-Type", octets), "", 201, "0", ""),
		created("with too many bytes", length("4", "Content-Type", octets), "01234", 413, "", ""),
		created("with bytes of a deferred length", fields{"Upload-Defer-Length": "1", "Content-Type": octets}, "01234", 201, "5", ""),
		created("with bytes of another type", length("5", "Content-Type", "text/csv"), "01234", 201, "0", ""),
		created("with a good checksum", length("5", "Content-Type", octets, "Upload-Checksum", sums("01234")["sha1"]), "01234", 201, "5", "01234"),
		created("with a bad checksum", length("5", "Content-Type", octets, "Upload-Checksum", sums("x")["sha1"]), "01234", 460, "", ""),

		{name: "length declared", on: "deferred half", method: "PATCH", header: at(5, "Upload-Length", "10"), body: "56", status: 204, offset: "7"},
		{name: "length declared at the end", on: "deferred half", method: "PATCH", header: at(5, "Upload-Length", "10"), body: "56789", status: 204, stored: "0123456789"},
		{name: "length declared as the offset", on: "deferred half", method: "PATCH", header: at(5, "Upload-Length", "5"), status: 204, stored: "01234"},
		{name: "length declared below the offset", on: "deferred half", method: "PATCH", header: at(5, "Upload-Length", "4"), status: 400, offset: "5"},
		{name: "length declared too great", on: "deferred half", method: "PATCH", header: at(5, "Upload-Length", "1001"), status: 400, offset: "5"},
		{name: "length declared in words", on: "deferred half", method: "PATCH", header: at(5, "Upload-Length", "ten"), status: 400, offset: "5"},
		{name: "length still deferred", on: "deferred half", method: "PATCH", header: at(5), body: "56789", status: 204, offset: "10"},

		{name: "DELETE", on: "half", method: "DELETE", status: 204},
		{name: "DELETE of new", on: "new", method: "DELETE", status: 204},
		{name: "DELETE of full", on: "full", method: "DELETE", status: 204},
		{name: "DELETE of unknown", on: "unknown", method: "DELETE", status: 404},
		{name: "DELETE of another's", on: "another's", method: "DELETE", status: 404},
		{name: "DELETE of terminated", on: "terminated", method: "DELETE", status: 410},
		{name: "DELETE of expired", on: "expired", method: "DELETE", status: 410},
	}...)
	return cases
}

func checksumCases() []conformance {
	var cases []conformance
	for algorithm, sum := range sums("56789") {
		cases = append(cases,
			conformance{name: "good " + algorithm, on: "half", method: "PATCH", header: at(5, "Upload-Checksum", sum), body: "56789", status: 204, want: fields{"Upload-Offset": "10"}, stored: "0123456789"},
			conformance{name: "bad " + algorithm, on: "half", method: "PATCH", header: at(5, "Upload-Checksum", sum), body: "5678x", status: 460, want: fields{"Upload-Offset": "5"}, offset: "5"},
			conformance{name: "short " + algorithm, on: "half", method: "PATCH", header: at(5, "Upload-Checksum", algorithm+" AAA="), body: "56789", status: 400, offset: "5"},
			conformance{name: "garbled " + algorithm, on: "half", method: "PATCH", header: at(5, "Upload-Checksum", algorithm+" ?"), body: "56789", status: 400, offset: "5"},
			conformance{name: "of a deferred length: " + algorithm, on: "deferred half", method: "PATCH", header: at(5, "Upload-Checksum", sum), body: "56789", status: 204, offset: "10"},
		)
	}
	for _, claim := range []string{"crc64 AAAAAAAAAAA=", "SHA1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha512 AAAA", "sha1", ""} {
		cases = append(cases, conformance{name: fmt.Sprintf("unknown checksum %q", claim), on: "half", method: "PATCH", header: at(5, "Upload-Checksum", claim), body: "56789", status: 400, offset: "5"})
	}
	return append(cases,
		conformance{name: "checksum of nothing", on: "half", method: "PATCH", header: at(5, "Upload-Checksum", sums("")["sha1"]), status: 204, offset: "5"},
		conformance{name: "bad checksum of nothing", on: "half", method: "PATCH", header: at(5, "Upload-Checksum", sums("x")["sha1"]), status: 460, offset: "5"},
		conformance{name: "checksum at a wrong offset", on: "half", method: "PATCH", header: at(4, "Upload-Checksum", sums("4")["sha1"]), body: "4", status: 409, want: fields{"Upload-Offset": "5"}, offset: "5"},
	)
}

func concatCases() []conformance {
	cases := []conformance{
		head("partial", 200, fields{"Upload-Offset": "5", "Upload-Length": "10", "Upload-Concat": "partial", "Upload-Expires": "*"}),
		head("full partial", 200, fields{"Upload-Offset": "10", "Upload-Length": "10", "Upload-Concat": "partial"}),
		head("deferred partial", 200, fields{"Upload-Offset": "0", "Upload-Length": "", "Upload-Concat": "partial"}),
		head("final", 200, fields{"Upload-Offset": "20", "Upload-Length": "20", "Upload-Concat": "*", "Upload-Expires": "*"}),
		head("open final", 200, fields{"Upload-Offset": "", "Upload-Length": "20", "Upload-Concat": "*", "Upload-Expires": "*"}),
		head("open final of unknown length", 200, fields{"Upload-Offset": "", "Upload-Length": "", "Upload-Defer-Length": "", "Upload-Concat": "*"}),
		{name: "PATCH of a partial upload", on: "partial", method: "PATCH", header: at(5), body: "56789", status: 204, want: fields{"Upload-Offset": "10"}, offset: "10"},
		{name: "DELETE of a partial upload", on: "partial", method: "DELETE", status: 204},
		{name: "DELETE of an open final upload", on: "open final", method: "DELETE", status: 204},
		{name: "DELETE of a final upload", on: "final", method: "DELETE", status: 204},
		{name: "DELETE of a full partial upload", on: "full partial", method: "DELETE", status: 204},
		{name: "PATCH of a final upload", on: "final", method: "PATCH", header: at(20), body: "0", status: 403, offset: "20"},
		{name: "PATCH of an open final upload", on: "open final", method: "PATCH", header: at(0), body: "0", status: 403},
		{name: "partial upload with a bad length", method: "POST", header: fields{"Upload-Concat": "partial", "Upload-Length": "-1"}, status: 400},
		{name: "concatenation of another kind", method: "POST", header: fields{"Upload-Concat": "whole", "Upload-Length": "1"}, status: 400},
		{name: "final upload of nothing", method: "POST", header: fields{"Upload-Concat": "final;"}, status: 400},
		{name: "final upload of no URL", method: "POST", header: fields{"Upload-Concat": "final;/files/x"}, status: 400},
		{name: "final upload of another path", method: "POST", header: fields{"Upload-Concat": "final;/api/" + job.NewID()}, status: 400},
		{name: "final upload with bad metadata", on: "full partial", method: "CONCAT", header: fields{"Upload-Concat": "final;%s", "Upload-Metadata": metadata("parse_config", "{")}, status: 400},
		{name: "final upload with a length", on: "full partial", method: "CONCAT", header: fields{"Upload-Concat": "final;%s", "Upload-Length": "10"}, status: 400},
		{name: "final upload with bytes", on: "full partial", method: "CONCAT", header: fields{"Upload-Concat": "final;%s", "Content-Type": octets}, body: "x", status: 403},
		{name: "final upload", on: "full partial", method: "CONCAT", header: fields{"Upload-Concat": "final;%s"}, status: 201, want: fields{"Location": "*", "Upload-Expires": "*"}, stored: "0123456789"},
		{name: "final upload with metadata", on: "full partial", method: "CONCAT", header: fields{"Upload-Concat": "final;%s", "Upload-Metadata": metadata("filename", "a.csv")}, status: 201, stored: "0123456789"},
		{name: "final upload of one twice", on: "full partial", method: "CONCAT", header: fields{"Upload-Concat": "final;%s %s"}, status: 201, stored: "01234567890123456789"},
		{name: "final upload of an unfinished one", on: "partial", method: "CONCAT", header: fields{"Upload-Concat": "final;%s"}, status: 201, want: fields{"Location": "*", "Upload-Expires": "*"}},
	}
	for _, on := range []string{"unknown", "another's", "terminated", "expired", "new", "full", "final"} {
		cases = append(cases, conformance{name: "final upload of " + on, on: on, method: "CONCAT", header: fields{"Upload-Concat": "final;%s"}, status: 400})
	}
	return cases
}

func TestTusConformance(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.MaxUploadBytes = 1000 })
	count := 0
	for chapter, cases := range map[string][]conformance{
		"core": coreCases(), "creation": creationCases(), "checksum": checksumCases(), "concatenation": concatCases(),
	} {
		count += len(cases)
		t.Run(chapter, func(t *testing.T) {
			t.Parallel()
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					s := *s
					s.t = t
					s.conforms(c)
				})
			}
		})
	}
	t.Logf("%d cases", count)
}

func (s *server) conforms(c conformance) {
	s.t.Helper()
	file := s.uploadFor(c.on)
	target, method := file, c.method
	if method == "CONCAT" { // a POST about an upload
		target, method = "/files/", "POST"
	}
	header := tus()
	maps.Copy(header, c.header)
	for k, v := range header {
		header[k] = strings.ReplaceAll(v, "%s", file)
		if v == "-" {
			delete(header, k)
		}
	}
	a := s.do(method, target, header, strings.NewReader(c.body))
	if a.status != c.status {
		s.t.Fatalf("answer is %d, want %d: %s", a.status, c.status, a.body)
	}
	if a.header.Get("Tus-Resumable") != "1.0.0" && a.status != http.StatusMethodNotAllowed {
		s.t.Error("the answer does not name the protocol")
	}
	for k, want := range c.want {
		if got := a.header.Get(k); got != want && (want != "*" || got == "") {
			s.t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	if location := a.header.Get("Location"); location != "" {
		file = location
	}
	if c.offset != "" {
		s.wantHead(file, fields{"Upload-Offset": c.offset})
	}
	if c.stored != "" {
		s.wantQueued(file, []byte(c.stored))
	}
}

// A checksum may follow the body, which is then sent in chunks.
func TestTusChecksumTrailer(t *testing.T) {
	t.Parallel()
	s := start(t)
	good := sums("56789")
	for name, c := range map[string]struct {
		body, trailer string
		status        int
		offset        string
	}{
		"sha1":     {"56789", good["sha1"], 204, "10"},
		"sha256":   {"56789", good["sha256"], 204, "10"},
		"md5":      {"56789", good["md5"], 204, "10"},
		"crc32c":   {"56789", good["crc32c"], 204, "10"},
		"short":    {"567", sums("567")["sha1"], 204, "8"},
		"mismatch": {"5678x", good["sha1"], 460, "5"},
		"unknown":  {"56789", "crc64 AAAA", 400, "5"},
		"missing":  {"56789", "", 400, "5"},
		"too long": {"567890", sums("567890")["sha1"], 413, "5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := *s
			s.t = t
			file := s.uploadFor("half")
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, s.url+file, io.NopCloser(strings.NewReader(c.body)))
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = -1
			for k, v := range patchHeader(5) {
				r.Header.Set(k, v)
			}
			r.Trailer = http.Header{"Upload-Checksum": nil}
			if c.trailer != "" {
				r.Trailer.Set("Upload-Checksum", c.trailer)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != c.status {
				t.Errorf("answer is %d, want %d", resp.StatusCode, c.status)
			}
			s.wantHead(file, fields{"Upload-Offset": c.offset})
			if c.offset == "10" {
				s.wantQueued(file, []byte("0123456789"))
			}
		})
	}
}

// A PATCH with a checksum is all or nothing, however many parts it has.
func TestTusChecksumOfManyParts(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
	file := s.create(tus("Upload-Length", strconv.Itoa(len(content))))
	header := patchHeader(0)
	header["Upload-Checksum"] = sums("other")["sha256"]
	wantProblem(t, s.do("PATCH", file, header, bytes.NewReader(content)), 460, "bad checksum")
	s.wantHead(file, fields{"Upload-Offset": "0"})
	for o, err := range s.bucket.List(t.Context(), "uploads/") {
		t.Errorf("%s is left of the PATCH that was refused: %v", o.Key, err)
	}
	header["Upload-Checksum"] = sums(string(content))["sha256"]
	if a := s.do("PATCH", file, header, bytes.NewReader(content)); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.wantQueued(file, content)
}

// Partial uploads make one job, that of the final upload, when the last of them
// has its bytes, wherever the final one came in between.
func TestTusConcatenationUnfinished(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.create(tus("Upload-Length", "5", "Upload-Concat", "partial"))
	second := s.create(tus("Upload-Defer-Length", "1", "Upload-Concat", "partial", "Upload-Metadata", metadata("filename", "not mine.csv")))
	list := "final;" + s.url + first + " " + second
	a := s.do("POST", "/files/", tus("Upload-Concat", list, "Upload-Metadata", metadata("filename", "all.csv")), nil)
	final := a.header.Get("Location")
	if a.status != 201 || final == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.wantHead(final, fields{"Upload-Offset": "", "Upload-Length": "", "Upload-Concat": list, "Upload-Metadata": metadata("filename", "all.csv")})
	header := patchHeader(0)
	header["Upload-Length"] = "4"
	if a := s.do("PATCH", second, header, strings.NewReader("5678")); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.wantHead(final, fields{"Upload-Offset": "", "Upload-Concat": list})
	if a := s.patch(first, 0, strings.NewReader("01234")); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.wantHead(final, fields{"Upload-Offset": "9", "Upload-Length": "9", "Upload-Concat": list})
	if j := s.wantQueued(final, []byte("012345678")); j.Filename != "all.csv" {
		t.Errorf("the file is called %q", j.Filename)
	}
	var jobs struct {
		Jobs []struct {
			ID string `json:"job_id"`
		}
	}
	s.read("/api/jobs/", &jobs)
	if len(jobs.Jobs) != 1 || jobs.Jobs[0].ID != path.Base(final) {
		t.Errorf("jobs are %+v", jobs.Jobs)
	}
	// What the final upload consists of stays, though a partial one be terminated.
	if a := s.do("DELETE", first, tus(), nil); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.wantQueued(final, []byte("012345678"))
}
