package gateway_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/gateway"
	"sluice/internal/blob"
	"sluice/internal/job"
)

const doorsPath = "/api/financial-transactions/"

const smallCSV = "account_id,date,amount\nA,2024-01-02,10.50\n"

// form writes multipart/form-data: names and values by turns, of which that of file is a file.
func form(t testing.TB, pairs ...string) (fields, io.Reader) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i := 0; i < len(pairs); i += 2 {
		field := w.CreateFormField
		if pairs[i] == "file" {
			field = func(name string) (io.Writer, error) { return w.CreateFormFile(name, "bank.csv") }
		}
		part, err := field(pairs[i])
		if err == nil {
			_, err = io.WriteString(part, pairs[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return fields{"Content-Type": w.FormDataContentType()}, &body
}

// accepted returns the job that a door has made.
func (s *server) accepted(a answer) job.Job {
	s.t.Helper()
	if a.status != http.StatusAccepted {
		s.t.Fatalf("got %d %s", a.status, a.body)
	}
	var told map[string]string
	decode(s.t, a.body, &told)
	return s.jobOf(told["job_id"])
}

func (s *server) jobOf(id string) job.Job {
	s.t.Helper()
	j, err := s.jobs.Get(s.t.Context(), job.DefaultTenant, id)
	if err != nil {
		s.t.Fatalf("job %q: %v", id, err)
	}
	return j
}

// wantSource fails the test unless the job is enqueued, once, and its source is want.
func (s *server) wantSource(j job.Job, want string) {
	s.t.Helper()
	source, err := s.jobs.Source(s.t.Context(), j.Tenant, j.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	objects := make([]blob.Object, len(source))
	for i, o := range source {
		objects[i] = blob.Object(o)
	}
	r := s.bucket.Open(s.t.Context(), objects...)
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != want {
		s.t.Errorf("stored are %d bytes %.200q (%v), want %d bytes %.200q", len(got), got, err, len(want), want)
	}
	if j.State != job.UploadComplete || j.SizeBytes != int64(len(want)) || j.CRC64 != blob.CRC64([]byte(want)) {
		s.t.Errorf("job is %s with %d bytes", j.State, j.SizeBytes)
	}
	var n int
	if err := s.pool.QueryRow(s.t.Context(), "SELECT count(*) FROM river_job WHERE args->>'job_id' = $1", j.ID).Scan(&n); err != nil || n != 1 {
		s.t.Errorf("%d river jobs (%v), want 1", n, err)
	}
}

// all returns the tenant's jobs.
func (s *server) all() []job.Job {
	s.t.Helper()
	jobs, err := s.jobs.List(s.t.Context(), job.DefaultTenant, job.Filter{})
	if err != nil {
		s.t.Fatal(err)
	}
	return jobs
}

func (s *server) objects(prefix string) (keys []string) {
	s.t.Helper()
	for o, err := range s.bucket.List(s.t.Context(), prefix) {
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

func TestUploadFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	const credit, aggregate, parse = `{"offer_type":"loan"}`, `{"group_by":["account_id"]}`, `{"date_format":"YYYY-MM-DD"}`
	for name, pairs := range map[string][]string{
		"settings first":     {"credit_model_config", credit, "aggregate_config", aggregate, "parse_config", parse, "file", smallCSV},
		"settings last":      {"file", smallCSV, "parse_config", parse, "aggregate_config", aggregate, "credit_model_config", credit},
		"settings on either": {"aggregate_config", aggregate, "unknown", "?", "file", smallCSV, "credit_model_config", credit, "parse_config", parse},
	} {
		header, body := form(t, pairs...)
		j := s.accepted(s.do("POST", doorsPath+"upload-file/", header, body))
		s.wantSource(j, smallCSV)
		if j.CreditConfig != credit || j.AggregateConfig != aggregate || j.ParseConfig != parse || j.Filename != "bank.csv" || j.Channel != "upload-file" {
			t.Errorf("%s: job is %+v", name, j.Draft)
		}
	}
}

func TestStreamUpload(t *testing.T) {
	t.Parallel()
	s := start(t)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := io.WriteString(w, smallCSV); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	large := strings.Repeat(smallCSV, 500_000) // 21 MB: three parts
	for _, c := range []struct{ media, encoding, body string }{
		{"application/octet-stream", "", smallCSV},
		{"text/csv; charset=utf-8", "", large},
		{"application/x-ndjson", "", `{"account_id":"A","date":"2024-01-02","amount":10.50}`},
		{"text/csv", "gzip", zipped.String()},
		{"text/csv", "zstd", "\x28\xb5\x2f\xfd..."},
		{"text/csv", "", ""},
	} {
		header := fields{"Content-Type": c.media}
		if c.encoding != "" {
			header["Content-Encoding"] = c.encoding
		}
		query := "?filename=x.csv&aggregate_config=" + `%7B%22group_by%22%3A%22date%22%7D`
		j := s.accepted(s.do("POST", doorsPath+"stream-upload/"+query, header, io.MultiReader(strings.NewReader(c.body)))) // of unknown length
		s.wantSource(j, c.body)
		if j.AggregateConfig != `{"group_by":"date"}` || j.Filename != "x.csv" {
			t.Errorf("job is %+v", j.Draft)
		}
		if a := s.do("HEAD", "/files/"+j.ID, tus(), nil); a.status != http.StatusNotFound {
			t.Errorf("tus knows of it: %d", a.status)
		}
	}
}

func TestProcessTransactions(t *testing.T) {
	t.Parallel()
	s := start(t)
	const body = `{"aggregate_config":{"group_by":["date"]},"data":[{"account_id":"A","date":"2024-01-02","amount":10.50,"description":"x"},
		{"account_id":7,"date":"2024-01-02T10:00:00Z","amount":"-3","is_revenue":false},5],"extra":[{}],"credit_model_config":{"offer_type":"loan"},"parse_config":null}`
	j := s.accepted(s.do("POST", doorsPath+"process-transactions", fields{"Content-Type": "application/json"}, strings.NewReader(body)))
	if j.CreditConfig != `{"offer_type":"loan"}` || j.AggregateConfig != `{"group_by":["date"]}` || j.ParseConfig != "" || j.Channel != "process-transactions" {
		t.Errorf("job is %+v", j.Draft)
	}
	want := "index,account_id,date,amount,is_revenue\n0,A,2024-01-02,10.50,\n1,7,2024-01-02T10:00:00Z,-3,false\n"
	source, err := s.jobs.Source(t.Context(), j.Tenant, j.ID)
	if err != nil || len(source) != 1 {
		t.Fatal(source, err)
	}
	r := s.bucket.Open(t.Context(), blob.Object(source[0]))
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !strings.HasPrefix(string(got), want+"2,") {
		t.Errorf("stored is %q, %v", got, err)
	}
}

// TestMalformedWholeFiles: each fault has its error, which names it, and leaves
// neither an open job nor an object.
func TestMalformedWholeFiles(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.MaxUploadBytes, c.MaxJSONBytes = 10_000, 10_000 })
	formType, formBody := form(t, "file", smallCSV)
	whole, err := io.ReadAll(formBody)
	if err != nil {
		t.Fatal(err)
	}
	twice, twiceBody := form(t, "file", smallCSV, "file", smallCSV)
	none, noneBody := form(t, "aggregate_config", "{}")
	again, againBody := form(t, "file", smallCSV, "parse_config", "{}", "parse_config", "{}")
	late, lateBody := form(t, "file", smallCSV, "aggregate_config", `{"group_by":"moon"}`)
	long, longBody := form(t, "parse_config", strings.Repeat("x", 9_000)+strings.Repeat("x", 65_000))
	csv, ndjson, json := fields{"Content-Type": "text/csv"}, fields{"Content-Type": "application/x-ndjson"}, fields{"Content-Type": "application/json"}
	text := func(s string) io.Reader { return strings.NewReader(s) }
	for _, c := range []struct {
		name, path string
		header     fields
		body       io.Reader
		status     int
		detail     string
	}{
		{"no form", "upload-file/", csv, text(smallCSV), 415, "multipart/form-data"},
		{"no boundary", "upload-file/", fields{"Content-Type": "multipart/form-data"}, text(smallCSV), 415, "boundary"},
		{"cut form", "upload-file/", formType, bytes.NewReader(whole[:len(whole)-20]), 400, "boundary"},
		{"two files", "upload-file/", twice, twiceBody, 400, "file: must be given once"},
		{"no file", "upload-file/", none, noneBody, 400, "file: is missing"},
		{"setting of a form twice", "upload-file/", again, againBody, 400, "parse_config: must be given once"},
		{"setting of a query twice", "stream-upload/?filename=a&filename=b", csv, text(smallCSV), 400, "filename: must be given once"},
		{"bad setting behind the file", "upload-file/", late, lateBody, 400, "aggregate_config.group_by"},
		{"long setting", "upload-file/", long, longBody, 413, "larger than the 10000 bytes"},
		{"other type", "stream-upload/", json, text("{}"), 415, "Content-Type"},
		{"other encoding", "stream-upload/", fields{"Content-Type": "text/csv", "Content-Encoding": "br"}, text("x"), 415, "gzip or zstd"},
		{"not encoded", "stream-upload/", fields{"Content-Type": "text/csv", "Content-Encoding": "gzip"}, text(smallCSV), 400, "does not begin so"},
		{"bad digest", "stream-upload/?sha256=abc", csv, text(smallCSV), 400, "sha256"},
		{"bad config", "stream-upload/?parse_config=%5B%5D", ndjson, text("{}"), 400, "parse_config"},
		{"too large", "stream-upload/", csv, text(strings.Repeat("x", 10_001)), 413, "larger than the 10000 bytes"},
		{"no JSON", "process-transactions/", json, text("account_id,date"), 400, "at byte 0"},
		{"an array", "process-transactions/", json, text("[]"), 400, "body: is not the JSON"},
		{"no data", "process-transactions/", json, text(`{"rows":[]}`), 400, "data: is missing"},
		{"setting twice", "process-transactions/", json, text(`{"parse_config":{},"data":[],"parse_config":{}}`), 400, "parse_config: must be given once"},
		{"data twice", "process-transactions/", json, text(`{"data":[],"data":[]}`), 400, "data: must be given once"},
		{"data no array", "process-transactions/", json, text(`{"data":{}}`), 400, "at byte 8"},
		{"cut JSON", "process-transactions/", json, text(`{"data":[{"account_id":"A"}`), 400, "ends too early"},
		{"behind it", "process-transactions/", json, text(`{"data":[]}{}`), 400, "behind the end"},
		{"bad config behind data", "process-transactions/", json, text(`{"data":[],"credit_model_config":{"x":1}}`), 400, "credit_model_config.x"},
		{"long body", "process-transactions/", json, text(`{"data":[` + strings.Repeat(`{},`, 4000) + `{}]}`), 413, "larger than the 10000 bytes"},
		{"long config", "process-transactions/", json, text(`{"parse_config":"` + strings.Repeat("x", 9_900) + `"`), 400, "ends too early"},
	} {
		a := s.do("POST", doorsPath+c.path, c.header, c.body)
		path, _, _ := strings.Cut(doorsPath+c.path, "?")
		wantProblem(t, a, c.status, path)
		var p map[string]any
		decode(t, a.body, &p)
		if !strings.Contains(fmt.Sprint(p["detail"]), c.detail) || p["error"] != p["detail"] {
			t.Errorf("%s: got %s", c.name, a.body)
		}
	}
	for _, j := range s.all() {
		if j.State != job.Aborted {
			t.Errorf("a job is %s", j.State)
		}
	}
	if keys := s.objects("uploads/"); len(keys) > 0 {
		t.Errorf("objects are left: %q", keys)
	}
}

// TestBrokenStream: a client that goes away leaves an ABORTED job and no object.
func TestBrokenStream(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, door := range []struct {
		path   string
		header fields
		before string
	}{
		{"stream-upload/", fields{"Content-Type": "text/csv"}, ""},
		{"upload-file/", fields{"Content-Type": "multipart/form-data; boundary=b"}, "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n"},
		{"process-transactions/", nil, `{"data":[{"account_id":"`},
	} {
		r, w := io.Pipe()
		sent := make(chan error, 1)
		go func() {
			_, err := s.try("POST", doorsPath+door.path, door.header, r)
			sent <- err
		}()
		if _, err := io.WriteString(w, door.before+strings.Repeat("x", 10<<20)); err != nil { // more than a part
			t.Fatal(err)
		}
		w.CloseWithError(errors.New("the client has gone"))
		if err := <-sent; err == nil {
			t.Error("the request was answered")
		}
	}
	wait(t, func() bool {
		for _, j := range s.all() {
			if j.State != job.Aborted || !strings.Contains(j.Error.Message, "broke off") {
				return false
			}
		}
		return len(s.all()) == 3 && len(s.objects("uploads/")) == 0
	})
}

// TestStalledBody: who sends nothing is given up.
func TestStalledBody(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.BodyStall = 50 * time.Millisecond })
	r, w := io.Pipe()
	defer w.Close()
	go func() { _, _ = io.WriteString(w, smallCSV) }()
	a, err := s.try("POST", doorsPath+"stream-upload/", fields{"Content-Type": "text/csv"}, r)
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, a, http.StatusRequestTimeout, doorsPath)
	if jobs := s.all(); len(jobs) != 1 || jobs[0].State != job.Aborted {
		t.Errorf("jobs are %+v", jobs)
	}
}

// TestIdempotency: at each door that takes a file whole.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	s := start(t)
	formHeader := func(pairs ...string) func() (fields, io.Reader) {
		return func() (fields, io.Reader) { return form(t, pairs...) } // with another boundary each time
	}
	plain := func(media, body string) func() (fields, io.Reader) {
		return func() (fields, io.Reader) { return fields{"Content-Type": media}, strings.NewReader(body) }
	}
	for i, c := range []struct {
		path        string
		same, other func() (fields, io.Reader)
	}{
		{"upload-file/", formHeader("file", smallCSV, "aggregate_config", "{}"), formHeader("file", smallCSV)},
		{"stream-upload/", plain("text/csv", smallCSV), plain("text/csv", smallCSV+"B,2024-01-01,1\n")},
		{"process-transactions/", plain("application/json", `{"data":[{"amount":1}]}`), plain("application/json", `{"data":[{"amount":1.0}]}`)},
	} {
		key := fmt.Sprint("key-", i)
		post := func(of func() (fields, io.Reader)) answer {
			header, body := of()
			header["Idempotency-Key"] = key
			return s.do("POST", doorsPath+c.path, header, body)
		}
		var answers [8]answer
		var all sync.WaitGroup
		for k := range answers {
			all.Go(func() {
				for answers[k] = post(c.same); answers[k].status == http.StatusConflict; {
					answers[k] = post(c.same)
				}
			})
		}
		all.Wait()
		for _, a := range answers {
			if a.status != http.StatusAccepted || a.body != answers[0].body {
				t.Fatalf("%s: answers are %d %s and %d %s", c.path, a.status, a.body, answers[0].status, answers[0].body)
			}
		}
		wantProblem(t, post(c.other), http.StatusUnprocessableEntity, c.path)
		if jobs := s.all(); len(jobs) != i+1 {
			t.Fatalf("%s: %d jobs, want %d", c.path, len(jobs), i+1)
		}
	}
	a := s.do("POST", doorsPath+"upload-file/", fields{"Content-Type": "text/csv", "Idempotency-Key": "key-1"}, strings.NewReader(smallCSV))
	wantProblem(t, a, http.StatusUnsupportedMediaType, doorsPath)
	for _, key := range []string{"with blank", strings.Repeat("x", 256)} {
		a := s.do("POST", doorsPath+"stream-upload/", fields{"Content-Type": "text/csv", "Idempotency-Key": key}, strings.NewReader(smallCSV))
		wantProblem(t, a, http.StatusBadRequest, doorsPath)
	}
}

// TestFailedRequestFreesItsKey: a refused request's key is free.
func TestFailedRequestFreesItsKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	header := fields{"Content-Type": "application/json", "Idempotency-Key": "k"}
	wantProblem(t, s.do("POST", doorsPath+"process-transactions/", header, strings.NewReader(`{"data":[{}`)), http.StatusBadRequest, doorsPath)
	s.accepted(s.do("POST", doorsPath+"process-transactions/", header, strings.NewReader(`{"data":[{}]}`)))
}

// wait waits for what a request does behind its client's back.
func wait(t *testing.T, done func() bool) {
	t.Helper()
	for !done() {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
		time.Sleep(time.Millisecond)
	}
}
