package worker

import (
	"fmt"
	"time"

	"github.com/riverqueue/river"
)

// kinds are what a worker can work, by River's names, with what River is told of
// how long a job of each may last.
type kinds struct {
	workers  *river.Workers
	timeouts map[string]time.Duration
}

func newKinds() *kinds {
	return &kinds{workers: river.NewWorkers(), timeouts: make(map[string]time.Duration)}
}

// register adds a kind. River's time-out and rescue are the last resort, so a kind
// must name a time-out of its own, below rescueAfter: without one it would get the
// client's, and a negative one is never rescued.
func register[T river.JobArgs](k *kinds, w river.Worker[T]) error {
	var args T
	timeout := w.Timeout(nil)
	if timeout <= 0 || timeout >= rescueAfter {
		return fmt.Errorf("kind %s: time-out %v, want more than 0 and less than %v", args.Kind(), timeout, rescueAfter)
	}
	river.AddWorker(k.workers, w)
	k.timeouts[args.Kind()] = timeout
	return nil
}
