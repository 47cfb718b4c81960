package gateway_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/internal/aggregate"
	"sluice/internal/job"
)

// canary is a word that is nowhere by itself.
const canary = "canaryqzjxvk"

// outlives is what a deleted job leaves behind, and why.
var outlives = map[string]string{
	"batched.session_id":   "a session that has ended stays so: its next chunk begins no other",
	"idempotency_keys.key": "for 24 hours, so that a repeat makes no other job",
}

// TestDeletedJobLeavesNothing puts a word wherever who sends a file can put one, deletes the jobs, and looks for it, once
// the sweep was there, in every column of every table that there is, and in every object.
func TestDeletedJobLeavesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	config := url.QueryEscape(fmt.Sprintf(`{"model_version":%q}`, canary))
	csv := fmt.Sprintf("account_id,date,amount,note\n%[1]s,2024-01-02,1500.00,%[1]s\n", canary)
	coded := base64.StdEncoding.EncodeToString([]byte(canary))
	s.told(s.do(http.MethodPost, doorsPath+"stream-upload/?filename="+canary+".csv&credit_model_config="+config,
		fields{"Content-Type": "text/csv", "Idempotency-Key": canary}, strings.NewReader(csv)), http.StatusAccepted)
	s.told(s.do(http.MethodPost, doorsPath+"upload-chunked/", jsonType,
		strings.NewReader(fmt.Sprintf(`{"session_id":%q,"chunk_number":1,"total_chunks":2,"chunk_data":[{"account_id":%[1]q,"date":"2024-01-02","amount":1}]}`, canary))), http.StatusAccepted)
	bulk := s.told(s.do(http.MethodPost, doorsPath+"jobs/", jsonType,
		strings.NewReader(fmt.Sprintf(`{"object":"FinancialTransaction","operation":"pipeline","content_type":"csv","credit_model_config":{"model_version":%q}}`, canary))), http.StatusCreated)["job_id"].(string)
	s.told(s.do(http.MethodPut, doorsPath+"jobs/"+bulk+"/upload/", fields{"Content-Type": "text/csv"},
		strings.NewReader("account_id,date,amount,"+canary+"\na,2024-01-02,1,x\n")), http.StatusOK)
	s.do(http.MethodPost, "/files/", tus("Upload-Length", "10", "Upload-Metadata", "filename "+coded+",note "+coded), nil)
	partial := s.do(http.MethodPost, "/files/", tus("Upload-Length", "10", "Upload-Concat", "partial"), nil).header.Get("Location")
	s.do(http.MethodPost, "/files/", tus("Upload-Concat", "final;"+partial, "Upload-Metadata", "filename "+coded), nil)
	s.completed(outcome{
		offers:  []job.Offer{{AccountID: canary, Day: job.NoDay, Approved: true, RiskLevel: "LOW"}},
		rows:    []aggregate.Row{{AccountID: canary, HasAccount: true}},
		rejects: "line,reason,detail\n2," + canary + ",\n",
	})
	before := s.canaries()
	for _, place := range []string{"jobs.filename", "jobs.credit_model_config", "uploads.metadata", "batched.header", "batched.credit_model_config", "offers.account_id", "objects"} {
		if before[place] == 0 {
			t.Errorf("nobody has put the word into %s: it is in %v", place, before)
		}
	}
	jobs, err := s.jobs.List(t.Context(), job.DefaultTenant, job.Filter{Limit: 100})
	if err != nil || len(jobs) != 6 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	for _, j := range jobs {
		if a := s.do(http.MethodDelete, "/api/jobs/"+j.ID+"/", nil, nil); a.status != http.StatusNoContent {
			t.Errorf("%d: %s", a.status, a.body)
		}
	}
	s.exec("UPDATE uploads SET sweep_at = clock_timestamp() WHERE sweep_at IS NOT NULL")
	for range 2 { // what the lists of batches let go in the first round goes in the second
		if _, err := s.uploads.Sweep(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
	}
	after := s.canaries()
	for _, place := range slices.Sorted(maps.Keys(after)) {
		if outlives[place] == "" {
			t.Errorf("%s still has the word, %d times", place, after[place])
		}
	}
	for place, why := range outlives {
		if after[place] == 0 {
			t.Errorf("%s does not outlive its job, though %s", place, why)
		}
	}
}

// canaries is where the word is: in which columns of the tables that the catalogue has, and in objects. Bytes count as
// the text that they are, in base64 too.
func (s *server) canaries() map[string]int {
	s.t.Helper()
	rows, err := s.pool.Query(s.t.Context(), `SELECT c.relname, quote_ident(a.attname) FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped`)
	if err != nil {
		s.t.Fatal(err)
	}
	type column struct{ Table, Name string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		s.t.Fatal(err)
	}
	found := map[string]int{}
	for _, c := range columns {
		var n int
		sql := fmt.Sprintf(`SELECT count(*) FROM %[1]s WHERE %[2]s::text LIKE '%%' || $1 || '%%' OR %[2]s::text LIKE '%%' || encode($1::text::bytea, 'hex') || '%%'
			OR %[2]s::text LIKE '%%' || rtrim(encode($1::text::bytea, 'base64'), '=') || '%%'`, c.Table, c.Name)
		if err := s.pool.QueryRow(s.t.Context(), sql, canary).Scan(&n); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
		if n > 0 {
			found[c.Table+"."+c.Name] = n
		}
	}
	for o, err := range s.bucket.List(s.t.Context(), "") {
		if err != nil {
			s.t.Fatal(err)
		}
		body := make([]byte, o.SizeBytes)
		if _, err := s.bucket.ReaderAt(s.t.Context(), o).ReadAt(body, 0); err != nil {
			s.t.Fatal(err)
		}
		if bytes.Contains(body, []byte(canary)) {
			found["objects"]++
		}
	}
	return found
}
