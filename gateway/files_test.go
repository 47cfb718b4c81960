package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sluice/gateway"
	"sluice/internal/blob"
	"sluice/internal/job"
)

// tus returns the headers of a tus request.
func tus(more ...string) fields {
	h := fields{"Tus-Resumable": "1.0.0"}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	return h
}

// metadata writes pairs as an Upload-Metadata header.
func metadata(pairs ...string) string {
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return strings.Join(out, ",")
}

// create makes an upload and returns its path.
func (s *server) create(header fields) string {
	s.t.Helper()
	a := s.do("POST", "/files/", header, nil)
	if a.status != http.StatusCreated {
		s.t.Fatalf("create: %d %s", a.status, a.body)
	}
	return a.header.Get("Location")
}

func (s *server) patch(file string, offset int, body io.Reader) answer {
	s.t.Helper()
	return s.do("PATCH", file, patchHeader(offset), body)
}

func patchHeader(offset int) fields {
	return tus("Upload-Offset", fmt.Sprint(offset), "Content-Type", "application/offset+octet-stream")
}

// wantHead asks HEAD, which must tell the given headers ("" for none).
func (s *server) wantHead(file string, want fields) {
	s.t.Helper()
	a := s.do("HEAD", file, tus(), nil)
	if a.status != 200 || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Tus-Resumable") != "1.0.0" {
		s.t.Fatalf("HEAD %s: %d %v", file, a.status, a.header)
	}
	wantExpiry(s.t, a)
	for k, v := range want {
		if got := a.header.Get(k); got != v {
			s.t.Errorf("HEAD %s: %s is %q, want %q", file, k, got, v)
		}
	}
}

func wantExpiry(t testing.TB, a answer) {
	t.Helper()
	if _, err := time.Parse(http.TimeFormat, a.header.Get("Upload-Expires")); err != nil {
		t.Errorf("Upload-Expires: %v", err)
	}
}

// wantQueued checks that the upload's job is enqueued with the given bytes.
func (s *server) wantQueued(file string, want []byte) job.Job {
	s.t.Helper()
	j, err := s.jobs.Get(s.t.Context(), job.DefaultTenant, path.Base(file))
	if err != nil {
		s.t.Fatal(err)
	}
	if j.State != job.UploadComplete || j.SizeBytes != int64(len(want)) || j.CRC64 != blob.CRC64(want) {
		s.t.Errorf("job is %s with %d bytes, CRC %x", j.State, j.SizeBytes, j.CRC64)
	}
	parts, err := s.jobs.Source(s.t.Context(), j.Tenant, j.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	objects := make([]blob.Object, len(parts))
	for i, p := range parts {
		objects[i] = blob.Object(p)
	}
	body := s.bucket.Open(s.t.Context(), objects...)
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil {
		s.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		s.t.Errorf("%d bytes are stored, and not the %d sent", len(got), len(want))
	}
	return j
}

func TestUpload(t *testing.T) {
	t.Parallel()
	s := start(t)
	meta := metadata("sha256", strings.Repeat("Ab", 32), "filename", "März.csv", "filetype", "text/csv", "raw", "\x00\xff", "parse_config", `{"date_format":"YYMMDD"}`) + ",flag"
	a := s.do("POST", "/files", tus("Upload-Length", "10", "Upload-Metadata", meta), nil)
	file := a.header.Get("Location")
	if a.status != 201 || !strings.HasPrefix(file, "/files/job_") || !job.ValidID(path.Base(file)) {
		t.Fatalf("created with %d at %q", a.status, file)
	}
	wantExpiry(t, a)
	sorted := strings.Split(meta, ",")
	slices.Sort(sorted)
	s.wantHead(file, fields{"Upload-Offset": "0", "Upload-Length": "10", "Upload-Metadata": strings.Join(sorted, ","), "Upload-Defer-Length": ""})

	a = s.patch(file+"/", 0, strings.NewReader("01234"))
	if a.status != 204 || a.header.Get("Upload-Offset") != "5" {
		t.Fatalf("first PATCH: %d %v %s", a.status, a.header, a.body)
	}
	wantExpiry(t, a)
	var status struct {
		State    string
		Filename string
		Progress struct {
			Received   json.Number `json:"bytes_received"`
			Total      json.Number `json:"bytes_total"`
			Percentage json.Number
		}
	}
	s.read("/api/jobs/"+path.Base(file)+"/status/", &status)
	if status.State != "OPEN" || status.Filename != "März.csv" || status.Progress.Received != "5" || status.Progress.Total != "10" || status.Progress.Percentage != "50" {
		t.Errorf("status on the way is %+v", status)
	}

	wantProblem(t, s.patch(file, 4, strings.NewReader("x")), 409, "wrong offset")
	wantProblem(t, s.patch(file, 5, strings.NewReader("567890")), 413, "too much")
	if a = s.patch(file, 5, strings.NewReader("56789")); a.status != 204 || a.header.Get("Upload-Offset") != "10" {
		t.Fatalf("last PATCH: %d %s", a.status, a.body)
	}
	s.wantHead(file, fields{"Upload-Offset": "10", "Upload-Length": "10"})
	j := s.wantQueued(file, []byte("0123456789"))
	if j.Filename != "März.csv" || j.ParseConfig != `{"date_format":"YYMMDD"}` || len(j.SHA256) != 32 || j.Channel != "tus" {
		t.Errorf("job is %+v", j)
	}
	if a := s.do("DELETE", file, tus(), nil); a.status != 204 {
		t.Errorf("DELETE after the end: %d %s", a.status, a.body)
	}
	if a := s.do("HEAD", file, tus(), nil); a.status != 410 {
		t.Errorf("HEAD of what is deleted: %d", a.status)
	}
	if _, err := s.jobs.Get(t.Context(), j.Tenant, j.ID); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("its job is there: %v", err)
	}
}

func TestUploadForms(t *testing.T) {
	t.Parallel()
	s := start(t)
	octets := []string{"Content-Type", "application/offset+octet-stream"}

	t.Run("with creation", func(t *testing.T) {
		a := s.do("POST", "/files/", tus(append(octets, "Upload-Length", "5")...), strings.NewReader("hello"))
		if a.status != 201 || a.header.Get("Upload-Offset") != "5" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		s.wantQueued(a.header.Get("Location"), []byte("hello"))
	})
	t.Run("empty", func(*testing.T) {
		s.wantQueued(s.create(tus("Upload-Length", "0")), nil)
	})
	t.Run("deferred length", func(t *testing.T) {
		file := s.create(tus("Upload-Defer-Length", "1"))
		s.wantHead(file, fields{"Upload-Defer-Length": "1", "Upload-Length": "", "Upload-Offset": "0"})
		if got := s.get("/api/jobs/" + path.Base(file) + "/status").body; !strings.Contains(got, `"bytes_total":null`) {
			t.Errorf("status is %s", got)
		}
		s.patch(file, 0, strings.NewReader("abc"))
		header := patchHeader(3)
		header["Upload-Length"] = "6"
		if a := s.do("PATCH", file, header, strings.NewReader("def")); a.status != 204 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		s.wantQueued(file, []byte("abcdef"))
	})
	t.Run("method override", func(t *testing.T) {
		file := s.create(tus("Upload-Length", "3"))
		header := patchHeader(0)
		header["X-HTTP-Method-Override"] = "PATCH"
		if a := s.do("POST", file, header, strings.NewReader("abc")); a.status != 204 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		s.wantQueued(file, []byte("abc"))
		wantProblem(t, s.do("POST", "/api/jobs/", fields{"X-HTTP-Method-Override": "GET"}, nil), 405, "override elsewhere")
		wantProblem(t, s.do("POST", file, tus("X-HTTP-Method-Override", "GET"), nil), 405, "override to GET")
	})
	t.Run("terminated", func(t *testing.T) {
		file := s.create(tus("Upload-Length", "3"))
		s.patch(file, 0, strings.NewReader("ab"))
		if a := s.do("DELETE", file, tus(), nil); a.status != 204 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if a := s.do("HEAD", file, tus(), nil); a.status != 410 || a.body != "" {
			t.Errorf("HEAD afterwards: %d %s", a.status, a.body)
		}
		wantProblem(t, s.patch(file, 2, strings.NewReader("c")), 410, "PATCH afterwards")
		if got := s.get("/api/jobs/" + path.Base(file) + "/status").body; !strings.Contains(got, `"state":"ABORTED"`) {
			t.Errorf("status is %s", got)
		}
	})
	t.Run("other sites", func(t *testing.T) {
		a := s.do("OPTIONS", "/files/", fields{"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}, nil)
		if a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Error("any site may upload")
		}
	})
}

func TestExpiredUploadIsGone(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := s.create(tus("Upload-Length", "3"))
	if _, err := s.pool.Exec(t.Context(), `UPDATE uploads SET expires_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	if a := s.do("HEAD", file, tus(), nil); a.status != 410 {
		t.Errorf("HEAD: %d", a.status)
	}
	wantProblem(t, s.patch(file, 0, strings.NewReader("abc")), 410, "PATCH")
}

func TestUploadOfAnotherTenant(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := s.create(tus("Upload-Length", "3"))
	if _, err := s.pool.Exec(t.Context(), `UPDATE uploads SET tenant = 'other'`); err != nil {
		t.Fatal(err)
	}
	if a := s.do("HEAD", file, tus(), nil); a.status != 404 || a.body != "" {
		t.Errorf("HEAD: %d %s", a.status, a.body)
	}
	wantProblem(t, s.patch(file, 0, strings.NewReader("abc")), 404, "PATCH")
	wantProblem(t, s.do("DELETE", file, tus(), nil), 404, "DELETE")
}

func TestLocationUsesPublicURL(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.PublicURL = "https://sluice.example/bank/" })
	if got := s.create(tus("Upload-Length", "1")); !strings.HasPrefix(got, "https://sluice.example/bank/files/job_") {
		t.Errorf("Location is %s", got)
	}
}

// A client that lost its connection comes back while the old request still
// hangs: HEAD must not disturb it, and a PATCH takes over from it.
func TestPatchUnderWay(t *testing.T) {
	t.Parallel()
	s := start(t)
	const partBytes = 8 << 20 // is stored, and so seen by HEAD, while the PATCH goes on
	content := append(bytes.Repeat([]byte("x"), partBytes), "0123456789"...)
	file := s.create(tus("Upload-Length", fmt.Sprint(len(content))))
	body, send := io.Pipe()
	defer send.Close()
	first := make(chan answer, 1)
	go func() {
		a, err := s.try("PATCH", file, patchHeader(0), body)
		if err != nil {
			a.body = err.Error()
		}
		first <- a
	}()
	if _, err := send.Write(content[:partBytes]); err != nil {
		t.Fatal(err)
	}
	for s.do("HEAD", file, tus(), nil).header.Get("Upload-Offset") != fmt.Sprint(partBytes) {
		if t.Context().Err() != nil {
			t.Fatal("the first part was never stored")
		}
	}
	if _, err := send.Write(content[partBytes : partBytes+6]); err != nil { // HEAD did not end the PATCH
		t.Fatal(err)
	}

	second := s.patch(file, partBytes, strings.NewReader("ab"))
	wantProblem(t, <-first, http.StatusLocked, "the PATCH that was taken over")
	// The first may have stored more before it left; then the second must ask for the offset again.
	if second.status != http.StatusNoContent {
		wantProblem(t, second, http.StatusConflict, "the PATCH that took over")
	}
	offset, err := strconv.Atoi(s.do("HEAD", file, tus(), nil).header.Get("Upload-Offset"))
	if err != nil || offset < partBytes || offset > partBytes+6 {
		t.Fatalf("the offset is %d: %v", offset, err)
	}
	if second.status == http.StatusNoContent {
		copy(content[partBytes:], "ab")
	}
	if a := s.patch(file, offset, bytes.NewReader(content[offset:])); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.wantQueued(file, content)
}

// tus-js-client begins a new upload when HEAD answers 500 or 503, and other
// clients give up after a 500: a database that is away for a moment must not
// look like either, whatever first misses it.
func TestWithoutDatabaseIsToBeRepeated(t *testing.T) {
	t.Parallel()
	s := start(t, keyed)
	callers := []fields{{"Authorization": "Bearer secret-key"}, s.token(`{"max_bytes":1000}`)}
	files := []string{s.create(callers[0].with("Upload-Length", "3")), s.create(callers[1].with("Upload-Length", "3"))}
	s.pool.Close()
	patch := []string{"Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"}
	checksum := append(slices.Clip(patch), "Upload-Checksum", "md5 kAFQmDzST7DWlj99KOF/cg==")
	for i, caller := range callers {
		for what, a := range map[string]answer{
			"HEAD":                  s.do("HEAD", files[i], caller.with(), nil),
			"PATCH":                 s.do("PATCH", files[i], caller.with(patch...), strings.NewReader("abc")),
			"PATCH with a checksum": s.do("PATCH", files[i], caller.with(checksum...), strings.NewReader("abc")),
			"DELETE":                s.do("DELETE", files[i], caller.with(), nil),
			"POST":                  s.do("POST", "/files", caller.with("Upload-Length", "3"), nil),
			"POST of a final":       s.do("POST", "/files", caller.with("Upload-Concat", "final;"+files[i]), nil),
		} {
			want := http.StatusServiceUnavailable
			if what == "HEAD" {
				want = http.StatusLocked
			}
			if a.status != want || a.header.Get("Retry-After") != "1" {
				t.Errorf("%s of caller %d: %d, again after %q: %s", what, i, a.status, a.header.Get("Retry-After"), a.body)
			}
		}
	}
}

func TestLogOfTus(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := s.create(tus("Upload-Length", "3"))
	for line := range strings.Lines(s.log.String()) {
		var record map[string]any
		decode(t, line, &record)
		if record["msg"] == "tus: UploadCreated" {
			if record["level"] != "DEBUG" || record["upload_id"] != path.Base(file) || record["size"] != json.Number("3") {
				t.Errorf("tusd's line is %s", line)
			}
			return
		}
	}
	t.Errorf("tusd's line is not in the log:\n%s", s.log.String())
}

// A request that names another's job must not be told apart from one that
// names none, whatever the state of the job.
func TestOpenJobOfAnotherTenant(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := job.NewID()
	s.inTx("other", func(tx pgx.Tx) error {
		return s.jobs.CreateTx(context.WithoutCancel(t.Context()), tx, job.Draft{ID: id, Tenant: "other", Channel: "tus"})
	})
	mine, none := s.get("/api/jobs/"+id+"/status"), s.get("/api/jobs/"+job.NewID()+"/status")
	strip := func(a answer) string { return strings.Split(a.body, `"instance"`)[0] }
	if mine.status != 404 || strip(mine) != strip(none) {
		t.Errorf("%s\n%s", mine.body, none.body)
	}
}
