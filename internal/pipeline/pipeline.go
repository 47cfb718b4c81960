// Package pipeline takes one file from raw bytes to aggregates, rejects and
// credit decisions. It is the one path of the worker, `sluice import` and
// `sluice check`.
//
// It owns what lies between the packages below it: inflating, transcoding,
// digests, which rows count for the model and which series are scored. It does
// not know where the bytes come from nor where results go: no queue, no
// database, no HTTP, no object store.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"sluice/internal/aggregate"
	"sluice/internal/rollup"
	"sluice/internal/span"
	"sluice/parser"
)

// Input is one file and how to read it.
type Input struct {
	// Source gives the bytes as they were received. It is read to its end
	// unless the file fails before, and is not closed.
	Source io.Reader
	// Settings are from ParseSettings.
	Settings Settings
	// ReferenceDay is the UTC date on which the upload was complete, in days
	// since 1970-01-01. Rows dated more than future_tolerance_days after it do
	// not count for the model.
	ReferenceDay int32
	// Stored is what was recorded of the bytes as they arrived. Bytes that
	// differ fail the file; nil compares nothing.
	Stored *Stored
	// SHA256 is the digest that the sender claims; another one fails the file.
	// Empty: none is computed.
	SHA256 []byte
	// MemoryBytes is what the sums may take in memory; past it they go to
	// unnamed files in TempDir ("" is os.TempDir()). 0: no limit.
	MemoryBytes int64
	TempDir     string
	// Goroutines parse and sum: 0 is one for each processor that Go may use, 8
	// at most. Source is read by one at a time.
	Goroutines int
}

// Stored identifies bytes.
type Stored struct {
	SizeBytes int64
	CRC64     uint64 // CRC-64/NVME
}

// Sinks take what Run writes. A nil one drops it.
type Sinks struct {
	Aggregates io.Writer // one Parquet file (internal/aggregate)
	Rejects    io.Writer // CSV, while the file is parsed; whole also when the file fails
	// Reject is called for each rejected row, one at a time and in order; the row
	// is valid until it returns.
	Reject func(*parser.Reject)
	// Progress is called once per some hundred rows, accepted or rejected, by one
	// goroutine at a time.
	Progress func(Progress)
}

// Stage is what Run is at.
type Stage string

// The stages, in order; the third is the caller's, who writes the offers.
const (
	StageParsing    Stage = "parsing"
	StageScoring    Stage = "scoring"
	StagePersisting Stage = "persisting"
)

// Progress is how far a file has come.
type Progress struct {
	Stage              Stage
	Bytes              int64                   // read from Input.Source
	Accepted, Rejected int64                   // rows; of the accepted also some behind an error that ends the file
	ByReason           map[parser.Reason]int64 // of the rejected; the callee's own
}

// Run reads a file whole, writes its aggregates and rejects, and returns what
// was found; the decisions are taken afterwards, by Result.Offers. The Result,
// which comes with any error too, is to be closed.
//
// What is the file's fault comes as a *Failure, together with the Result so
// far, and the rejects then are complete up to there. Any other error is not
// the file's, and trying again may help. Aggregates are whole only when the
// error is nil.
func Run(ctx context.Context, in Input, sinks Sinks) (*Result, error) {
	r := newRun(in, sinks)
	parsing, parsed := span.Begin(ctx, "parse")
	err := r.judge(r.parse(parsing))
	span.Count(parsing, "bytes", r.source.bytes.Load())
	parsed(err)
	if err == nil {
		err = r.persist(ctx)
	}
	return r.result(), err
}

type run struct {
	in      Input
	sinks   Sinks
	source  *source
	opened  opened
	reader  *parser.Reader
	sums    *rollup.Rollup
	horizon horizon
	written persisted
	summed  atomic.Int64 // rows; the reader counts a batch only when it has been handed over
	telling sync.Mutex   // while Each runs, held to call Sinks.Progress
}

func newRun(in Input, sinks Sinks) *run {
	return &run{
		in: in, sinks: sinks,
		source: newSource(in.Source, len(in.SHA256) > 0),
		sums:   rollup.New(rollup.Config{MemoryBytes: in.MemoryBytes, TempDir: in.TempDir}),
	}
}

// rejectsTold is after how many rejects, from the first on, progress is reported;
// of accepted rows the parser makes batches of as many.
const rejectsTold = 512

// parse books every record of the file.
func (r *run) parse(ctx context.Context) (err error) {
	r.opened, err = open(r.source, r.in.Settings.Parse.Encoding)
	defer r.opened.close()
	if err != nil {
		return err
	}
	if r.reader, err = parser.NewReader(r.opened.text, r.in.Settings.Parse); err != nil {
		return err
	}
	rejects := newRejects(r.sinks.Rejects, r.reader.Layout())
	rejected := 0
	r.reader.OnReject = func(reject *parser.Reject) error {
		if rejected++; rejected%rejectsTold == 1 { // a file of rejects alone has no batch
			if err := r.advance(ctx); err != nil {
				return err
			}
		}
		if r.sinks.Reject != nil {
			r.sinks.Reject(reject)
		}
		return rejects.write(reject)
	}
	err = r.book(ctx)
	if unwritten := rejects.close(); unwritten != nil {
		return unwritten
	}
	return err
}

// book sums the rows, each goroutine with an adder of its own.
func (r *run) book(ctx context.Context) error {
	adders := make([]*rollup.Adder, r.in.goroutines())
	for i := range adders {
		adders[i] = r.sums.Adder()
	}
	err := r.reader.Each(len(adders), func(worker int, batch []parser.Record) error {
		for i := range batch {
			rec := &batch[i]
			if err := adders[worker].Add(rec.Account, rec.Day, rec.Amount, rec.Revenue); err != nil {
				return fmt.Errorf("sum row at line %d: %w", rec.Line, err)
			}
		}
		r.summed.Add(int64(len(batch)))
		return r.advance(ctx)
	})
	for _, a := range adders {
		if err == nil {
			err = a.Flush()
		}
	}
	return err
}

// maxGoroutines is past where reading and inflating, which are done by one at a
// time, take longer than what is done side by side.
const maxGoroutines = 8

func (in *Input) goroutines() int {
	if in.Goroutines > 0 {
		return in.Goroutines
	}
	return min(runtime.GOMAXPROCS(0), maxGoroutines)
}

// advance reports progress, or that ctx is done.
func (r *run) advance(ctx context.Context) error {
	r.telling.Lock()
	defer r.telling.Unlock()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("parse: %w", err)
	}
	r.progress(StageParsing)
	return nil
}

func (r *run) progress(stage Stage) {
	if r.sinks.Progress == nil {
		return
	}
	s := r.reader.Stats()
	r.sinks.Progress(Progress{Stage: stage, Bytes: r.source.bytes.Load(), Accepted: r.summed.Load(), Rejected: s.Rejected, ByReason: s.ByReason})
}

// judge tells whose fault an error is. Bytes that are not those that were sent
// explain whatever else went wrong with them, so the digests come first.
func (r *run) judge(err error) error {
	if err == nil {
		_, err = io.Copy(io.Discard, r.source)
	}
	if r.source.err != nil {
		return fmt.Errorf("read source: %w", r.source.err)
	}
	if r.source.done {
		if mismatch := r.source.verify(r.in.Stored, r.in.SHA256); mismatch != nil {
			return mismatch
		}
	}
	if file := (*parser.FileError)(nil); errors.As(err, &file) {
		return &Failure{Code: string(file.Code), Message: file.Detail}
	}
	if f := (*Failure)(nil); errors.As(err, &f) {
		return f // without what the parser wrapped round it
	}
	return err
}

// persist brings the sums together and writes the aggregates.
func (r *run) persist(ctx context.Context) error {
	r.progress(StageScoring)
	_, summed := span.Begin(ctx, "rollup")
	err := r.sums.Finish()
	summed(err)
	if err != nil {
		return err
	}
	_, written := span.Begin(ctx, "write aggregates")
	err = r.writeAggregates()
	written(err)
	return err
}

func (r *run) writeAggregates() error {
	r.horizon = newHorizon(r.sums, r.in)
	out := r.sinks.Aggregates
	if out == nil {
		out = io.Discard
	}
	w := aggregate.NewWriter(out, aggregate.Config{Exponent: r.in.Settings.Credit.Exponent()})
	var err error
	if r.written, err = r.horizon.persist(r.sums, r.in.Settings.Aggregate.GroupBy, w); err != nil {
		return err
	}
	return w.Close()
}
