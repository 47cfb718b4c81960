// Command sluicedev is `make run`: all of Sluice on one machine, with nothing
// installed by hand. It manages a PostgreSQL server of its own, is itself the S3
// server, and keeps the product, the binary `sluice` beside it, running on them.
// It knows the product's command line and variables, and nothing of its inside.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"

	"sluice/internal/devstack"
)

type cli struct {
	Run  runCmd  `cmd:"" default:"withargs" help:"Run everything until Ctrl-C (default). The data stays."`
	Deps depsCmd `cmd:"" help:"Install PostgreSQL where it is missing: as root, or by a sudo that asks no password."`
	SBOM sbomCmd `cmd:"" name:"sbom" help:"Add the page's packages to a binary's bill of materials, and check that it names every module (make release)."`
}

type runCmd struct {
	HTTPAddr string `name:"http-addr" env:"SLUICE_HTTP_ADDR" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where the page and the API listen; port 0 takes a free one. (${env}, ${default})"`
	DataDir  string `env:"SLUICE_DATA_DIR" default:"${data_dir}" placeholder:"DIR" help:"Where all state lives. (${env}, ${default})"`
}

func (c *runCmd) Run(ctx context.Context, out io.Writer) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	err := run(ctx, c.HTTPAddr, c.DataDir, out, log)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // asked to stop while it was starting
	}
	return err
}

type depsCmd struct{}

func (depsCmd) Run(ctx context.Context, out io.Writer) error {
	return devstack.EnsurePostgres(ctx, out)
}

func main() {
	// SIGHUP too: a closed terminal must not leave everything running.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	// From the first signal on, a second one has its usual effect.
	context.AfterFunc(ctx, stop)

	cmd := kong.Parse(&cli{},
		kong.Name("sluicedev"),
		kong.Description("Sluice on one machine: PostgreSQL, S3, gateway and worker."),
		kong.Vars{"data_dir": defaultDataDir()},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(os.Stdout, (*io.Writer)(nil)))
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "sluicedev: %v\n", err)
		os.Exit(1)
	}
}

// defaultDataDir is where the system keeps state, for root, and a user's own.
// Root's server runs as postgres, which could not enter root's home.
func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/sluice"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) { // XDG: others are to be ignored
		return filepath.Join(dir, "sluice")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "" // then SLUICE_DATA_DIR must say
	}
	return filepath.Join(home, ".local", "share", "sluice")
}
