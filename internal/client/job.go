package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Waits between two looks at a job: short for the many that take a second.
const (
	firstLook = 100 * time.Millisecond
	maxLook   = 2 * time.Second
)

// Status is what the server says of a job; see API.md for each key.
type Status struct {
	JobID    string `json:"job_id"`
	State    string `json:"state"` // JOB_COMPLETE, FAILED and ABORTED are the last
	Status   string `json:"status"`
	Stage    string `json:"stage"`
	Message  string `json:"message"`
	Filename string `json:"filename"`
	Progress struct {
		BytesTotal     int64   `json:"bytes_total"`
		ProcessedBytes int64   `json:"processed_bytes"`
		ProcessedItems int64   `json:"processed_items"`
		Percentage     float64 `json:"percentage"` // 0 to 100
	} `json:"progress"`
	RowsAccepted int64  `json:"rows_accepted"`
	RowsRejected int64  `json:"rows_rejected"`
	Error        string `json:"error"` // why a job failed, in words its user can act on
	CanRetry     bool   `json:"can_retry"`
}

// Terminal reports whether the job will not change any more by itself.
func (s Status) Terminal() bool {
	return s.State == "JOB_COMPLETE" || s.State == "FAILED" || s.State == "ABORTED"
}

// Complete reports whether the job's offers can be read.
func (s Status) Complete() bool { return s.State == "JOB_COMPLETE" }

// Summary counts what a complete job produced.
type Summary struct {
	TransactionsProcessed int64       `json:"transactions_processed"`
	RowsRejected          int64       `json:"rows_rejected"`
	AggregatesCreated     int64       `json:"aggregates_created"`
	OffersGenerated       int64       `json:"offers_generated"` // approved decisions
	Declined              int64       `json:"declined"`
	Skipped               int64       `json:"skipped"`
	DurationSeconds       json.Number `json:"duration_seconds"` // of the worker, as the server wrote it
}

// Status returns the job as it is now.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	var s Status
	if err := c.get(ctx, &s, "", "api/jobs", id, "status/"); err != nil {
		return Status{}, fmt.Errorf("read job: %w", err)
	}
	return s, nil
}

// Summary returns the counts of a complete job. A server that is away is waited for.
func (c *Client) Summary(ctx context.Context, id string) (Summary, error) {
	var page struct {
		Summary Summary `json:"pipeline_summary"`
	}
	for retry := c.newRetry(); ; {
		err := c.get(ctx, &page, "limit=1", "api/jobs", id, "offers/")
		if err == nil {
			return page.Summary, nil
		}
		if err := retry.after(ctx, fmt.Errorf("read summary: %w", err)); err != nil {
			return Summary{}, err
		}
	}
}

// Follow watches the job until its state is terminal and returns it then. each
// is called with every change that the server tells of by its event stream; of a
// server that has none, or whose stream breaks, with every look at the status. A
// server that is away is waited for.
func (c *Client) Follow(ctx context.Context, id string, each func(Status)) (Status, error) {
	retry, look := c.newRetry(), firstLook
	events := &events{client: c, id: id, each: func(s Status) { retry.progress(); each(s) }}
	for {
		if s, ended := events.follow(ctx); ended {
			return s, nil
		}
		s, err := c.Status(ctx, id)
		if err != nil {
			if err := retry.after(ctx, err); err != nil {
				return Status{}, err
			}
			continue
		}
		each(s)
		if s.Terminal() {
			return s, nil
		}
		retry.progress()
		if err := sleep(ctx, look); err != nil {
			return Status{}, err
		}
		look = min(look*3/2, maxLook)
	}
}

// Ready returns nil when the server and all that it needs answer.
func (c *Client) Ready(ctx context.Context) error {
	var body json.RawMessage
	return c.get(ctx, &body, "", "readyz")
}

// get decodes the JSON answer of one GET into v.
func (c *Client) get(ctx context.Context, v any, query string, path ...string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := c.request(ctx, http.MethodGet, path...)
	if err != nil {
		return err
	}
	req.URL.RawQuery = query
	req.Header.Set("Accept", "application/json")
	resp, err := c.do(req, http.StatusOK)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswerBytes)).Decode(v); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}
