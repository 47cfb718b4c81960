package gateway_test

import (
	"strings"
	"testing"

	"sluice/internal/job"
)

func TestRejects(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := "line,reason,detail,account_id,date,amount\n" + strings.Repeat("7,bad_date,date: x,a,x,1\n", 20_000)
	a := s.get("/api/jobs/" + s.completed(outcome{rejects: file}) + "/rejects/")
	if a.status != 200 || a.body != file || a.header.Get("Content-Type") != "text/csv; charset=utf-8" || !strings.Contains(a.header.Get("Content-Disposition"), "-rejects.csv") {
		t.Errorf("got %d %v, %d bytes of %d", a.status, a.header, len(a.body), len(file))
	}
	if a := s.get("/api/jobs/" + s.completed(outcome{}) + "/rejects/"); a.status != 200 || a.body != "line,reason,detail\n" {
		t.Errorf("without rejects: %d %s", a.status, a.body)
	}
}

func TestRejectsOfFailedJob(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.queued(job.Draft{})
	result := s.result(id, outcome{rejects: "line,reason,detail,a\n2,bad_amount,amount: y,z\n"})
	result.Aggregates = job.Object{}
	if err := s.jobs.Fail(t.Context(), s.claim(job.DefaultTenant, id), job.Error{Code: "no_valid_rows", Message: "No row is valid."}, false, &result); err != nil {
		t.Fatal(err)
	}
	if a := s.get("/api/jobs/" + id + "/rejects/"); a.status != 200 || !strings.HasSuffix(a.body, "2,bad_amount,amount: y,z\n") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	wantProblem(t, s.get("/api/jobs/"+id+"/aggregates/"), 409, "aggregates")
}
