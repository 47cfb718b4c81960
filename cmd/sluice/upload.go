package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"sluice/internal/client"
	"sluice/internal/secret"
)

type uploadCmd struct {
	Files    []string      `arg:"" name:"file" help:"CSV files, plain or compressed by gzip or zstd."`
	URL      httpURL       `name:"url" group:"Server" default:"http://127.0.0.1:8080" env:"SLUICE_URL" help:"Base URL of the server."`
	APIKey   secret.Text   `name:"api-key" group:"Server" env:"SLUICE_API_KEY" placeholder:"KEY" help:"The server's key. Better given as the variable."`
	RetryFor time.Duration `group:"Server" default:"10m" help:"How long to go on trying while nothing moves."`
	Follow   bool          `default:"true" negatable:"" help:"Follow each job to its end."`
	parseFlags
	CreditConfig    string `group:"Credit" placeholder:"JSON|@FILE" help:"credit_model_config of the jobs."`
	AggregateConfig string `group:"Credit" placeholder:"JSON|@FILE" help:"aggregate_config of the jobs."`
}

// Validate finds a missing file before the first one is sent. kong's own check
// would make the paths absolute, and messages are to name files as their user did.
func (c *uploadCmd) Validate() error { return checkFiles(c.Files) }

func checkFiles(paths []string) error {
	var missing []error
	for _, path := range paths {
		info, err := os.Stat(path)
		if err == nil && !info.Mode().IsRegular() { // of a pipe neither the length nor the beginning can be had again
			err = fmt.Errorf("%s: is not a regular file, and only such can be resumed", path)
		}
		missing = append(missing, err)
	}
	return errors.Join(missing...)
}

// Run uploads the files one after another. Its exit code is that of the worst.
func (c *uploadCmd) Run(ctx context.Context, k *kong.Kong) error {
	metadata, err := c.metadata()
	if err != nil {
		return exitError{err, exitUsage}
	}
	u := &uploader{cmd: c, out: k.Stdout, bar: newBar(k.Stderr, "sent"), states: openStates()}
	u.server, err = client.New(client.Config{
		BaseURL: string(c.URL), APIKey: c.APIKey, RetryFor: c.RetryFor, OnRetry: u.bar.retrying,
	})
	if err != nil {
		return exitError{err, exitUsage}
	}
	var failed []error
	for _, path := range c.Files {
		err := u.upload(ctx, path, metadata)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return exitError{errors.New("interrupted: the same command goes on from here"), exitInterrupted}
		default:
			failed = append(failed, fmt.Errorf("%s: %w", path, err))
		}
	}
	return errors.Join(failed...)
}

// metadata is what every upload of this command carries beside its file's name.
func (c *uploadCmd) metadata() (map[string]string, error) {
	metadata := map[string]string{}
	parse, err := c.parseConfig()
	if err != nil {
		return nil, err
	}
	credit, err := argument("--credit-config", c.CreditConfig)
	if err != nil {
		return nil, err
	}
	aggregate, err := argument("--aggregate-config", c.AggregateConfig)
	if err != nil {
		return nil, err
	}
	for key, value := range map[string]string{
		"parse_config": parse, "credit_model_config": credit, "aggregate_config": aggregate,
	} {
		if value != "" {
			metadata[key] = value
		}
	}
	return metadata, nil
}

// uploader takes one file after another from its path to its summary.
type uploader struct {
	cmd    *uploadCmd
	server *client.Client
	out    io.Writer
	bar    *bar
	states states
}

func (u *uploader) upload(ctx context.Context, path string, metadata map[string]string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	metadata["filename"] = nameOf(path)
	state := u.states.of(string(u.cmd.URL), path, info, metadata)
	release, err := state.hold()
	if err != nil {
		return err
	}
	defer release()
	id, err := u.begin(ctx, state, info.Size(), metadata)
	if err != nil {
		return err
	}
	u.bar.begin(metadata["filename"], info.Size())
	err = u.server.Send(ctx, id, file, u.bar.at)
	u.bar.end()
	if err != nil {
		return err
	}
	if !u.cmd.Follow {
		state.remove()
		_, err := fmt.Fprintf(u.out, "%s: %s\n", path, id)
		return err
	}
	return u.follow(ctx, path, id, state)
}

// nameOf is the file's name as text, which it need not be on its own file system.
func nameOf(path string) string { return strings.ToValidUTF8(filepath.Base(path), "\uFFFD") }

// begin returns the id of the upload that an earlier run left behind, unless the
// server knows it no more, or of a new one.
func (u *uploader) begin(ctx context.Context, state state, sizeBytes int64, metadata map[string]string) (string, error) {
	if id := state.load(); id != "" {
		if _, _, err := u.server.Offset(ctx, id); !errors.Is(err, client.ErrNotFound) {
			return id, nil
		}
	}
	id, err := u.server.Create(ctx, sizeBytes, metadata)
	if err != nil {
		return "", err
	}
	state.save(id)
	return id, nil
}

// follow waits for the job's end and prints what became of it.
func (u *uploader) follow(ctx context.Context, path, id string, state state) error {
	job, err := u.server.Follow(ctx, id, func(s client.Status) { u.bar.stage(s) })
	u.bar.end()
	if err != nil {
		return fmt.Errorf("follow %s: %w", id, err)
	}
	state.remove() // from here on the same command is a new upload
	if !job.Complete() {
		return fmt.Errorf("%s %s: %s%s", id, job.Status, cmp.Or(job.Error, job.Message), u.rejects("; the rejected rows: ", job))
	}
	summary, err := u.server.Summary(ctx, id)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(u.out, "%s: %s completed in %s s\n"+
		"  rows        %d accepted, %d rejected\n"+
		"  aggregates  %d\n"+
		"  decisions   %d approved, %d declined, %d skipped\n"+
		"  offers      %s/api/jobs/%s/offers/\n",
		path, id, cmp.Or(summary.DurationSeconds.String(), "?"),
		job.RowsAccepted, job.RowsRejected, summary.AggregatesCreated,
		summary.OffersGenerated, summary.Declined, summary.Skipped, u.cmd.URL, id)
	if err == nil && job.RowsRejected > 0 {
		_, err = fmt.Fprintln(u.out, u.rejects("  rejects     ", job))
	}
	return err
}

// rejects says where a job's rejected rows are; nothing where it has none.
func (u *uploader) rejects(lead string, job client.Status) string {
	if job.RowsRejected == 0 {
		return ""
	}
	return fmt.Sprintf("%s%s/api/jobs/%s/rejects/", lead, u.cmd.URL, job.JobID)
}
