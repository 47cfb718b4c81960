package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5"

	"sluice/internal/client"
	"sluice/internal/idempotency"
	"sluice/internal/job"
	"sluice/internal/pipeline"
	"sluice/worker"
)

// importCmd is an operator's: it reaches the database, and so every tenant.
type importCmd struct {
	Sources         []string `arg:"" name:"source" help:"Files, objects (s3://bucket/key, on the server of --s3-endpoint), or - for standard input; plain or compressed by gzip or zstd."`
	Tenant          string   `default:"default" help:"Whose jobs they are."`
	Filename        string   `placeholder:"NAME" help:"What the jobs are called; by default what their files are."`
	SHA256          string   `name:"sha256" placeholder:"HEX" help:"Of the one source, whole: another digest fails its job. A pipe may be cut off, and nothing else would tell."`
	Keep            bool     `help:"Keep a copy of each source in S3, as uploads are kept, so that its job can be tried again."`
	IdempotencyKey  string   `placeholder:"KEY" help:"Of the one source: for 24 hours the same import with it is the job that it was, and no second one. 1 to 255 visible characters of ASCII."`
	JSON            bool     `name:"json" help:"One JSON object per source, a line each."`
	CreditConfig    string   `group:"Credit" placeholder:"JSON|@FILE" help:"credit_model_config of the jobs."`
	AggregateConfig string   `group:"Credit" placeholder:"JSON|@FILE" help:"aggregate_config of the jobs."`
	parseFlags
	sumSettings
	serverSettings
}

// Validate checks the settings, and finds a missing file before the first one is read.
func (c *importCmd) Validate() error {
	errs := []error{c.serverSettings.check(), c.sumSettings.check(), checkTenant("--tenant", c.Tenant)}
	if digest, err := hex.DecodeString(c.SHA256); c.SHA256 != "" && (err != nil || len(digest) != 32 || len(c.Sources) != 1) {
		errs = append(errs, errors.New("--sha256: 64 hexadecimal digits, and of one source alone"))
	}
	if c.IdempotencyKey != "" && (!idempotency.ValidKey(c.IdempotencyKey) || len(c.Sources) != 1) {
		errs = append(errs, errors.New("--idempotency-key: 1 to 255 visible characters of ASCII, and of one source alone"))
	}
	for _, source := range c.Sources {
		errs = append(errs, checkSource(source))
	}
	return errors.Join(errs...)
}

// Run imports the sources one after another. Its exit code is that of the worst.
func (c *importCmd) Run(ctx context.Context, k *kong.Kong) error {
	draft, settings, err := c.draft()
	if err != nil {
		return exitError{err, exitUsage}
	}
	// The states of jobs, which are of level info, are what this prints.
	c.LogLevel = max(c.LogLevel, logLevel(slog.LevelWarn))
	st, err := c.open(ctx, c.logger(os.Stderr))
	if err != nil {
		return err
	}
	defer st.close()
	im := &importing{cmd: c, stack: st, out: k.Stdout, bar: newBar(k.Stderr, "read"), draft: draft, settings: settings}
	im.importer, err = worker.NewImporter(worker.ImportConfig{
		Jobs: st.jobs, Bucket: st.bucket, JobMemoryBytes: int64(c.JobMemoryBytes), TempDir: c.TempDir, Logger: st.log,
	})
	if err != nil {
		return err
	}
	var failed []error
	for _, source := range c.Sources {
		err := im.take(ctx, source)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return exitError{fmt.Errorf("interrupted: nothing of %s was imported", source), exitInterrupted}
		default:
			failed = append(failed, fmt.Errorf("%s: %w", source, err))
		}
	}
	return errors.Join(failed...)
}

// draft is what all jobs of this command have in common.
func (c *importCmd) draft() (d job.Draft, s pipeline.Settings, err error) {
	d = job.Draft{Tenant: c.Tenant, Filename: c.Filename}
	if c.SHA256 != "" {
		d.SHA256, _ = hex.DecodeString(c.SHA256) // Validate has looked
	}
	if d.ParseConfig, err = c.parseConfig(); err != nil {
		return d, s, err
	}
	if d.CreditConfig, err = argument("--credit-config", c.CreditConfig); err != nil {
		return d, s, err
	}
	if d.AggregateConfig, err = argument("--aggregate-config", c.AggregateConfig); err != nil {
		return d, s, err
	}
	s, err = pipeline.ParseSettings(d.CreditConfig, d.AggregateConfig, d.ParseConfig)
	return d, s, err
}

// importing takes one source after another to its summary.
type importing struct {
	cmd      *importCmd
	stack    *stack
	importer *worker.Importer
	out      io.Writer
	bar      *bar
	draft    job.Draft
	settings pipeline.Settings
}

// take imports one source. A job that failed is an error, as one that is not there.
func (im *importing) take(ctx context.Context, name string) error {
	source, err := im.stack.source(ctx, name)
	if err != nil {
		return err
	}
	defer source.Close()
	draft := im.draft
	if draft.Filename == "" {
		draft.Filename = source.name
	}
	j, err := im.run(ctx, name, source, draft)
	if err != nil {
		return err
	}
	write := writeImported
	if im.cmd.JSON {
		write = writeImportedJSON
	}
	if err := write(im.out, name, j); err != nil {
		return err
	}
	if j.State != job.JobComplete {
		return fmt.Errorf("%s failed: %w", j.ID, &job.Error{Code: j.Error.Code, Message: printable(j.Error.Message)})
	}
	return nil
}

// run imports the source, unless the key says that this was done.
func (im *importing) run(ctx context.Context, name string, source *importSource, draft job.Draft) (job.Job, error) {
	key, err := im.key(ctx)
	if err != nil {
		return job.Job{}, err
	}
	defer key.release(ctx)
	if id, err := key.first(draft, source); err != nil {
		return job.Job{}, err
	} else if id != "" {
		return im.stack.jobs.Get(ctx, draft.Tenant, id)
	}
	im.bar.begin(name, source.size)
	defer im.bar.end()
	in := worker.Import{
		Draft: draft, Settings: im.settings, Source: key.through(source), Progress: im.show,
		Also: func(ctx context.Context, tx pgx.Tx, done worker.Imported) error {
			return key.keep(ctx, tx, draft, done)
		},
	}
	if im.cmd.Keep {
		in.Keep = func(ctx context.Context, tenant, id string) (worker.Keeper, error) {
			return im.stack.uploads.Keep(ctx, tenant, id)
		}
	}
	return im.importer.Import(ctx, in)
}

// show is worker.Import.Progress.
func (im *importing) show(p pipeline.Progress) {
	if p.Stage == pipeline.StageParsing {
		im.bar.at(p.Bytes)
		return
	}
	s := client.Status{Status: job.InProgress.Status(), Stage: string(p.Stage)}
	s.Progress.ProcessedItems = p.Accepted + p.Rejected
	im.bar.stage(s)
}
