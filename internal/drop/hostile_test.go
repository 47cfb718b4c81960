package drop_test

import (
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"sluice/internal/drop"
)

// foreignKeys would lead out of in/ if somebody took them for paths, or read them twice.
// BUCKET stands for Sluice's own bucket.
var foreignKeys = []string{
	"in/../rival/secret.csv", "in/./../rival/secret.csv", "in//../rival/secret.csv", "in/x/../../rival/secret.csv", "in/../in/../rival/secret.csv", "in/..//rival/secret.csv",
	"in/../../BUCKET/uploads/rival/secret", "in/../../../etc/passwd", "in/..", "in/.", "in/../", "in/...", "in/..\\..\\rival\\secret.csv", "in\\..\\rival\\secret.csv", "in/..;/rival/secret.csv",
	"in/%2e%2e/rival/secret.csv", "in/%2E%2E%2Frival%2Fsecret.csv", "in/%252e%252e/rival/secret.csv", "in/..%2frival%2fsecret.csv", "in/..%5crival%5csecret.csv", "in%2f..%2frival/secret.csv", "in/%c0%ae%c0%ae/rival/secret.csv",
	"in/\uff0e\uff0e/rival/secret.csv", "in/\u2024\u2024/rival/secret.csv", "in/\u202e../rival/secret.csv", "in/\uff0f../rival/secret.csv",
	"rival/secret.csv", "/rival/secret.csv", "//rival/secret.csv", "./rival/secret.csv", "IN/../rival/secret.csv", " in/../rival/secret.csv", "in", "in/", "/in/a.csv", "./in/a.csv", "..", "/", "",
	"in/\x00../rival/secret.csv", "in/x\x00.csv", "in/\xff.csv", "in/\xc0\xae\xc0\xae/rival/secret.csv", "in/\xed\xa0\x80.csv", "in/a.csv/", "in//",
	"in/a.csv?versionId=null", "in/a.csv?list-type=2", "in/a.csv#x", "in/?acl", "in/a.csv&x=1", "in/a.csv;x", "in/%00", "in/a.csv%00", "in/a.csv%0d%0aHost: rival", "in/a.csv\r\nHost: rival", "in/a.csv HTTP/1.1\r\n\r\nGET /rival/secret.csv",
	"in/" + strings.Repeat("x", 1022), "in/" + strings.Repeat("../", 300) + "rival/secret.csv", "in/" + strings.Repeat("x", 1<<20), "in/" + strings.Repeat("a/", 600),
	"in/.sluice-doctor-x", "in/'; DROP TABLE jobs; --", "in/%s%n%x", "in/${jndi:ldap://x/a}", "in/{{7*7}}", "in/_", "in/%",
}

// TestForeignKeys: whatever key a notification names, by itself or escaped in an event,
// nothing is taken but what lies below the watch's prefix under that very name.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch()
	w.put("rival/secret.csv", "rival's")
	own := w.bucket
	w.bucket = w.own.Bucket
	w.put("uploads/rival/secret", "rival's")
	w.bucket = own
	w.put("in/a.csv", "acme's")
	for _, key := range foreignKeys {
		key = strings.ReplaceAll(key, "BUCKET", w.own.Bucket)
		for name, hints := range map[string][]drop.Hint{
			"plain":       {{Bucket: w.bucket, Key: key}},
			"a version":   {{Bucket: w.bucket, Key: key, VersionID: "../rival/secret.csv"}},
			"another own": {{Bucket: w.own.Bucket, Key: key}},
			"a bucket":    {{Bucket: w.bucket + "/../" + w.own.Bucket, Key: key}, {Bucket: "../" + w.own.Bucket, Key: "in/a.csv"}},
			"escaped":     w.parsed(url.QueryEscape(key)),
			"once more":   w.parsed(url.QueryEscape(url.QueryEscape(key))),
		} {
			if err := w.store.Hint(t.Context(), hints); err != nil {
				t.Errorf("%.200q, %s: %v", key, name, err)
			}
			if n := w.count("jobs"); n > 0 {
				t.Fatalf("%.200q, %s: a job of %s", key, name, w.text("SELECT string_agg(object_key, ' ') FROM drops"))
			}
		}
	}
	w.hint("in/a.csv")
	w.wantJobs(1)
}

// parsed is an event about a key that is written so.
func (w *world) parsed(key string) []drop.Hint {
	w.Helper()
	hints, err := drop.ParseHints([]byte(fmt.Sprintf(`{"Records":[{"s3":{"bucket":{"name":%q},"object":{"key":%q}}}]}`, w.bucket, key)))
	w.must(err)
	return hints
}

// strangeKeys are names that S3 may have, in all that they would break where they were
// more than text.
var strangeKeys = []string{
	"a b.csv", " a.csv", "a.csv ", "a+b.csv", "a%2Fb.csv", "a%00b.csv", "a%252e.csv", "%", "%zz", "a&b=c.csv", "a?versionId=x", "a#b", "a;b", "a:b", "a\\b.csv", "a,b", "a=b", "a@b", "a!b", "a~b", "a*b", "a|b", "a^b", "a`b", "a{b}", "a[b]", "a<b>", `a"b`, "a'b", "$(id)", "`id`",
	"\u202Efdp.csv", "\u2066a\u2069.csv", "\u200Fx.csv", "a\u200Bb", "\uFEFFa", "a\u00A0b", "\u0430.csv", "e\u0301.csv", "\u00E9.csv", "\uFB01le.csv", "\u2028", "\u0085", "😀.csv", "👩\u200d👩.csv", "\uFFFD", "\uE000", "日本語.csv", "עברית.csv",
	"<script>alert(1)</script>", "<img src=x onerror=alert(1)>.csv", `=HYPERLINK("x")`, "=cmd|' /C calc'!A0", "+1", "-1", "@x", "'; DROP TABLE jobs; --", "%_\\", "${jndi:ldap:x}", "{{7*7}}", "%s%n", "null", "NaN", "-rf", "--help", "CON", "a.csv::$DATA", ".htaccess", "~",
	"\x01.csv", "a\tb.csv", "a\nb.csv", "a\rb.csv", "a\r\nSet-Cookie: x=y", "\x1b[2J.csv", "\x7f.csv", strings.Repeat("x", 255), strings.Repeat("é", 127), strings.Repeat("d/", 100) + "x", "..a", "a..", "...", "a/..b/c.csv", "uploads/acme/x", "in/in/a.csv",
}

// TestStrangeKeys: each object is one job, called to the byte as the object is, found by
// the listing and hinted at by events; what the server keeps under another name is that.
func TestStrangeKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch(func(d *drop.Draft) { d.Since = drop.All })
	var kept []string
	for i, name := range strangeKeys {
		key := "in/" + name
		if _, err := w.partner.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &w.bucket, Key: &key, Body: newBody("x")}); err != nil {
			t.Logf("the server takes no %q: %v", key, err)
			continue
		}
		kept = append(kept, key)
		if i%2 == 0 || strings.ContainsFunc(name, unicode.IsControl) { // which XML has not, where the server encodes no list
			w.must(w.store.Hint(t.Context(), w.parsed(url.QueryEscape(key))))
		}
	}
	if len(kept) < len(strangeKeys)*3/4 {
		t.Errorf("the server took %d keys", len(kept))
	}
	w.round()
	w.round()
	for _, key := range kept {
		var id, name string
		if err := w.pool.QueryRow(t.Context(), `SELECT j.id, j.filename FROM drops d JOIN jobs j ON j.id = d.job_id AND j.tenant = $1 WHERE d.object_key = $2`, tenant, key).Scan(&id, &name); err != nil || name != path.Base(key) {
			t.Errorf("%q is called %q: %v", key, name, err)
			continue
		}
		bucket, object, err := w.store.Source(t.Context(), tenant, id)
		w.must(err)
		body := bucket.Open(t.Context(), object)
		if text, err := io.ReadAll(body); err != nil || string(text) != "x" {
			t.Errorf("%q is read as %q, %v", key, text, err)
		}
		w.must(body.Close())
	}
	w.wantJobs(len(kept))
}
