package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sluice/internal/job"
)

// importedJSON is what `sluice import --json` says of one source; it is for
// programs, so names are only ever added. They are those of the API.
type importedJSON struct {
	Source       string    `json:"source"`
	JobID        string    `json:"job_id"`
	State        job.State `json:"state"`
	ErrorCode    string    `json:"error_code,omitempty"`
	ErrorMessage string    `json:"error,omitempty"`
	SizeBytes    int64     `json:"size_bytes"`
	RowsAccepted int64     `json:"rows_accepted"`
	RowsRejected int64     `json:"rows_rejected"`
	Aggregates   int64     `json:"aggregates_created"`
	Offers       int64     `json:"offers_generated"`
	Declined     int64     `json:"declined"`
	Skipped      int64     `json:"skipped"`
	Seconds      float64   `json:"duration_seconds"`
	DuplicateOf  string    `json:"duplicate_of,omitempty"`
}

func importedOf(source string, j job.Job) importedJSON {
	out := importedJSON{
		Source: source, JobID: j.ID, State: j.State, SizeBytes: j.SizeBytes,
		RowsAccepted: j.RowsAccepted, RowsRejected: j.RowsRejected, DuplicateOf: j.DuplicateOf,
	}
	if j.Error != nil {
		out.ErrorCode, out.ErrorMessage = j.Error.Code, j.Error.Message
	}
	if r := j.Result; r != nil {
		out.Aggregates, out.Offers, out.Declined, out.Skipped = r.AggregatesCreated, r.OffersGenerated, r.Declined, r.Skipped
		out.Seconds = r.Duration.Seconds()
	}
	return out
}

// writeImportedJSON writes a line for programs.
func writeImportedJSON(w io.Writer, source string, j job.Job) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(importedOf(source, j))
}

// writeImported writes what became of a source for people. Why a job failed is the
// command's error, and not repeated here.
func writeImported(w io.Writer, source string, j job.Job) error {
	o := importedOf(source, j)
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s: %s %s%s\n", source, o.JobID, j.State.Status(), map[bool]string{true: fmt.Sprintf(" in %.3f s", o.Seconds)}[o.Seconds > 0])
	line("rows", "%d accepted, %d rejected", o.RowsAccepted, o.RowsRejected)
	if j.State == job.JobComplete {
		line("aggregates", "%d", o.Aggregates)
		line("decisions", "%d approved, %d declined, %d skipped", o.Offers, o.Declined, o.Skipped)
		line("offers", "/api/jobs/%s/offers/", o.JobID)
	}
	if o.RowsRejected > 0 {
		line("rejects", "/api/jobs/%s/rejects/", o.JobID)
	}
	if o.DuplicateOf != "" {
		line("content", "the same as that of %s", o.DuplicateOf)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
