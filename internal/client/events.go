package client

import (
	"bufio"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"time"
)

// eventStall ends a stream that has been silent for so long: the server sends a
// comment every 15 s.
const eventStall = time.Minute

// events follows one job by server-sent events, over as many connections as it
// takes.
type events struct {
	client *Client
	id     string
	each   func(Status)
	last   string // id of the last event, which the next connection goes on from
	none   bool   // the server has no event streams
}

// follow calls each with every change until the job has ended, which it reports,
// or the stream has. Why a stream ended is not told: a look at the status tells.
func (e *events) follow(ctx context.Context) (_ Status, ended bool) {
	if e.none {
		return Status{}, false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := e.client.request(ctx, http.MethodGet, "api/jobs", e.id, "events/")
	if err != nil {
		return Status{}, false
	}
	req.Header.Set("Accept", "text/event-stream")
	if e.last != "" {
		req.Header.Set("Last-Event-ID", e.last)
	}
	stall := time.AfterFunc(eventStall, cancel)
	defer stall.Stop()
	resp, err := e.client.do(req, http.StatusOK)
	if err != nil {
		e.none = !temporary(err)
		return Status{}, false
	}
	defer resp.Body.Close()
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "text/event-stream" {
		e.none = true
		return Status{}, false
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxAnswerBytes)
	for id := ""; lines.Scan(); {
		stall.Reset(eventStall)
		switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
		case "id":
			id = value
		case "data":
			var s Status
			if json.Unmarshal([]byte(value), &s) != nil {
				return Status{}, false
			}
			e.last = id
			e.each(s)
			if s.Terminal() {
				return s, true
			}
		}
	}
	return Status{}, false
}
