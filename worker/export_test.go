package worker

import (
	"time"

	"github.com/riverqueue/river"
)

// Timeouts are what River is told of each kind that the worker registered.
func (w *Worker) Timeouts() map[string]time.Duration { return w.kinds.timeouts }

// Register is register, of a worker that has no kinds yet.
func Register[T river.JobArgs](w river.Worker[T]) error { return register(newKinds(), w) }

// Rescue is when River takes a job for stuck.
const Rescue = rescueAfter

// Backoff is how long a job waits after that many attempts.
var Backoff = backoff

// DeliverToOne is how many deliveries a worker makes to one webhook at a time.
const DeliverToOne = deliverToOne
