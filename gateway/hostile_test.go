package gateway_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
)

// hostileNames are names of files that break what does not treat them as text.
var hostileNames = []string{
	// Turned around, unseen, alike: Trojan Source (CVE-2021-42574), Unicode TR 36.
	"invoice\u202Efdp.exe", "\u202Dx.csv", "\u2066a\u2069.csv", "\u200Fx.csv", "\u061Cx.csv", "a\u200Bb.csv", "a\u200Db.csv",
	"a\u2060b.csv", "\uFEFFa.csv", "a\u00ADb.csv", "a\u00A0b.csv", "a\u3000b.csv", "\u0430ccounts.csv", "\uFF41.csv", "\u212A.csv", "\u0130.csv",
	"e\u0301.csv", "\u00E9.csv", "\uFB01le.csv", "\u1E9E.csv", "Z" + strings.Repeat("\u0335\u0489", 60) + ".csv", "\u2028\u2029.csv", "\u0085.csv",
	"😀.csv", "👩‍👩‍👧‍👦.csv", "🏳️‍🌈", "\U0010FFFF", "\uFFFE\uFFFF", "\uFFFD", "\uE000", "\u0600", "日本語.csv", "עברית.csv", "العربية.csv", "ไทย.csv",
	// Text that is none.
	"a\x00b.csv", "\x00", "\xff\xfe.csv", "\xc0\xae\xc0\xae/x", "\xed\xa0\x80.csv", "\xed\xb0\x80", "\xf4\x90\x80\x80", "a\xe2\x82", "\x80",
	// Control characters, and headers.
	"a\r\nSet-Cookie: a=b\r\n\r\n<html>", "a\nb.csv", "a\rb.csv", "\r\n", "a\tb.csv", "\x1b[2J\x1b]0;x\x07", "\x01\x02\x1f\x7f", "\x08\x08\x08x",
	`a"; filename="b.exe`, `a"b.csv`, `a\"b.csv`, `a\`, "a;b=c.csv", "UTF-8''a%0d%0aX: y", "=?utf-8?q?=0d=0aX?=", "a,b c", "a: b",
	// Paths.
	"../../etc/passwd", "..", ".", "./a.csv", "/etc/passwd", "/", "a/../../b.csv", "..\\..\\b.csv", `C:\Windows\win.ini`, `\\server\share\a.csv`,
	"....//....//a", "%2e%2e%2fa.csv", "%252e%252e%252f", "..%00.csv", "uploads/default/x", "~/.ssh/id_rsa", "file:///etc/passwd", "a.csv/", ".htaccess", "-rf", "--help",
	"CON", "NUL.csv", "COM1.txt", "LPT9", "aux.c", "a.csv::$DATA", "a.csv.", "a.csv ", " a.csv",
	// What a page, a spreadsheet, a shell, SQL, a logger or a template would run.
	"<img src=x onerror=alert(1)>.csv", "<script>alert(1)</script>", "</title><svg onload=alert(1)>", "&lt;b&gt;&#x3c;", "javascript:alert(1)", "]]><!--", "<?xml?>",
	`=HYPERLINK("http://x","y")`, "+1+1", "-1+1", "@SUM(1)", "=cmd|' /C calc'!A0", "$(id)", "`id`", "a; rm -rf /", "a|b&c>d<e*?",
	"'; DROP TABLE jobs; --", "\\'; --", "%_\\", "${jndi:ldap://x/a}", "{{7*7}}", "%s%n%x", "null", "undefined", "NaN", "true", "[]", "{}", `{"a":1}`, "\\u0000",
	// Long.
	strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("é", 512), strings.Repeat("x", 1024), strings.Repeat("x", 1025), strings.Repeat("😀", 2000), strings.Repeat("a/", 600),
}

// hostileDoors send a small file of a name, and tell what it is to be called: a
// path of a form or a query by its last element, as browsers name files.
var hostileDoors = map[string]func(s *server, name string) (a answer, called string){
	"tus": func(s *server, name string) (answer, string) {
		header := tus("Upload-Length", fmt.Sprint(len(smallCSV)), "Content-Type", "application/offset+octet-stream", "Upload-Metadata", metadata("filename", name))
		return s.do(http.MethodPost, "/files/", header, strings.NewReader(smallCSV)), name
	},
	"stream-upload": func(s *server, name string) (answer, string) {
		return s.do(http.MethodPost, doorsPath+"stream-upload/?filename="+url.QueryEscape(name), fields{"Content-Type": "text/csv"}, strings.NewReader(smallCSV)), path.Base(name)
	},
	"upload-file": func(s *server, name string) (answer, string) {
		var body strings.Builder
		w := multipart.NewWriter(&body)
		part, err := w.CreateFormFile("file", name)
		if err == nil {
			_, err = io.WriteString(part, smallCSV)
		}
		if err != nil || w.Close() != nil {
			s.t.Fatal(err)
		}
		// WHATWG has line ends of a name sent so, and takes none back.
		called := path.Base(strings.NewReplacer("\r", "%0D", "\n", "%0A").Replace(name))
		return s.do(http.MethodPost, doorsPath+"upload-file/", fields{"Content-Type": w.FormDataContentType()}, strings.NewReader(body.String())), called
	},
}

// TestHostileNames: by each door a name is refused as what it is, or comes back to
// the byte, as text, and nothing else is named by it.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	if len(hostileNames) < 100 {
		t.Fatalf("%d names", len(hostileNames))
	}
	key := regexp.MustCompile(`^[a-z0-9_/-]+$`)
	for door, send := range hostileDoors {
		t.Run(door, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for _, name := range hostileNames {
				a, called := send(s, name)
				control := strings.ContainsFunc(name, func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' && r != '\n' || r == 0x7f })
				text := name
				if door == "upload-file" {
					text = called // what is before it is cut off while the form is read
				}
				if !utf8.ValidString(text) || strings.Contains(text, "\x00") || len(called) > 1024 || control && door == "upload-file" { // RFC 7578's header has none
					if wantProblem(t, a, http.StatusBadRequest, fmt.Sprintf("%q", name)); !strings.Contains(a.body, "filename") && !strings.Contains(a.body, "bad_multipart") {
						t.Errorf("%.80q: %s does not name filename", name, a.body)
					}
					continue
				}
				if a.status != http.StatusCreated && a.status != http.StatusAccepted {
					t.Errorf("%.80q: %d %s", name, a.status, a.body)
					continue
				}
				s.called(s.all()[0].ID, called)
			}
			for _, o := range s.objects("") {
				if !key.MatchString(o) {
					t.Errorf("an object is called %q", o)
				}
			}
			if strings.Contains(s.log.String(), `"level":"ERROR"`) {
				t.Errorf("the log has errors:\n%s", s.log)
			}
			s.wantSource(s.accepted(s.do(http.MethodPost, doorsPath+"stream-upload/", fields{"Content-Type": "text/csv"}, strings.NewReader(smallCSV))), smallCSV)
		})
	}
}

// called fails the test unless the job is called so, in JSON that no browser takes for a page.
func (s *server) called(id, name string) {
	s.t.Helper()
	for _, at := range []string{"/api/jobs/" + id + "/status/", "/api/jobs/?limit=1"} {
		a := s.get(at)
		if a.status != http.StatusOK || a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") || a.header.Get("Set-Cookie") != "" {
			s.t.Fatalf("%q: %d %v", name, a.status, a.header)
		}
		var told struct {
			Filename string
			Jobs     []struct{ Filename string }
		}
		if decode(s.t, a.body, &told); told.Jobs != nil {
			told.Filename = told.Jobs[0].Filename
		}
		if told.Filename != name {
			s.t.Errorf("%s: it is called %q, want %q", at, told.Filename, name)
		}
		if strings.ContainsAny(a.body, "\x00\r\x1b") {
			s.t.Errorf("%q comes raw: %q", name, a.body)
		}
	}
}

// TestHostileNameSplitsNoHeader: what a browser saves is named by the job alone.
func TestHostileNameSplitsNoHeader(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, name := range []string{"a\r\nSet-Cookie: a=b\r\n\r\n<html>", `a"; filename="b.exe`, "\u202Efdp.exe", "../../x"} {
		id := s.queued(job.Draft{Filename: name})
		lease, result := s.claim(job.DefaultTenant, id), s.result(id, outcome{rejects: "line,reason,detail\n"})
		s.inTx(job.DefaultTenant, func(tx pgx.Tx) error { return s.jobs.CompleteTx(t.Context(), tx, lease, result) })
		for _, file := range []string{"rejects", "offers", "aggregates"} {
			a := s.get("/api/jobs/"+id+"/"+file+"/", "text/csv")
			_, said, err := mime.ParseMediaType(a.header.Get("Content-Disposition"))
			if a.status != http.StatusOK || err != nil || !strings.HasPrefix(said["filename"], id) || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%q, %s: %d %v (%v)", name, file, a.status, a.header, err)
			}
		}
	}
}

// TestHostileMetadata: a header is refused as what it is, or every HEAD has its
// values to the byte.
func TestHostileMetadata(t *testing.T) {
	t.Parallel()
	s := start(t)
	pair := func(key, value string) string { return key + " " + base64.StdEncoding.EncodeToString([]byte(value)) }
	kept := []string{"", "a", pair("a", "\x00\xff\r\n"), pair("__proto__", "x"), pair("constructor", "x"), pair("<img/onerror=x>", "x"), pair("Upload-Offset", "7"), pair("../../x", "y"), pair("tenant", "rival"), pair("id", "job_x"), pair("x-amz-meta-a", "b"), pair("a=b;c", "d"), pair("%0d%0a", "x"), pair("FILENAME", "\x00"), pair("filename", "a") + "," + pair("Filename", "b"), pair("relativePath", "../../etc/passwd"), pair("null", "null")}
	refused := []string{",", ",,", "a YQ==,", "a YQ", "a YQ=", "a Y Q==", "a YQ==YQ==", "a -_==", "a ====", "a\tYQ==", "\u00e9 YQ==", "a YQ==,a YQ==", "a,a", pair("filename", "\xff"), pair("filename", "a\x00"), pair("filetype", "\xed\xa0\x80"), pair("sha256", "x"), pair("parse_config", "\x00"), pair("parse_config", strings.Repeat("[", 9000)), pair("credit_model_config", `{"a":1e999999999}`), pair("aggregate_config", `"`+strings.Repeat("x", 4000)+`"`), strings.Repeat("a", 17<<10)}
	for _, header := range refused {
		wantProblem(t, s.do(http.MethodPost, "/files/", tus("Upload-Length", "1", "Upload-Metadata", header), nil), http.StatusBadRequest, fmt.Sprintf("%.80q", header))
	}
	for _, header := range kept {
		a := s.do(http.MethodPost, "/files/", tus("Upload-Length", "1", "Upload-Metadata", header), nil)
		if a.status != http.StatusCreated {
			t.Errorf("%q: %d %s", header, a.status, a.body)
			continue
		}
		head := s.do(http.MethodHead, strings.TrimPrefix(a.header.Get("Location"), s.url), tus(), nil)
		if got := strings.Split(head.header.Get("Upload-Metadata"), ","); head.status != http.StatusOK || len(got) != 1+strings.Count(header, ",") || !strings.Contains(strings.Join(got, ","), header) && len(got) == 1 {
			t.Errorf("%q: HEAD has %d %q", header, head.status, got)
		}
	}
	for _, length := range []string{"4294967296000000000000", "1e3", "0x10", "1.0", " ", "9223372036854775808", "1,1"} {
		if a := s.do(http.MethodPost, "/files/", tus("Upload-Length", length), nil); a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("Upload-Length %q: %d %s", length, a.status, a.body)
		}
	}
	if strings.Contains(s.log.String(), `"level":"ERROR"`) {
		t.Errorf("the log has errors:\n%s", s.log)
	}
}
