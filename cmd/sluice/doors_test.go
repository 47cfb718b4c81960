package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// doorsWorld is a running server and 96,000 transactions to bring it.
type doorsWorld struct {
	testing.TB
	env    []string
	url    string
	sample sample
	csv    []byte
	rows   []string // as JSON
}

// TestEveryDoor: the same 96,000 transactions through every door, those of the older
// system by clients such as it had, have the exact sums, and aggregates and offers that
// are alike to the byte.
func TestEveryDoor(t *testing.T) {
	t.Parallel()
	w := &doorsWorld{TB: t, env: append(stackEnv(t), "SLUICE_HOOK_SECRET="+hookSecret), sample: newSample(t, 96_000)}
	s := serve(t, w.env, "127.0.0.1:0")
	w.url = s.url
	w.read()
	want := map[string][]byte(nil)
	for _, door := range []struct {
		name  string
		bring func(w *doorsWorld) string // the job's id; "" where it cannot be tried here
	}{
		{"tus", func(w *doorsWorld) string { return upload(w, w.url, "--no-follow", w.sample.path) }},
		{"upload-file", (*doorsWorld).uploadFile},
		{"stream-upload, CSV", func(w *doorsWorld) string { return w.stream("text/csv", "", w.csv) }},
		{"stream-upload, gzip", func(w *doorsWorld) string { return w.stream("text/csv", "gzip", gzipped(w, w.csv)) }},
		{"stream-upload, NDJSON", func(w *doorsWorld) string {
			return w.stream("application/x-ndjson", "", []byte(strings.Join(w.rows, "\n")))
		}},
		{"process-transactions", (*doorsWorld).process},
		{"upload-chunked, by requests", func(w *doorsWorld) string {
			return w.client("python3 -c 'import requests'", "python3", "testdata/clients/chunked.py")
		}},
		{"upload-chunked, by fetch", func(w *doorsWorld) string {
			return w.client("command -v node", "node", "testdata/clients/chunked.mjs")
		}},
		{"bulk, CSV", func(w *doorsWorld) string { return w.bulk("csv") }},
		{"bulk, JSON", func(w *doorsWorld) string { return w.bulk("json") }},
		{"S3 drop", (*doorsWorld).drop},
		{"import", func(w *doorsWorld) string { return importFile(w, w.env, nil, w.sample.path) }},
	} {
		id := door.bring(w)
		if id == "" {
			continue
		}
		eventually(t, "the end of "+door.name, func(context.Context) bool {
			st := s.status(t, id)
			if st.State == "FAILED" || st.State == "ABORTED" {
				t.Fatalf("%s: %s is %s", door.name, id, st.State)
			}
			return st.State == "JOB_COMPLETE"
		})
		if diff := cmp.Diff(w.sample.want, sums(t, w.url, id)); diff != "" {
			t.Errorf("%s: aggregates differ from the file's:\n%.2000s", door.name, diff)
		}
		got := results(t, w.url, id)
		if want == nil {
			want = got
		}
		for _, what := range []string{"aggregates", "parquet", "offers"} {
			if !bytes.Equal(got[what], want[what]) {
				t.Errorf("%s: %s are others than by tus", door.name, what)
			}
		}
	}
	s.stop(t)
}

// read makes JSON of the file, with its numbers as they are.
func (w *doorsWorld) read() {
	w.Helper()
	var err error
	if w.csv, err = os.ReadFile(w.sample.path); err != nil {
		w.Fatal(err)
	}
	for _, row := range table(w, w.csv) {
		w.rows = append(w.rows, `{"account_id":"`+row["account_id"]+`","date":"`+row["date"]+`","amount":`+row["amount"]+`}`)
	}
}

// send makes a request that must succeed, and returns the answer's job.
func (w *doorsWorld) send(method, path, contentType string, body io.Reader, header ...string) string {
	w.Helper()
	if !strings.HasPrefix(path, "/") {
		path = "/api/financial-transactions/" + path
	}
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+path, body)
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		w.Fatalf("%s %s: %s, %v\n%.500s", method, path, resp.Status, err, answer)
	}
	var told struct {
		JobID string `json:"job_id"`
	}
	_ = json.Unmarshal(answer, &told) // a 204 says nothing
	return told.JobID
}

func (w *doorsWorld) uploadFile() string {
	w.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "sample.csv")
	if err == nil {
		_, err = part.Write(w.csv)
	}
	if err != nil || form.Close() != nil {
		w.Fatal(err)
	}
	return w.send(http.MethodPost, "upload-file/", form.FormDataContentType(), &body)
}

// stream sends a body of unknown length.
func (w *doorsWorld) stream(contentType, encoding string, body []byte) string {
	w.Helper()
	return w.send(http.MethodPost, "stream-upload/", contentType, io.MultiReader(bytes.NewReader(body)), "Content-Encoding", encoding)
}

func (w *doorsWorld) process() string {
	w.Helper()
	return w.send(http.MethodPost, "process-transactions/", "application/json", strings.NewReader(`{"data":[`+strings.Join(w.rows, ",")+`]}`))
}

// bulk sends ten batches, the last first and one of them twice.
func (w *doorsWorld) bulk(contentType string) string {
	w.Helper()
	id := w.send(http.MethodPost, "jobs/", "application/json", strings.NewReader(
		`{"object":"FinancialTransaction","operation":"pipeline","content_type":"`+contentType+`"}`))
	const batches = 10
	size := len(w.rows) / batches
	lines := strings.SplitAfter(string(w.csv), "\n")
	for _, n := range []int{10, 2, 3, 1, 4, 5, 3, 6, 7, 8, 9} {
		body := "[" + strings.Join(w.rows[(n-1)*size:n*size], ",") + "]"
		if contentType == "csv" {
			body = lines[0] + strings.Join(lines[1+(n-1)*size:1+n*size], "")
		}
		w.send(http.MethodPut, "jobs/"+id+"/upload/?batch_number="+strconv.Itoa(n), "application/octet-stream", strings.NewReader(body))
	}
	return w.send(http.MethodPatch, "jobs/"+id+"/complete/", "application/json", http.NoBody)
}

// client runs a client of the older system. "": this machine lacks what it needs.
func (w *doorsWorld) client(probe string, command ...string) string {
	w.Helper()
	if err := exec.CommandContext(w.Context(), "sh", "-c", probe).Run(); err != nil {
		w.Logf("%s is not run: %q fails here", command[1], probe)
		return ""
	}
	out, err := exec.CommandContext(w.Context(), command[0], command[1], w.url, w.sample.path).CombinedOutput()
	if err != nil {
		w.Fatalf("%v: %v\n%s", command, err, out)
	}
	return jobID(w, string(out))
}

// drop writes an object to a watched bucket and tells of it.
func (w *doorsWorld) drop() string {
	w.Helper()
	bucket := importBucket(w, w.env)
	drops := bucket.Other(bucket.Name() + "-drops")
	if err := drops.Ensure(w.Context()); err != nil {
		w.Fatal(err)
	}
	if out, err := command(w, w.env, "watch", "add", drops.Name()+"/in/").CombinedOutput(); err != nil {
		w.Fatalf("watch add: %v\n%s", err, out)
	}
	if _, err := drops.Put(w.Context(), "in/sample.csv", w.csv); err != nil {
		w.Fatal(err)
	}
	w.send(http.MethodPost, "/hooks/s3", "application/json", strings.NewReader(
		`{"Records":[{"s3":{"bucket":{"name":"`+drops.Name()+`"},"object":{"key":"`+url.QueryEscape("in/sample.csv")+`"}}}]}`),
		"Authorization", "Bearer "+hookSecret)
	var list struct{ Jobs []status }
	if err := json.Unmarshal(fetch(w, w.url+"/api/jobs/?channel=s3", "application/json"), &list); err != nil || len(list.Jobs) != 1 {
		w.Fatalf("%d jobs of the drop, %v", len(list.Jobs), err)
	}
	return list.Jobs[0].ID
}
