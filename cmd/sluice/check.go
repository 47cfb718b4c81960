package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kong"

	"sluice/internal/pipeline"
	"sluice/parser"
)

type checkCmd struct {
	Files []string `arg:"" name:"file" help:"CSV files, plain or compressed by gzip or zstd."`
	JSON  bool     `name:"json" help:"One JSON object per file, a line each."`
	parseFlags
	CreditConfig    string `group:"Credit" placeholder:"JSON|@FILE" help:"credit_model_config to decide by."`
	AggregateConfig string `group:"Credit" placeholder:"JSON|@FILE" help:"aggregate_config to sum by."`
}

// Validate finds a missing file before the first one is read.
func (c *checkCmd) Validate() error { return checkFiles(c.Files) }

// Run takes the files through the worker's own path, with nothing at its end.
// Its exit code is that of the worst.
func (c *checkCmd) Run(ctx context.Context, k *kong.Kong) error {
	settings, err := c.settings()
	if err != nil {
		return exitError{err, exitUsage}
	}
	write := writeReport
	if c.JSON {
		write = writeJSON
	}
	var failed []error
	for _, path := range c.Files {
		r, err := check(ctx, path, settings)
		if err == nil {
			err = errors.Join(r.failure(), write(k.Stdout, r))
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", path, err))
		}
	}
	return errors.Join(failed...)
}

// settings are those of a job, but that decisions are taken under dry_run too.
func (c *checkCmd) settings() (s pipeline.Settings, err error) {
	parse, err := c.parseConfig()
	if err != nil {
		return s, err
	}
	credit, err := argument("--credit-config", c.CreditConfig)
	if err != nil {
		return s, err
	}
	aggregate, err := argument("--aggregate-config", c.AggregateConfig)
	if err != nil {
		return s, err
	}
	s, err = pipeline.ParseSettings(credit, aggregate, parse)
	s.Parse.DryRun = false
	return s, err
}

// checkMemoryBytes is what the sums of a file may take, whatever its size.
const checkMemoryBytes = 256 << 20

// check reads a file whole. What is the file's fault is in the report; an
// error is not.
func check(ctx context.Context, path string, settings pipeline.Settings) (*report, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r := newReport(path, settings)
	result, err := pipeline.Run(ctx, pipeline.Input{
		Source: file, Settings: settings, MemoryBytes: checkMemoryBytes,
		ReferenceDay: int32(time.Now().UTC().Unix() / (24 * 60 * 60)),
	}, pipeline.Sinks{Reject: r.reject})
	failure, isFile := errors.AsType[*pipeline.Failure](err)
	if isFile {
		r.Error, err = &reportError{Code: failure.Code, Message: failure.Message}, nil
	}
	if err == nil {
		err = r.fill(result)
	}
	return r, errors.Join(err, result.Close())
}

func writeJSON(w io.Writer, r *report) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// reject keeps the first rejects of each reason.
func (r *report) reject(row *parser.Reject) {
	const most = 3
	kind := r.kinds[row.Reason]
	if kind == nil {
		kind = &rejectKind{Reason: row.Reason}
		r.kinds[row.Reason] = kind
		r.Rejects = append(r.Rejects, kind)
	}
	if kind.Rows++; len(kind.Samples) < most {
		kind.Samples = append(kind.Samples, rejectSample{Line: row.Line, Detail: row.Detail()})
	}
}
