package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"sluice/internal/job"
)

const (
	mediaEvents = "text/event-stream"
	// eventWrite is what a client gets to take an event. One that does not read
	// is let go: it comes back to where it was.
	eventWrite = 30 * time.Second
	// arrivalLook is how often the row of an upload is read for a client that
	// watches it: bytes that arrive wake nobody, for there are many of them.
	arrivalLook = time.Second
)

// events follows a job as server-sent events until its state is terminal: first
// the job as it is, or, with Last-Event-ID, what became of it since. An event's
// id is the job's version, so any gateway goes on where another stopped.
//
// A browser's EventSource comes back after every end; with the last event of a
// job that has ended it gets 204, which tells it to stay away.
func (g *Gateway) events(c echo.Context) error {
	wake, stop := g.cfg.Hub.Listen(c.Param("id"))
	defer stop()
	j, err := g.job(c)
	if err != nil {
		return err
	}
	s := &eventStream{gateway: g, c: c, control: http.NewResponseController(c.Response()), last: lastEvent(c.Request(), j)}
	if j.State.Terminal() && s.last == j.Version {
		return c.NoContent(http.StatusNoContent)
	}
	h := c.Response().Header()
	h.Set("Content-Type", mediaEvents)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	c.Response().WriteHeader(http.StatusOK)
	if headOnly(c) {
		return nil
	}
	if err := s.control.Flush(); err != nil { // there may be nothing to tell for long
		return nil // the client is gone
	}
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }() // the connection may carry other answers
	if err := s.follow(j, wake); !errors.Is(err, errGone) {
		return err
	}
	return nil
}

// errGone is a client that takes no more: nothing is wrong here.
var errGone = errors.New("client gone")

// lastEvent returns the version that the client knows, or 0 when it says none
// that the job ever had.
func lastEvent(r *http.Request, j job.Job) int64 {
	last, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	if err != nil || last < 0 || last > j.Version {
		return 0
	}
	return last
}

// eventStream is one client that listens.
type eventStream struct {
	gateway  *Gateway
	c        echo.Context
	control  *http.ResponseController
	last     int64 // the version that the client knows; 0: none
	received int64 // bytes of the upload that it knows
}

func (s *eventStream) follow(j job.Job, wake <-chan struct{}) error {
	heartbeat := time.NewTicker(s.gateway.cfg.Heartbeat)
	defer heartbeat.Stop()
	arrival := time.NewTicker(arrivalLook)
	defer arrival.Stop()
	for {
		if err := s.tell(j); err != nil || j.State.Terminal() {
			return err
		}
		if j.State != job.Open {
			arrival.Stop()
		}
		select {
		case <-wake:
		case <-arrival.C:
		case <-heartbeat.C:
			if err := s.write([]byte(":\n\n")); err != nil {
				return err
			}
		case <-s.c.Request().Context().Done():
			return nil
		case <-s.gateway.cfg.Hub.Done():
			return nil
		}
		var err error
		if j, err = s.gateway.job(s.c); err != nil {
			return err
		}
	}
}

// tell writes what the client does not know yet of the job.
func (s *eventStream) tell(j job.Job) error {
	var news []job.Event
	switch {
	case s.last == 0: // the first look: where the job stands, not how it came there
		news = []job.Event{{Job: j, Step: true}}
	case j.State == job.Open && j.BytesReceived != s.received: // arriving bytes raise no version
		news = []job.Event{{Job: j}}
	default:
		var err error
		if news, err = s.gateway.cfg.Jobs.EventsAfter(s.c.Request().Context(), j, s.last); err != nil {
			return err
		}
	}
	s.received = j.BytesReceived
	for _, e := range news {
		text, err := s.gateway.event(e)
		if err != nil {
			return err
		}
		if err := s.write(text); err != nil {
			return err
		}
		s.last = e.Version
	}
	return nil
}

// event writes an event in the form of text/event-stream (WHATWG HTML §9.2.6).
// The JSON is one line.
func (g *Gateway) event(e job.Event) ([]byte, error) {
	name := "progress"
	if e.Step {
		name = "state"
	}
	var text bytes.Buffer
	text.WriteString("event: " + name + "\nid: " + strconv.FormatInt(e.Version, 10) + "\ndata: ")
	data := json.NewEncoder(&text)
	data.SetEscapeHTML(false)
	if err := data.Encode(g.statusOf(e.Job)); err != nil {
		return nil, err
	}
	text.WriteString("\n")
	return text.Bytes(), nil
}

func (s *eventStream) write(text []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(eventWrite)); err != nil {
		return err
	}
	if _, err := s.c.Response().Write(text); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errGone, err)
	}
	return nil
}
