package gateway_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"sluice/gateway"
	"sluice/internal/job"
)

// status returns the status JSON of a job, without what differs between runs.
func (s *server) status(id string) map[string]any {
	s.t.Helper()
	var status map[string]any
	s.read("/api/jobs/"+id+"/status/", &status)
	if status["job_id"] != id || !strings.HasSuffix(fmt.Sprint(status["created_at"]), "Z") || !strings.HasSuffix(fmt.Sprint(status["updated_at"]), "Z") {
		s.t.Errorf("status of %s is %v", id, status)
	}
	for _, key := range []string{"job_id", "created_at", "updated_at"} {
		delete(status, key)
	}
	return status
}

// wantStatus returns what the status of a job must be, but for the given keys.
func wantStatus(id string, differ map[string]any) map[string]any {
	base := "/api/jobs/" + id
	want := map[string]any{
		"stage": "", "channel": "tus", "filename": "a.csv", "rows_accepted": json.Number("0"), "rows_rejected": json.Number("0"), "rejects_by_reason": map[string]any{},
		"completed_at": nil, "estimated_remaining_seconds": nil, "error": nil, "error_code": nil, "can_retry": false, "duplicate_of": nil,
		"offers_url": base + "/offers/", "aggregates_url": base + "/aggregates/", "rejects_url": base + "/rejects/", "events_url": base + "/events/",
	}
	maps.Copy(want, differ)
	return want
}

// progress is the progress object with total bytes or items of -1 as null.
func progress(received, total, processed, items, totalItems int64, percentage string) map[string]any {
	number := func(n int64) any {
		if n < 0 {
			return nil
		}
		return json.Number(fmt.Sprint(n))
	}
	return map[string]any{
		"bytes_received": number(received), "bytes_total": number(total), "processed_bytes": number(processed),
		"processed_items": number(items), "total_items": number(totalItems), "percentage": json.Number(percentage),
	}
}

func TestStatusOfEachState(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.queued(job.Draft{Filename: "a.csv"})
	want := wantStatus(id, map[string]any{
		"state": "UPLOAD_COMPLETE", "status": "queued", "message": "The file is stored and waits for a worker.",
		"progress": progress(1000, 1000, 0, 0, -1, "0"),
	})
	if diff := cmp.Diff(want, s.status(id)); diff != "" {
		t.Error(diff)
	}

	lease := s.claim(job.DefaultTenant, id)
	if err := s.jobs.Progress(t.Context(), lease, job.Progress{
		Stage: job.Scoring, ProcessedBytes: 333, RowsAccepted: 30, RowsRejected: 3, RejectsByReason: map[string]int64{"bad_date": 2, "nul_byte": 1},
	}); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]any{"bad_date": json.Number("2"), "nul_byte": json.Number("1")}
	got := s.status(id)
	if got["estimated_remaining_seconds"] == nil {
		t.Error("no estimate although there is a rate")
	}
	want = wantStatus(id, map[string]any{
		"state": "IN_PROGRESS", "status": "processing", "stage": "scoring", "message": "The accounts are being scored.",
		"rows_accepted": json.Number("30"), "rows_rejected": json.Number("3"), "rejects_by_reason": reasons, "progress": progress(1000, 1000, 333, 33, -1, "33.3"),
		"estimated_remaining_seconds": got["estimated_remaining_seconds"],
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	fault := job.Error{Code: "missing_column", Message: "There is no column amount."}
	if err := s.jobs.Fail(t.Context(), lease, fault, true, nil); err != nil {
		t.Fatal(err)
	}
	got = s.status(id)
	want = wantStatus(id, map[string]any{
		"state": "FAILED", "status": "failed", "message": fault.Message, "error": fault.Message, "error_code": fault.Code, "can_retry": true,
		"rows_accepted": json.Number("30"), "rows_rejected": json.Number("3"), "rejects_by_reason": reasons, "progress": progress(1000, 1000, 333, 33, -1, "33.3"),
		"completed_at": got["completed_at"],
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got["completed_at"] == nil {
		t.Error("a failed job has no end")
	}
	for _, what := range []string{"offers", "aggregates", "rejects"} {
		a := s.get("/api/jobs/" + id + "/" + what + "/")
		wantProblem(t, a, 409, what)
		if !strings.Contains(a.body, "urn:problem-type:sluice:job_failed") || !strings.Contains(a.body, fault.Message) {
			t.Errorf("%s of a failed job: %s", what, a.body)
		}
	}

	first := id
	id = s.completed(outcome{}) // of the same size and CRC-64
	got = s.status(id)
	want = wantStatus(id, map[string]any{
		"state": "JOB_COMPLETE", "status": "completed", "message": "The offers can be read.", "duplicate_of": first,
		"rows_accepted": json.Number("12"), "rows_rejected": json.Number("3"),
		"rejects_by_reason": map[string]any{"bad_amount": json.Number("3")}, "progress": progress(1000, 1000, 1000, 15, 15, "100"),
		"completed_at": got["completed_at"],
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStatusOfAbortedJob(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *gateway.Config) { c.PublicURL = "https://sluice.example" })
	id := job.NewID()
	s.inTx(job.DefaultTenant, func(tx pgx.Tx) error {
		if err := s.jobs.CreateTx(t.Context(), tx, job.Draft{ID: id, Tenant: job.DefaultTenant, Channel: "tus"}); err != nil {
			return err
		}
		return s.jobs.AbortTx(t.Context(), tx, id, "The upload expired.")
	})
	got := s.do("GET", "/api/jobs/"+id+"/status/", fields{"Host": "sluice.example"}, nil).body
	for _, want := range []string{`"state":"ABORTED"`, `"status":"aborted"`, `"error":"The upload expired."`, `"offers_url":"https://sluice.example/api/jobs/` + id + `/offers/"`} {
		if !strings.Contains(got, want) {
			t.Errorf("status lacks %s: %s", want, got)
		}
	}
}
