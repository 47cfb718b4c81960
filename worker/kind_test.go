package worker_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"sluice/worker"
)

// River must never act first. Of each kind: what of ours acts where its worker
// dies or hangs, and how long that takes.
var actsFirst = map[string]time.Duration{
	"ingest":  24*time.Hour - 1, // a job's lease; but a job may last a day
	"deliver": time.Minute,      // a delivery's claim, after which it is made again
	"compose": 10 * time.Minute, // the lease in the ledger of uploads
	"watch":   2 * time.Minute,  // the leases of a listing and of what is done afterwards
	"erase":   time.Minute,      // the lease in the erasure, and the next round
	"sweep":   time.Minute,      // the next round, which begins anew
}

func TestRiverActsLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	timeouts := w.build().Timeouts()
	if want, got := slices.Sorted(maps.Keys(actsFirst)), slices.Sorted(maps.Keys(timeouts)); !slices.Equal(want, got) {
		t.Errorf("registered are %q, and known what acts first of %q", got, want)
	}
	for kind, ours := range actsFirst {
		if timeouts[kind] <= ours || timeouts[kind] >= worker.Rescue {
			t.Errorf("%s: ours acts after %v, River's time-out after %v, its rescue after %v", kind, ours, timeouts[kind], worker.Rescue)
		}
	}
}

// sample is a kind of its time-out alone.
type sampleArgs struct{}

func (sampleArgs) Kind() string { return "sample" }

type sampleWorker struct {
	river.WorkerDefaults[sampleArgs]

	timeout time.Duration
}

func (w sampleWorker) Timeout(*river.Job[sampleArgs]) time.Duration       { return w.timeout }
func (w sampleWorker) Work(context.Context, *river.Job[sampleArgs]) error { return nil }

// A kind that leaves its time-out to River is refused, and there is no other way
// to register one.
func TestRegister(t *testing.T) {
	t.Parallel()
	for timeout, ok := range map[time.Duration]bool{0: false, -1: false, worker.Rescue: false, time.Minute: true} {
		if err := worker.Register(sampleWorker{timeout: timeout}); (err == nil) != ok {
			t.Errorf("time-out %v: %v", timeout, err)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name != "kind.go" && !strings.HasSuffix(name, "_test.go") && strings.Contains(string(source), "river.AddWorker") {
			t.Errorf("%s registers a kind past register", name)
		}
	}
}
