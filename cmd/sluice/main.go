// Command sluice is the product in one binary: the gateway that takes files in,
// the worker that turns them into offers, the migrations, and a client.
//
// It reads flags and the environment, builds the rest from them, waits, and
// closes; everything else is below it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit codes of every command.
const (
	exitFailed      = 1 // what was asked for could not be done; upload, import: a job failed; check: a file would
	exitUsage       = 2 // a flag, variable or argument is wrong
	exitInterrupted = 3 // upload, import: ended by a signal; the same command goes on, or begins anew
)

// cli is the command line. Each setting is a flag and a variable, in --help.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run the gateway: uploads, REST and the page; with --work the worker too."`
	Work    workCmd    `cmd:"" help:"Run a worker: files become offers."`
	Migrate migrateCmd `cmd:"" help:"Bring the database to this version, or say how far it is."`
	Upload  uploadCmd  `cmd:"" help:"Upload files, resumably, and follow their jobs to the end."`
	Watch   watchCmd   `cmd:"" help:"Take in what partners write to S3 buckets: add, list or remove a watch."`
	Import  importCmd  `cmd:"" help:"Take files, objects or standard input straight into the database, by the worker's own path; needs no gateway and no worker."`
	Tenants tenantsCmd `cmd:"" help:"Say whose jobs go first, how many of them run at once, and how long they are kept."`
	Keys    keysCmd    `cmd:"" help:"Make, list, rotate and revoke the keys of tenants."`
	Audit   auditCmd   `cmd:"" help:"Show who did what to which job and key, newest first."`
	Queue   queueCmd   `cmd:"" help:"Pause and resume what workers take from, or show it."`
	Check   checkCmd   `cmd:"" help:"Say what a file is understood to hold, and what would come of it; needs no server."`
	Doctor  doctorCmd  `cmd:"" help:"Try everything that serve and work need of database and bucket, and say what to do about what is wrong."`
	Health  healthCmd  `cmd:"" help:"Exit 0 if the server is ready (for container health checks)."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// exitError is an error with an exit code of its own.
type exitError struct {
	error
	code int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the work in order; a second one kills at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

// run does what args say and returns the exit code.
func run(ctx context.Context, args []string) int {
	parser := newParser()
	kctx, err := parser.Parse(args)
	if err != nil {
		complain(err)
		return exitUsage
	}
	kctx.BindTo(asOperator(ctx), (*context.Context)(nil))
	if err = kctx.Run(); err == nil {
		return 0
	}
	complain(err)
	if e, ok := errors.AsType[exitError](err); ok {
		return e.code
	}
	return exitFailed
}

// complain prints err, one line for each of several.
func complain(err error) {
	fmt.Fprintf(os.Stderr, "sluice: %s\n", strings.ReplaceAll(err.Error(), "\n", "\nsluice: "))
}

func newParser() *kong.Kong {
	return kong.Must(new(cli),
		kong.Name("sluice"),
		kong.Description("Takes large CSV files of bank transactions in, and turns each into credit offers."),
		kong.KindMapper(reflect.String, kong.MapperFunc(verbatim)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, WrapUpperBound: 100}),
	)
}

// verbatim takes a text as it was given. kong's own mapper sends it through JSON, and
// a file's name that is not UTF-8 comes out as another.
func verbatim(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	target.SetString(token.String())
	return nil
}
