package client_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/client"
)

const eventStream = "text/event-stream"

// A stream that breaks is taken up again after the last event; in between the
// status is looked at.
func TestFollowByEvents(t *testing.T) {
	t.Parallel()
	var lasts []string
	c := newClient(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/status/") {
			_, _ = io.WriteString(w, `{"state":"IN_PROGRESS"}`)
			return
		}
		w.Header().Set("Content-Type", eventStream)
		lasts = append(lasts, r.Header.Get("Last-Event-ID"))
		if len(lasts) == 1 {
			_, _ = io.WriteString(w, ":\n\nevent: state\nid: 2\ndata: {\"state\":\"UPLOAD_COMPLETE\"}\n\nevent: sta")
			return
		}
		_, _ = io.WriteString(w, "event: progress\nid: 4\ndata: {\"state\":\"IN_PROGRESS\",\"rows_accepted\":7}\n\n"+
			"event: state\nid: 5\ndata: {\"state\":\"JOB_COMPLETE\"}\n\n")
	}), client.Config{})
	var states []string
	got, err := c.Follow(t.Context(), "job_1", func(s client.Status) { states = append(states, s.State) })
	if err != nil || !got.Complete() {
		t.Errorf("Follow = %+v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"UPLOAD_COMPLETE", "IN_PROGRESS", "IN_PROGRESS", "JOB_COMPLETE"}, states); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"", "2"}, lasts); diff != "" {
		t.Error(diff)
	}
}

// A stream that says nothing, not even that it is there, is left.
func TestFollowLeavesASilentStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		line := &answers{list: []func() (*http.Response, error){nil, answer(200, `{"state":"ABORTED"}`)}}
		c, err := client.New(client.Config{BaseURL: "http://sluice.test", Transport: line})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		got, err := c.Follow(t.Context(), "job_1", func(client.Status) {})
		if err != nil || got.State != "ABORTED" || time.Since(start) != time.Minute {
			t.Errorf("Follow = %+v, %v after %v", got, err, time.Since(start))
		}
	})
}
