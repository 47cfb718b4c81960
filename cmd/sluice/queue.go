package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"riverqueue.com/riverui"

	"sluice/gateway"
)

// queueUI returns River UI, to be mounted at gateway.QueuePath. It counts the
// queue's rows in the background from the first request on until ctx ends: a
// gateway whose queue nobody looks at asks the database nothing.
func queueUI(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) (http.Handler, error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("make river client for the queue's page: %w", err)
	}
	ui, err := riverui.NewHandler(&riverui.HandlerOpts{Endpoints: riverui.NewEndpoints(client, nil), Logger: log, Prefix: gateway.QueuePath})
	if err != nil {
		return nil, fmt.Errorf("make the queue's page: %w", err)
	}
	start := sync.OnceValue(func() error { return ui.Start(ctx) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := start(); err != nil {
			log.ErrorContext(r.Context(), "queue's page not started", "err", err)
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
			return
		}
		ui.ServeHTTP(w, r)
	}), nil
}

// queue returns River UI, or nil where a key is asked for and there is none for
// admins.
func (c serveCmd) queue(ctx context.Context, st *stack) (http.Handler, error) {
	if c.APIKey != "" && c.AdminKey == "" {
		return nil, nil //nolint:nilnil // nothing is what is served there
	}
	return queueUI(ctx, st.queue, st.log)
}
