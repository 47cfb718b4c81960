package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"sluice/internal/devstack"
)

const (
	// readyLimit is far beyond any start seen; beyond it something hangs.
	readyLimit = time.Minute
	readyPoll  = 20 * time.Millisecond
)

// product is the binary sluice and what every run of it is told.
type product struct {
	path string
	dir  string   // working directory: the user's own
	env  []string // beside the user's own variables, which it overrides
	url  string   // of the gateway
}

// findProduct is the binary beside this one: what was built together runs together.
func findProduct() (*product, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own executable: %w", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find working directory: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), "sluice")
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%s is missing: `make build` makes it", path)
	}
	return &product{path: path, dir: dir}, nil
}

// process starts the binary. It is killed with us: nothing may keep the port.
func (p *product) process(ctx context.Context, args ...string) (*devstack.Process, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.path, args...)
	cmd.Dir, cmd.Env = p.dir, append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return devstack.StartProcess(cmd, syscall.SIGKILL)
}

// migrate brings the database up to the product's version.
func (p *product) migrate(ctx context.Context) error {
	proc, err := p.process(ctx, "migrate", "up")
	if err != nil {
		return err
	}
	select {
	case <-proc.Done():
	case <-ctx.Done():
		return errors.Join(ctx.Err(), proc.Stop(ctx, syscall.SIGTERM))
	}
	if err := proc.Err(); err != nil {
		return fmt.Errorf("sluice migrate up: %w", err)
	}
	return nil
}

// serve starts gateway and worker and returns when they are ready.
func (p *product) serve(ctx context.Context) (service, error) {
	proc, err := p.process(ctx, "serve", "--work")
	if err != nil {
		return nil, err
	}
	running := server{proc}
	ready, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		select {
		case <-proc.Done():
			return nil, fmt.Errorf("sluice serve ended before it was ready: %w", endOf(proc))
		case <-ready.Done():
			// Its time to stop is short: it has served nobody yet.
			_ = running.Stop(ready)
			return nil, fmt.Errorf("sluice serve is not ready: %w", ready.Err())
		case <-tick.C:
		}
		if devstack.Answers(ready, p.url+"/readyz") {
			return running, nil
		}
	}
}

func endOf(proc *devstack.Process) error {
	if err := proc.Err(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}

// server is `sluice serve` as a service: SIGTERM lets it finish what it does.
type server struct{ *devstack.Process }

func (s server) Stop(ctx context.Context) error { return s.Process.Stop(ctx, syscall.SIGTERM) }
