package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"sluice/gateway"
	"sluice/internal/job"
)

const chunkedPath = doorsPath + "upload-chunked/"

// chunkBody is a chunk's JSON, its data first, as the system before had it.
func chunkBody(session string, number, total int, data string, more ...string) string {
	return fmt.Sprintf(`{"chunk_data":%s,"chunk_number":%d,"total_chunks":%d,"session_id":%q%s}`, data, number, total, session, strings.Join(more, ""))
}

func (s *server) chunk(body string, header ...string) answer {
	s.t.Helper()
	h := fields{"Content-Type": "application/json"}
	for i := 0; i < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return s.do(http.MethodPost, chunkedPath, h, strings.NewReader(body))
}

// told decodes an answer of that status.
func (s *server) told(a answer, status int) map[string]any {
	s.t.Helper()
	if a.status != status {
		s.t.Fatalf("got %d %s, want %d", a.status, a.body, status)
	}
	var told map[string]any
	if err := json.Unmarshal([]byte(a.body), &told); err != nil {
		s.t.Fatal(err)
	}
	return told
}

// TestUploadChunked: chunks in any order, at once, at two gateways and again
// make one file, in their order.
func TestUploadChunked(t *testing.T) {
	t.Parallel()
	s := start(t)
	servers := []*server{s, s.rival()}
	const total = 7
	want := "chunk,index,account_id,date,amount,is_revenue\n"
	bodies := make([]string, total)
	for i := range bodies {
		var data []string
		for k := range i + 1 {
			data = append(data, fmt.Sprintf(`{"account_id":"A%d","date":"2024-01-02","amount":%d.50}`, i, k))
			want += fmt.Sprintf("%d,%d,A%d,2024-01-02,%d.50,\n", i+1, k, i, k)
		}
		bodies[i] = chunkBody("order 7", i+1, total, "["+strings.Join(data, ",")+"]", `,"credit_model_config":{"offer_type": "loan"}`)
	}
	if got := s.told(s.chunk(bodies[2]), 202); !reflect.DeepEqual(got, map[string]any{
		"session_id": "order 7", "chunk_received": 3.0, "total_chunks": 7.0, "progress": 14.2, "next_chunk": 1.0, "message": "Chunk 3 is stored; 6 more to come.",
	}) {
		t.Errorf("first chunk: %v", got)
	}
	if got := s.told(s.get(chunkedPath+"order%207/"), 200); !reflect.DeepEqual(got, map[string]any{
		"session_id": "order 7", "total_chunks": 7.0, "received": []any{3.0}, "missing": []any{1.0, 2.0, 4.0, 5.0, 6.0, 7.0}, "progress": 14.2, "job_id": nil,
	}) {
		t.Errorf("session: %v", got)
	}
	var all sync.WaitGroup
	for round := range 4 {
		for i, body := range bodies {
			all.Go(func() {
				if a := servers[(round+i)%2].chunk(body); a.status != 200 && a.status != 202 {
					t.Errorf("chunk %d: %d %s", i+1, a.status, a.body)
				}
			})
		}
	}
	all.Wait()
	again := s.told(s.chunk(bodies[0]), 200)
	j := s.jobOf(again["job_id"].(string))
	s.wantSource(j, want)
	if j.Channel != "upload-chunked" || j.CreditConfig != `{"offer_type":"loan"}` || again["total_transactions"] != 28.0 || again["session_id"] != "order 7" {
		t.Errorf("job is %+v, answer %v", j.Draft, again)
	}
	if got := s.told(s.get(chunkedPath+"order%207"), 200); got["job_id"] != j.ID || got["progress"] != 100.0 || len(got["missing"].([]any)) != 0 {
		t.Errorf("session: %v", got)
	}
	if jobs := s.all(); len(jobs) != 1 {
		t.Errorf("%d jobs", len(jobs))
	}
	wantProblem(t, s.chunk(chunkBody("order 7", 2, total, `[{"amount":9}]`)), http.StatusConflict, chunkedPath)
	if a := s.do("HEAD", "/files/"+j.ID, tus(), nil); a.status != http.StatusNotFound {
		t.Errorf("tus knows of it: %d", a.status)
	}
}

// TestChunksOfAnyShape: members in any order, a session that the server names,
// and a chunk that is too large to wait for its number.
func TestChunksOfAnyShape(t *testing.T) {
	t.Parallel()
	s := start(t)
	named := s.told(s.chunk(`{"total_chunks":2,"x":[{}],"chunk_number":1,"chunk_data":[{"account_id":"A","amount":1}],"parse_config":null}`), 202)
	session := named["session_id"].(string)
	last := s.told(s.chunk(chunkBody(session, 2, 2, `[{"amount":2}]`, `,"aggregate_config":{"group_by":["date"]}`)), 200)
	j := s.jobOf(last["job_id"].(string))
	s.wantSource(j, "chunk,index,account_id,date,amount,is_revenue\n1,0,A,,1,\n2,0,,,2,\n")
	if j.AggregateConfig != `{"group_by":["date"]}` {
		t.Errorf("job is %+v", j.Draft)
	}
	row := `{"account_id":"` + strings.Repeat("a", 1000) + `"}`
	data := "[" + strings.Repeat(row+",", 3000) + row + "]" // 3 MiB
	wantProblem(t, s.chunk(chunkBody("large", 1, 1, data)), http.StatusBadRequest, chunkedPath)
	s.told(s.chunk(`{"chunk_number":1,"total_chunks":1,"session_id":"large","chunk_data":`+data+`}`), 200)
	full := "[" + strings.Repeat(`{},`, 9_999) + `{}]`
	if got := s.told(s.chunk(chunkBody("full", 1, 1, full)), 200); got["total_transactions"] != 10_000.0 {
		t.Errorf("a full chunk: %v", got)
	}
}

// TestMalformedChunks: each fault has its error and leaves what was there.
func TestMalformedChunks(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.MaxBatchBytes = 100_000 })
	s.told(s.chunk(chunkBody("s", 2, 3, `[{"amount":1}]`, `,"parse_config":{"ragged":true}`)), 202)
	for _, c := range []struct {
		name, body string
		status     int
		detail     string
	}{
		{"too many", chunkBody("s", 1, 3, "["+strings.Repeat(`{},`, 10_000)+`{}]`), 400, "more than 10000 transactions"},
		{"other content", chunkBody("s", 2, 3, `[{"amount":1.0}]`), 409, "other content"},
		{"other total", chunkBody("s", 1, 4, `[{"amount":1}]`), 409, "another number of batches"},
		{"other setting", chunkBody("s", 1, 3, `[{"amount":1}]`, `,"parse_config":{"ragged":false}`), 409, "other settings"},
		{"bad setting", chunkBody("s", 1, 3, `[{"amount":1}]`, `,"parse_config":{"ragged":7}`), 400, "parse_config.ragged"},
		{"beyond the total", chunkBody("s", 4, 3, `[]`), 400, "chunk_number: is larger than total_chunks"},
		{"number 0", chunkBody("s", 0, 3, `[]`), 400, "whole number from 1 to 10000"},
		{"number as text", `{"chunk_number":"1"}`, 400, "whole number from 1 to 10000"},
		{"too many chunks", `{"total_chunks":10001}`, 400, "whole number from 1 to 10000"},
		{"session with a slash", chunkBody("a/b", 1, 1, `[]`), 400, "session_id"},
		{"session as number", `{"session_id":5}`, 400, "session_id: must be text"},
		{"no data", `{"chunk_number":1,"total_chunks":1}`, 400, "chunk_data: is missing"},
		{"no number", `{"chunk_data":[],"total_chunks":1}`, 400, "chunk_number: is missing"},
		{"no total", `{"chunk_data":[],"chunk_number":1}`, 400, "total_chunks: is missing"},
		{"data twice", `{"chunk_data":[],"chunk_data":[]}`, 400, "chunk_data: must be given once"},
		{"setting twice", chunkBody("s", 1, 3, `[{"amount":1}]`, `,"parse_config":{},"parse_config":{}`), 400, "parse_config: must be given once"},
		{"data no array", `{"chunk_data":{}}`, 400, "not the JSON"},
		{"cut", `{"chunk_number":1,"chunk_data":[{}`, 400, "ends too early"},
		{"too large", chunkBody("s", 1, 3, `[{"x":"`+strings.Repeat("x", 100_000)+`"}]`), 413, "larger than the 100000 bytes"},
	} {
		a := s.chunk(c.body)
		wantProblem(t, a, c.status, chunkedPath)
		var p map[string]any
		decode(t, a.body, &p)
		if !strings.Contains(fmt.Sprint(p["detail"]), c.detail) || p["error"] != p["detail"] {
			t.Errorf("%s: got %s", c.name, a.body)
		}
	}
	wantProblem(t, s.get(chunkedPath+"unknown/"), http.StatusNotFound, chunkedPath)
	if got := s.told(s.get(chunkedPath+"s/"), 200); !reflect.DeepEqual(got["received"], []any{2.0}) {
		t.Errorf("session: %v", got)
	}
	if jobs, keys := s.all(), s.objects("uploads/"); len(jobs) != 1 || len(keys) != 1 {
		t.Errorf("%d jobs, objects %q", len(jobs), keys)
	}
	if _, err := s.pool.Exec(t.Context(), "UPDATE uploads SET expires_at = clock_timestamp()"); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, s.get(chunkedPath+"s/"), http.StatusGone, chunkedPath)
	wantProblem(t, s.chunk(chunkBody("s", 1, 3, `[]`)), http.StatusGone, chunkedPath)
}

func (s *server) openBulk(contentType string, more ...string) (id string) {
	s.t.Helper()
	a := s.do(http.MethodPost, doorsPath+"jobs/", fields{"Content-Type": "application/json"},
		strings.NewReader(`{"object":"FinancialTransaction","operation":"pipeline","content_type":"`+contentType+`"`+strings.Join(more, "")+`}`))
	told := s.told(a, 201)
	id = told["job_id"].(string)
	want := map[string]any{
		"job_id": id, "object": "FinancialTransaction", "operation": "pipeline", "state": "OPEN",
		"upload_url": "/api/financial-transactions/jobs/" + id + "/upload/", "status_url": "/api/jobs/" + id + "/status/",
	}
	if !reflect.DeepEqual(told, want) {
		s.t.Errorf("got %v, want %v", told, want)
	}
	return id
}

func (s *server) batch(id, query, body string, header ...string) answer {
	s.t.Helper()
	h := fields{"Content-Type": "application/octet-stream"}
	for i := 0; i < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return s.do(http.MethodPut, doorsPath+"jobs/"+id+"/upload/"+query, h, io.MultiReader(strings.NewReader(body)))
}

func (s *server) completeBulk(id string, header ...string) answer {
	s.t.Helper()
	h := fields{}
	for i := 0; i < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return s.do(http.MethodPatch, doorsPath+"jobs/"+id+"/complete/", h, nil)
}

// TestBulkOfCSV: batches with the same header, whatever ends their lines, are
// one file with one header, in the order of their numbers.
func TestBulkOfCSV(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.openBulk("csv", `,"aggregate_config":{"group_by": "date"}`)
	wantProblem(t, s.completeBulk(id), http.StatusConflict, "no batch")
	const second = "account_id,date,amount\nB,2024-01-02,2\n"
	if got := s.told(s.batch(id, "?batch_number=20", second), 200); !reflect.DeepEqual(got, map[string]any{
		"job_id": id, "bytes_uploaded": float64(len(second)), "records_count": 1.0, "total_records": 1.0, "batch_number": 20.0, "state": "OPEN",
	}) {
		t.Errorf("got %v", got)
	}
	first := "\xef\xbb\xbf\r\naccount_id,date,amount\r\nA,2024-01-02,\"1\"\r\n\r\n\"x\r\ny\"\"\",2024-01-02,2" // a BOM, blank lines, quotes, no end
	if got := s.told(s.batch(id, "?batch_number=3", first), 200); got["records_count"] != 2.0 || got["total_records"] != 3.0 {
		t.Errorf("got %v", got)
	}
	for range 2 { // again, and once more after the end
		if got := s.told(s.batch(id, "?batch_number=20", second), 200); got["total_records"] != 3.0 {
			t.Errorf("a repeat counts: %v", got)
		}
		wantProblem(t, s.batch(id, "?batch_number=20", second+"C,2024-01-02,3\n"), http.StatusConflict, "other content")
		done := s.told(s.completeBulk(id), 200)
		if done["state"] != "UPLOAD_COMPLETE" || done["total_records"] != 3.0 {
			t.Errorf("got %v", done)
		}
	}
	wantProblem(t, s.batch(id, "?batch_number=4", second), http.StatusConflict, "complete")
	wantProblem(t, s.batch(id, "", second), http.StatusConflict, "complete")
	j := s.jobOf(id)
	s.wantSource(j, "account_id,date,amount\nA,2024-01-02,\"1\"\r\n\r\n\"x\r\ny\"\"\",2024-01-02,2\nB,2024-01-02,2\n")
	if j.AggregateConfig != `{"group_by":"date"}` || j.Channel != "bulk" {
		t.Errorf("job is %+v", j.Draft)
	}
}

// TestBulkOfJSON: arrays and lines, each row with its batch and its place there.
func TestBulkOfJSON(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.openBulk("json")
	s.told(s.batch(id, "?batch_number=2", "{\"account_id\":\"A\",\"amount\":1.50}\n\n{\"account_id\":\"B\"}\nnonsense"), 200)
	s.told(s.batch(id, "?batch_number=1", " [{\"amount\":\"2\"}]"), 200)
	if got := s.told(s.batch(id, "", `[]`), 200); got["batch_number"] != 3.0 || got["total_records"] != 4.0 {
		t.Errorf("got %v", got)
	}
	if got := s.told(s.completeBulk(id), 200); got["total_records"] != 4.0 {
		t.Errorf("got %v", got)
	}
	s.wantSource(s.jobOf(id), "batch,index,account_id,date,amount,is_revenue\n1,0,,,2,\n2,0,A,,1.50,\n2,1,B,,,\n2,2,nonsense\n")
}

// TestMalformedBatches: each fault has its error and leaves nothing.
func TestMalformedBatches(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.MaxBatchBytes = 100_000 })
	for _, body := range []string{
		`{}`, `[]`, `x`, `{"object":"Other","operation":"pipeline","content_type":"csv"}`, `{"object":"FinancialTransaction","operation":"x","content_type":"csv"}`,
		`{"object":"FinancialTransaction","operation":"pipeline","content_type":"xlsx"}`, `{"object":5}`,
		`{"object":"FinancialTransaction","operation":"pipeline","content_type":"csv","credit_model_config":{"x":1}}`,
	} {
		wantProblem(t, s.do(http.MethodPost, doorsPath+"jobs/", nil, strings.NewReader(body)), http.StatusBadRequest, body)
	}
	csv, ndjson, of := s.openBulk("csv"), s.openBulk("json"), s.queued(job.Draft{})
	s.told(s.batch(csv, "?batch_number=1", "account_id,date,amount\n"), 200)
	for _, c := range []struct {
		name, id, query, body string
		status                int
		detail                string
		header                []string
	}{
		{"unknown job", job.NewID(), "", "x", 404, "no such job", nil},
		{"a job of another door", of, "", "x", 404, "no such job", nil},
		{"number 0", csv, "?batch_number=0", "x\n", 400, "batch_number", nil},
		{"other header", csv, "?batch_number=2", "account_id,date,sum\n", 409, "header", nil},
		{"empty", csv, "?batch_number=2", "\n", 400, "must begin with its header", nil},
		{"open quotes", csv, "?batch_number=2", "account_id,date,amount\n\"A,2024-01-02,1\n", 400, "ends within quotes", nil},
		{"open header", csv, "?batch_number=2", "\"account_id,date", 400, "ends within quotes", nil},
		{"long header", csv, "?batch_number=2", strings.Repeat("x", 70_000), 400, "longer than 64 KiB", nil},
		{"compressed", csv, "?batch_number=2", "\x1f\x8b....", 400, "compressed", nil},
		{"UTF-16", csv, "?batch_number=2", "\xff\xfea\x00", 400, "UTF-16", nil},
		{"encoded", csv, "?batch_number=2", "x", 415, "Content-Encoding", []string{"Content-Encoding", "gzip"}},
		{"too large", csv, "?batch_number=2", "account_id,date,amount\n" + strings.Repeat("x", 100_000), 413, "larger than", nil},
		{"cut array", ndjson, "?batch_number=2", `[{"amount":1}`, 400, "ends too early", nil},
	} {
		a := s.batch(c.id, c.query, c.body, c.header...)
		wantProblem(t, a, c.status, c.name)
		var p map[string]any
		decode(t, a.body, &p)
		if !strings.Contains(fmt.Sprint(p["detail"]), c.detail) || p["error"] != p["detail"] {
			t.Errorf("%s: got %s", c.name, a.body)
		}
	}
	wantProblem(t, s.completeBulk(of), http.StatusNotFound, "of another door")
	if keys := s.objects("uploads/"); len(keys) > 0 { // the one batch that was taken has no rows
		t.Errorf("objects are left: %q", keys)
	}
}

// TestIdempotentBatches: with a key each of these requests is done once, and
// another with the same key is refused.
func TestIdempotentBatches(t *testing.T) {
	t.Parallel()
	s := start(t)
	const open = `{"object":"FinancialTransaction","operation":"pipeline","content_type":"json"}`
	post := func(body string) answer {
		return s.do(http.MethodPost, doorsPath+"jobs/", fields{"Idempotency-Key": "open", "Content-Type": "application/json"}, strings.NewReader(body))
	}
	id := s.told(post(open), 201)["job_id"].(string)
	for name, c := range map[string]struct{ same, other func() answer }{
		"open": {func() answer { return post(open) }, func() answer { return post(strings.Replace(open, "json", "csv", 1)) }},
		"batch": {
			func() answer { return s.batch(id, "", `[{"amount":1}]`, "Idempotency-Key", "batch") },
			func() answer { return s.batch(id, "", `[{"amount":2}]`, "Idempotency-Key", "batch") },
		},
		"chunk": {
			func() answer { return s.chunk(chunkBody("s", 1, 2, `[{"amount":1}]`), "Idempotency-Key", "chunk") },
			func() answer { return s.chunk(chunkBody("s", 2, 2, `[{"amount":1}]`), "Idempotency-Key", "chunk") },
		},
		"nameless chunk": {
			func() answer {
				return s.chunk(`{"chunk_number":1,"total_chunks":1,"chunk_data":[{}]}`, "Idempotency-Key", "nameless")
			},
			func() answer {
				return s.chunk(`{"chunk_number":1,"total_chunks":1,"chunk_data":[{},{}]}`, "Idempotency-Key", "nameless")
			},
		},
	} {
		var answers [4]answer
		var all sync.WaitGroup
		for k := range answers {
			all.Go(func() {
				for answers[k] = c.same(); answers[k].status == http.StatusConflict; {
					answers[k] = c.same()
				}
			})
		}
		all.Wait()
		for _, a := range answers {
			if a.status >= 300 || a.body != answers[0].body {
				t.Errorf("%s: answers are %d %s and %d %s", name, a.status, a.body, answers[0].status, answers[0].body)
			}
		}
		wantProblem(t, c.other(), http.StatusUnprocessableEntity, name)
	}
	first := s.told(s.completeBulk(id, "Idempotency-Key", "complete"), 200)
	if again := s.told(s.completeBulk(id, "Idempotency-Key", "complete"), 200); !reflect.DeepEqual(first, again) || first["total_records"] != 1.0 {
		t.Errorf("completed %v, and then %v", first, again)
	}
	if jobs := s.all(); len(jobs) != 3 {
		t.Errorf("%d jobs", len(jobs))
	}
}
