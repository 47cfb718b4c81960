package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"sluice/internal/job"
)

// queueCmd is for maintenance: workers stay up, and take nothing.
type queueCmd struct {
	Pause  queuePauseCmd  `cmd:"" help:"Have no worker begin another file, until resumed. What runs goes on, uploads are taken in."`
	Resume queueResumeCmd `cmd:"" help:"Have workers take files again."`
	Status queueStatusCmd `cmd:"" help:"Show the queues, one JSON object a line."`
}

// whichQueue names one of River's queues.
type whichQueue struct {
	Queue string `arg:"" optional:"" default:"default" help:"default (files), webhook, compose, watch, sweep or erase."`
	ledgerSettings
}

// Validate checks the settings before anything runs.
func (c whichQueue) Validate() error { return c.databaseSettings.check() }

type queuePauseCmd struct{ whichQueue }

// Run pauses the queue and shows it.
func (c queuePauseCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.do(ctx, k, (*job.Store).PauseQueue)
}

type queueResumeCmd struct{ whichQueue }

// Run resumes the queue and shows it.
func (c queueResumeCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.do(ctx, k, (*job.Store).ResumeQueue)
}

func (c whichQueue) do(ctx context.Context, k *kong.Kong, change func(*job.Store, context.Context, string) error) error {
	return c.with(ctx, func(jobs *job.Store) error {
		err := change(jobs, ctx, c.Queue)
		if errors.Is(err, job.ErrNotFound) {
			return fmt.Errorf("no worker has ever had a queue %q: sluice queue status shows those there are", c.Queue)
		}
		if err != nil {
			return err
		}
		return printQueues(ctx, k, jobs, c.Queue)
	})
}

type queueStatusCmd struct{ ledgerSettings }

// Validate checks the settings before anything runs.
func (c queueStatusCmd) Validate() error { return c.databaseSettings.check() }

// Run prints one line for each queue.
func (c queueStatusCmd) Run(ctx context.Context, k *kong.Kong) error {
	return c.with(ctx, func(jobs *job.Store) error { return printQueues(ctx, k, jobs, "") })
}

// printQueues shows the queue of that name, or all.
func printQueues(ctx context.Context, k *kong.Kong, jobs *job.Store, name string) error {
	queues, err := jobs.Queues(ctx)
	if err != nil {
		return err
	}
	for _, q := range queues {
		if name != "" && q.Name != name {
			continue
		}
		line := struct {
			Queue    string    `json:"queue"`
			PausedAt time.Time `json:"paused_at,omitzero"`
			Waiting  int64     `json:"waiting"`
			Later    int64     `json:"later"`
			Running  int64     `json:"running"`
		}{q.Name, q.PausedAt, q.Waiting, q.Later, q.Running}
		if err := printLine(k, line); err != nil {
			return err
		}
	}
	return nil
}
