package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"sluice/internal/job"
)

// post is a POST without a body to a job's path.
func (s *server) post(id, action string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, "/api/jobs/"+id+"/"+action+"/", nil, nil)
}

// open makes a job whose bytes have not all come, by its front door.
func (s *server) opened() string {
	s.t.Helper()
	a := s.do(http.MethodPost, "/files/", fields{
		"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Content-Type": "application/offset+octet-stream",
	}, strings.NewReader("12345"))
	if a.status != http.StatusCreated {
		s.t.Fatalf("create: %d %s", a.status, a.body)
	}
	location := a.header.Get("Location")
	return location[strings.LastIndex(location, "/")+1:]
}

// in makes a job in a state.
func (s *server) in(state job.State) string {
	s.t.Helper()
	switch state {
	case job.Open:
		return s.opened()
	case job.JobComplete:
		return s.completed(outcome{offers: []job.Offer{{AccountID: "a", Day: job.NoDay, Approved: true, RiskLevel: "LOW"}}, rejects: "line,reason,detail\n"})
	}
	id := s.queued(job.Draft{Filename: "a.csv"})
	switch state {
	case job.InProgress:
		s.claim(job.DefaultTenant, id)
	case job.Failed:
		if err := s.jobs.Fail(s.t.Context(), s.claim(job.DefaultTenant, id), job.Error{Code: "c", Message: "It failed."}, false, nil); err != nil {
			s.t.Fatal(err)
		}
	case job.Aborted:
		s.inTx(job.DefaultTenant, func(tx pgx.Tx) error { return s.jobs.CancelTx(s.t.Context(), tx, job.DefaultTenant, id) })
	}
	return id
}

func TestControlInEachState(t *testing.T) {
	t.Parallel()
	s := start(t)
	const conflict = ""
	for action, after := range map[string]map[job.State]job.State{
		"cancel": {
			job.Open: job.Aborted, job.UploadComplete: job.Aborted, job.InProgress: job.Aborted,
			job.JobComplete: conflict, job.Failed: conflict, job.Aborted: job.Aborted,
		},
		"retry": {
			job.Open: conflict, job.UploadComplete: conflict, job.InProgress: conflict,
			job.JobComplete: conflict, job.Failed: job.UploadComplete, job.Aborted: job.UploadComplete,
		},
	} {
		for from, to := range after {
			id := s.in(from)
			a := s.post(id, action)
			if to == conflict {
				wantProblem(t, a, http.StatusConflict, action+" "+string(from))
				if got := s.status(id)["state"]; got != string(from) || !strings.Contains(a.body, string(from)) {
					t.Errorf("%s of a job that is %s: now %v, answered %s", action, from, got, a.body)
				}
				continue
			}
			if a.status != http.StatusAccepted || !strings.Contains(a.body, `"state":"`+string(to)+`"`) {
				t.Errorf("%s of a job that is %s: %d %s", action, from, a.status, a.body)
			}
		}
	}
}

// An upload that is cancelled takes nothing more, and cannot be retried.
func TestCancelOpenUpload(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.opened()
	if a := s.post(id, "cancel"); a.status != http.StatusAccepted {
		t.Fatalf("cancel: %d %s", a.status, a.body)
	}
	if a := s.do(http.MethodHead, "/files/"+id, fields{"Tus-Resumable": "1.0.0"}, nil); a.status != http.StatusGone {
		t.Errorf("HEAD of a cancelled upload: %d", a.status)
	}
	wantProblem(t, s.post(id, "retry"), http.StatusConflict, "retry")
}

func TestDeleteInEachState(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, state := range job.States() {
		id := s.in(state)
		if a := s.do(http.MethodDelete, "/api/jobs/"+id+"/", nil, nil); a.status != http.StatusNoContent || a.body != "" {
			t.Errorf("delete of a job that is %s: %d %s", state, a.status, a.body)
		}
		for _, path := range []string{"status/", "offers/", "aggregates/", "rejects/"} {
			wantProblem(t, s.get("/api/jobs/"+id+"/"+path), http.StatusNotFound, path)
		}
		wantProblem(t, s.do(http.MethodDelete, "/api/jobs/"+id+"/", nil, nil), http.StatusNotFound, "delete again")
		for _, table := range []string{"jobs WHERE id", "offers WHERE job_id", "results WHERE job_id", "parts WHERE upload_id"} {
			var n int
			if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table+" = $1", id).Scan(&n); err != nil || n != 0 {
				t.Errorf("%s: %d rows in %s, %v", state, n, table, err)
			}
		}
		for _, prefix := range []string{job.ResultPrefix(job.DefaultTenant, id), "uploads/" + job.DefaultTenant + "/" + id + "/"} {
			for o, err := range s.bucket.List(t.Context(), prefix) {
				t.Errorf("%s: object %s is left, %v", state, o.Key, err)
			}
		}
	}
}

// Another tenant's job and an unknown one are the same 404.
func TestControlOfForeignJob(t *testing.T) {
	t.Parallel()
	s := start(t)
	foreign := s.queued(job.Draft{Tenant: "other"})
	for _, id := range []string{foreign, job.NewID(), "nonsense"} {
		wantProblem(t, s.post(id, "cancel"), http.StatusNotFound, "cancel")
		wantProblem(t, s.post(id, "retry"), http.StatusNotFound, "retry")
		wantProblem(t, s.do(http.MethodDelete, "/api/jobs/"+id, nil, nil), http.StatusNotFound, "delete")
	}
	if j, err := s.jobs.Get(t.Context(), "other", foreign); err != nil || j.State != job.UploadComplete {
		t.Errorf("the foreign job is %s, %v", j.State, err)
	}
}

// A job that waits for a reason says which, and until when.
func TestStatusOfWaitingJob(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.queued(job.Draft{Filename: "a.csv"})
	if err := s.jobs.Release(t.Context(), s.claim(job.DefaultTenant, id), "the object store did not answer; it is tried again", 0); err != nil {
		t.Fatal(err)
	}
	if got := s.status(id)["message"]; got != "The file is stored and waits for a worker: the object store did not answer; it is tried again." {
		t.Errorf("message %q", got)
	}
	if err := s.jobs.Release(t.Context(), s.claim(job.DefaultTenant, id), "the disk was full; it is tried again", 3_600_000_000_000); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.status(id)["message"].(string); !ok || !strings.Contains(got, "full; it is tried again, at ") || !strings.HasSuffix(got, " UTC.") {
		t.Errorf("message %q", got)
	}
}
