package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/internal/aggregate"
	"sluice/internal/pipeline"
)

// endOfTime is a reference day after which nothing is in the future.
const endOfTime = 2_932_896 // 9999-12-31

// sharedData returns the path of a file of the test data that is not ours to
// keep in the repository.
func sharedData(t testing.TB, rel string) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, absent := os.Stat(filepath.Join(dir, "go.mod")); absent == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "data", filepath.FromSlash(rel))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no test data: %v", err)
	}
	return path
}

// job is one file and its settings; the zero values are defaults.
type job struct {
	file                     []byte
	credit, aggregate, parse string
	reference                int32 // 0 = endOfTime
	stored                   *pipeline.Stored
	sha256                   []byte
}

// outcome is all that comes of a job.
type outcome struct {
	*pipeline.Result
	aggregates []aggregate.Row // none when err is not nil
	offers     []pipeline.Offer
	rejects    string
	err        error
}

func (j job) input(t testing.TB) pipeline.Input {
	t.Helper()
	settings, err := pipeline.ParseSettings(j.credit, j.aggregate, j.parse)
	if err != nil {
		t.Fatal(err)
	}
	if j.reference == 0 {
		j.reference = endOfTime
	}
	return pipeline.Input{
		Source: bytes.NewReader(j.file), Settings: settings, ReferenceDay: j.reference, Stored: j.stored, SHA256: j.sha256,
	}
}

func (j job) run(t testing.TB) outcome {
	t.Helper()
	var parquet, rejects bytes.Buffer
	result, err := pipeline.Run(t.Context(), j.input(t), pipeline.Sinks{Aggregates: &parquet, Rejects: &rejects})
	o := outcome{Result: result, rejects: rejects.String(), err: err}
	if err != nil {
		return o
	}
	f, err := aggregate.Open(bytes.NewReader(parquet.Bytes()), int64(parquet.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for row, err := range f.All(nil) {
		if err != nil {
			t.Fatal(err)
		}
		o.aggregates = append(o.aggregates, row)
	}
	for offer, err := range result.Offers() {
		if err != nil {
			t.Fatal(err)
		}
		o.offers = append(o.offers, offer)
	}
	return o
}

// code returns the code a job failed with, "" when it did not, and the text of
// an error that is no Failure.
func (o outcome) code() string {
	if o.err == nil {
		return ""
	}
	if f := (*pipeline.Failure)(nil); errors.As(o.err, &f) {
		return f.Code
	}
	return o.err.Error()
}

// sums shows aggregates a line each, as "account date total revenue count".
func (o outcome) sums() string {
	lines := make([]string, len(o.aggregates))
	for i, r := range o.aggregates {
		account, date := "-", "-"
		if r.HasAccount {
			account = r.AccountID
		}
		if r.HasDate {
			date = iso(r.Day)
		}
		lines[i] = fmt.Sprintf("%s %s %s %s %d", account, date, r.Total, r.Revenue, r.Count)
	}
	return strings.Join(lines, "\n")
}

func iso(day int32) string { return time.Unix(int64(day)*86400, 0).UTC().Format(time.DateOnly) }

func dayOf(t testing.TB, date string) int32 {
	t.Helper()
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		t.Fatal(err)
	}
	return int32(at.Unix() / 86400)
}

// lines makes a CSV of rows.
func lines(rows ...string) []byte { return []byte(strings.Join(rows, "\n") + "\n") }
