package pipeline_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"

	"sluice/internal/pipeline"
	"sluice/parser"
)

func TestDigests(t *testing.T) {
	t.Parallel()
	file := gzipped(t, plainCSV)
	sum := sha256.Sum256(file)
	stored := pipeline.Stored{SizeBytes: int64(len(file)), CRC64: crc64nvme.Checksum(file)}
	o := job{file: file, stored: &stored, sha256: sum[:]}.run(t)
	if o.err != nil || o.Source != stored {
		t.Fatalf("%v, read %+v, want %+v", o.err, o.Source, stored)
	}
	noRow := lines("account_id,date,amount", "A,2024-01-05,x")
	for name, c := range map[string]struct {
		job
		retry bool
	}{
		"other size":           {job{file: file, stored: &pipeline.Stored{SizeBytes: 1, CRC64: stored.CRC64}}, true},
		"other CRC":            {job{file: file, stored: &pipeline.Stored{SizeBytes: stored.SizeBytes, CRC64: 1}}, true},
		"cut, as no gzip is":   {job{file: file[:len(file)-1], stored: &stored}, true},
		"other SHA-256":        {job{file: file, stored: &stored, sha256: make([]byte, sha256.Size)}, false},
		"no valid row, either": {job{file: noRow, sha256: sum[:]}, false},
	} {
		o := c.run(t)
		f := (*pipeline.Failure)(nil)
		if !errors.As(o.err, &f) || f.Code != pipeline.CodeDigestMismatch || f.CanRetry != c.retry || len(o.aggregates) != 0 {
			t.Errorf("%s: %v", name, o.err)
		}
	}
}

func TestHeaderOnly(t *testing.T) {
	t.Parallel()
	for name, credit := range map[string]string{"": "", "as_of given": `{"as_of":"2024-01-01"}`} {
		o := job{file: lines("account_id,date,amount"), credit: credit, aggregate: `{"date_range":"last_30_days"}`}.run(t)
		if o.err != nil || o.Accepted != 0 || o.Rejected != 0 || len(o.aggregates) != 0 || len(o.offers) != 0 || o.HasAsOf != (credit != "") {
			t.Errorf("%s: %v, %+v", name, o.err, o.Result)
		}
	}
}

// TestSumsBeyond64Bits books more than an int64 holds.
func TestSumsBeyond64Bits(t *testing.T) {
	t.Parallel()
	o := job{file: lines("account_id,date,amount", strings.TrimSuffix(strings.Repeat("A,2024-01-05,92233720368547758.07\n", 3), "\n"))}.run(t)
	if o.err != nil || o.sums() != "A 2024-01-05 27670116110564327421 27670116110564327421 3" {
		t.Errorf("%v, %q", o.err, o.sums())
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	file := random(20_000)
	var seen []pipeline.Progress
	in := job{file: file}.input(t)
	result, err := pipeline.Run(t.Context(), in, pipeline.Sinks{Progress: func(p pipeline.Progress) { seen = append(seen, p) }})
	if err != nil || len(seen) < 10 {
		t.Fatalf("%v, %d reports", err, len(seen))
	}
	for i, p := range seen[1:] {
		if before := seen[i]; p.Bytes < before.Bytes || p.Accepted < before.Accepted || p.Rejected < before.Rejected {
			t.Errorf("%+v after %+v", p, before)
		}
		if p.ByReason[parser.BadAmount] != p.Rejected { // the only reason
			t.Errorf("rejects by reason in %+v", p)
		}
	}
	want := pipeline.Progress{Stage: pipeline.StageScoring, Bytes: int64(len(file)), Accepted: result.Accepted, Rejected: result.Rejected, ByReason: result.ByReason}
	if last := seen[len(seen)-1]; !reflect.DeepEqual(last, want) || seen[0].Stage != pipeline.StageParsing {
		t.Errorf("from %+v to %+v, want %+v", seen[0], last, want)
	}
}

// What is read and summed is told at once, though a source that stalls behind it
// keeps the goroutines from counting it.
func TestProgressTellsAll(t *testing.T) {
	t.Parallel()
	for _, goroutines := range []int{1, 2, 8} {
		in := job{file: random(20_000)}.input(t)
		in.Goroutines = goroutines
		parsed := int64(0)
		result, err := pipeline.Run(t.Context(), in, pipeline.Sinks{Progress: func(p pipeline.Progress) {
			if p.Stage == pipeline.StageParsing {
				parsed = p.Accepted
			}
		}})
		if err != nil || parsed != result.Accepted {
			t.Errorf("%d goroutines: %v, %d rows told of %d", goroutines, err, parsed, result.Accepted)
		}
	}
}

// A file of rejects alone is told of as it is read, like any other, though it
// fails at its end for having no valid row.
func TestProgressOfRejects(t *testing.T) {
	t.Parallel()
	const rows = 20_000
	file := lines("account_id,date,amount", strings.TrimSuffix(strings.Repeat("A,2024-13-01,1.00\nA,2024-01-05,much\n", rows/2), "\n"))
	for goroutines := 1; goroutines < 4; goroutines++ {
		in := job{file: file}.input(t)
		in.Goroutines = goroutines
		var seen []pipeline.Progress
		_, err := pipeline.Run(t.Context(), in, pipeline.Sinks{Progress: func(p pipeline.Progress) { seen = append(seen, p) }})
		if failure := (*pipeline.Failure)(nil); !errors.As(err, &failure) || len(seen) < 10 || seen[0].Rejected != 1 {
			t.Fatalf("%d goroutines: %v, %d reports", goroutines, err, len(seen))
		}
		for _, p := range seen {
			dates, amounts := p.ByReason[parser.BadDate], p.ByReason[parser.BadAmount]
			if p.Stage != pipeline.StageParsing || p.Accepted != 0 || dates+amounts != p.Rejected || dates-amounts > 1 || amounts > dates {
				t.Errorf("%d goroutines: %+v", goroutines, p)
			}
		}
		if last := seen[len(seen)-1]; last.Rejected <= rows-1_000 || last.Rejected > rows || last.Bytes == 0 {
			t.Errorf("%d goroutines: at last %+v", goroutines, last)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	reports := 0
	_, err := pipeline.Run(ctx, job{file: random(50_000)}.input(t), pipeline.Sinks{Progress: func(pipeline.Progress) {
		reports++
		cancel(io.ErrClosedPipe)
	}})
	if !errors.Is(err, context.Canceled) || reports != 1 {
		t.Errorf("%v after %d reports", err, reports)
	}
}

// random makes a file of rows of 1,000 accounts over a year, one in a hundred
// of them bad.
func random(rows int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var out bytes.Buffer
	out.WriteString("account_id,date,amount,is_revenue,description\n")
	for i := range rows {
		amount := fmt.Sprintf("%.2f", float64(r.IntN(1_000_000)-400_000)/100)
		if i%100 == 99 {
			amount = "n/a"
		}
		fmt.Fprintf(&out, "ACC-%06d,2024-%02d-%02d,%s,,payment %d\n", r.IntN(1000), 1+r.IntN(12), 1+r.IntN(28), amount, i)
	}
	return out.Bytes()
}

// BenchmarkRun is the whole path of a file of 96,000 rows, decisions included,
// plain and compressed.
func BenchmarkRun(b *testing.B) {
	const rows = 96_000
	file := random(rows)
	for name, file := range map[string][]byte{"plain": file, "gzip": gzipped(b, string(file))} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				result, err := pipeline.Run(b.Context(), job{file: file}.input(b), pipeline.Sinks{Aggregates: io.Discard, Rejects: io.Discard})
				if err != nil || result.Accepted != rows*99/100 {
					b.Fatal(err)
				}
				for _, err := range result.Offers() {
					if err != nil {
						b.Fatal(err)
					}
				}
				if result.Tally.Approved+result.Tally.Declined != 1000 {
					b.Fatalf("%+v", result.Tally)
				}
			}
			b.ReportMetric(float64(rows*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
