package gateway_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"sluice/internal/job"
)

func TestErrorsAreProblems(t *testing.T) {
	t.Parallel()
	s := start(t)
	done := s.completed(outcome{})
	foreign := s.completed(outcome{tenant: "other"})
	waiting := s.queued(job.Draft{})
	unknown := job.NewID()
	tus := fields{"Tus-Resumable": "1.0.0"}

	for _, c := range []struct {
		method, path string
		header       fields
		status       int
		detail       string
	}{
		{"GET", "/nothing/here", nil, 404, ""},
		{"GET", "/api", nil, 404, ""},
		{"GET", "/api/jobs/%00/status", nil, 404, ""},
		{"GET", "/api/jobs/job_1/offers/", nil, 404, "no such job"},
		{"POST", "/api/jobs/" + done + "/offers/", nil, 405, "Allow"},
		{"DELETE", "/healthz", nil, 405, ""},
		{"BREW", "/api/jobs/", nil, 405, ""},
		{"GET", "/api/jobs/?state=DONE", nil, 400, "state"},
		{"GET", "/api/jobs/?limit=0", nil, 400, "limit"},
		{"GET", "/api/jobs/?limit=201", nil, 400, "limit"},
		{"GET", "/api/jobs/?limit=ten", nil, 400, "limit"},
		{"GET", "/api/jobs/?cursor=%21", nil, 400, "cursor"},
		{"GET", "/api/jobs/?cursor=e30x", nil, 400, "cursor"},
		{"GET", "/api/jobs/?q=%00", nil, 400, "q"},
		{"GET", "/api/jobs/?channel=%ff", nil, 400, "channel"},
		{"GET", "/api/jobs/" + done + "/offers/?decision=maybe", nil, 400, "decision"},
		{"GET", "/api/jobs/" + done + "/offers/?risk_level=low", nil, 400, "risk_level"},
		{"GET", "/api/jobs/" + done + "/offers/?limit=1001", nil, 400, "limit"},
		{"GET", "/api/jobs/" + done + "/offers/?cursor=e30x", nil, 400, "cursor"},
		{"GET", "/api/jobs/" + done + "/offers/", fields{"Accept": "image/png"}, 406, "text/csv"},
		{"GET", "/api/jobs/?cursor=" + cursorOf(`{"id":"\u0000"}`), nil, 400, "cursor"},
		{"GET", "/api/jobs/" + done + "/offers/?cursor=" + cursorOf(`{"AccountID":"\u0000","Day":1}`), nil, 400, "cursor"},
		{"GET", "/api/jobs/" + done + "/offers/?cursor=" + cursorOf(`{"AccountID":"a","Day":2147483647}`), nil, 400, "cursor"},
		{"GET", "/api/jobs/" + done + "/offers/?cursor=" + cursorOf(`{"AccountID":"a","Day":1,"x":1}`), nil, 400, "cursor"},
		{"GET", "/api/jobs/" + done + "/aggregates/?cursor=_", nil, 400, "cursor"},
		{"GET", "/api/jobs/" + done + "/aggregates/", fields{"Accept": "application/json;q=0"}, 406, "parquet"},
		{"GET", "/api/jobs/" + done + "/aggregates/?account_id=a", fields{"Accept": "application/vnd.apache.parquet"}, 400, "account_id"},
		{"GET", "/api/jobs/" + waiting + "/offers/", nil, 409, "UPLOAD_COMPLETE"},
		{"GET", "/api/jobs/" + waiting + "/aggregates/", nil, 409, "UPLOAD_COMPLETE"},
		{"GET", "/api/jobs/" + waiting + "/rejects/", nil, 409, "UPLOAD_COMPLETE"},
		{"GET", "/files/" + waiting, nil, 405, ""},
		{"GET", "/files/", nil, 405, ""},
		{"PATCH", "/files/" + unknown, tus, 404, ""},
		{"PATCH", "/files/..%2f..", tus, 404, ""},
		{"DELETE", "/files/" + unknown, tus, 404, ""},
	} {
		a := s.do(c.method, c.path, c.header, nil)
		wantProblem(t, a, c.status, c.method+" "+c.path)
		if !strings.Contains(a.body, c.detail) {
			t.Errorf("%s %s: %s does not name %s", c.method, c.path, a.body, c.detail)
		}
		if c.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow header", c.method, c.path)
		}
	}

	for _, id := range []string{unknown, foreign, "job_00000000000000000000000000"} {
		for _, base := range []string{"/api/jobs/", "/api/financial-transactions/jobs/"} {
			for _, what := range []string{"/status", "/offers/", "/aggregates"} {
				wantProblem(t, s.get(base+id+what), 404, base+id+what)
			}
		}
		wantProblem(t, s.get("/api/jobs/"+id+"/rejects/"), 404, id)
	}
}

func cursorOf(position string) string { return base64.RawURLEncoding.EncodeToString([]byte(position)) }

func TestInternalErrorStaysInside(t *testing.T) {
	t.Parallel()
	s := start(t)
	if _, err := s.pool.Exec(t.Context(), `ALTER TABLE jobs RENAME TO hidden`); err != nil {
		t.Fatal(err)
	}
	a := s.get("/api/jobs/" + job.NewID() + "/status/")
	wantProblem(t, a, 500, "status")
	if strings.Contains(a.body, "relation") || !strings.Contains(s.log.String(), "relation") {
		t.Errorf("the cause belongs into the log and not into %s", a.body)
	}
	a = s.do("POST", "/files/", fields{"Tus-Resumable": "1.0.0", "Upload-Length": "1"}, nil)
	wantProblem(t, a, 503, "create")
	if strings.Contains(a.body, "relation") {
		t.Errorf("the cause belongs into the log and not into %s", a.body)
	}
}
