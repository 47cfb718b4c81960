package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// heard is one event of a job: its version, and the state where it told of one.
type heard struct {
	version int64
	state   string
}

// TestEventsSurviveTheirGateway kills the gateway that a client hangs on, before
// each state of a job and after the last, and goes on at another: no state is
// missed, and nothing comes that is not newer than what the client has.
func TestEventsSurviveTheirGateway(t *testing.T) {
	t.Parallel()
	want := []string{"UPLOAD_COMPLETE", "IN_PROGRESS", "JOB_COMPLETE"}
	for hears := range want {
		t.Run("after "+strconv.Itoa(hears+1), func(t *testing.T) {
			t.Parallel()
			env := append(stackEnv(t), "SLUICE_LOG_FORMAT=json", "SLUICE_HTTP_ADDR=127.0.0.1:0", "SLUICE_OPS_ADDR=127.0.0.1:0")
			first, second := launch(t, command(t, env, "serve")), launch(t, command(t, env, "serve"))
			id := send(t, first.url, "account_id,date,amount\nA1,2024-01-15,1500.00\n")
			var got []heard
			var worker *server
			for e := range listen(t, first.url, id, 0) {
				got = append(got, e)
				if worker == nil { // only now: the client has to be there from the beginning
					worker = launch(t, command(t, env, "work"))
				}
				if len(states(got)) == hears+1 {
					break
				}
			}
			first.kill(t)
			last := got[len(got)-1].version
			for e := range listen(t, second.url, id, last) {
				got = append(got, e)
			}
			if diff := cmp.Diff(want, states(got)); diff != "" {
				t.Errorf("states: %s\n%v", diff, got)
			}
			if !slices.IsSortedFunc(got, func(a, b heard) int { return int(a.version - b.version) }) || len(slices.CompactFunc(slices.Clone(got), func(a, b heard) bool { return a.version == b.version })) != len(got) {
				t.Errorf("an event came again, or late: %v", got)
			}
			second.stop(t)
			worker.stop(t)
		})
	}
}

// send sends a file in the creation of its upload, and returns the job's id.
func send(t testing.TB, url, content string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/files/", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{
		"Tus-Resumable": {"1.0.0"}, "Upload-Length": {strconv.Itoa(len(content))}, "Content-Type": {"application/offset+octet-stream"},
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("create: %s", resp.Status)
	}
	return path.Base(resp.Header.Get("Location"))
}

func states(events []heard) (names []string) {
	for _, e := range events {
		if e.state != "" {
			names = append(names, e.state)
		}
	}
	return names
}

// listen yields a job's events after a version, until the stream ends.
func listen(t testing.TB, url, id string, last int64) func(yield func(heard) bool) {
	t.Helper()
	return func(yield func(heard) bool) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a test that waits for ever says so
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/jobs/"+id+"/events/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if last > 0 {
			r.Header.Set("Last-Event-ID", strconv.FormatInt(last, 10))
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		name, e := "", heard{}
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "event":
				name, e = value, heard{}
			case "id":
				e.version = atoi(t, value)
			case "data":
				var status struct{ State string }
				if err := json.Unmarshal([]byte(value), &status); err != nil {
					t.Fatal(err)
				}
				if name == "state" {
					e.state = status.State
				}
				if !yield(e) {
					return
				}
			}
		}
	}
}
