package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// listenAgain is how long a listener waits whose connection broke. Heartbeats
// find meanwhile what it does not hear.
const listenAgain = time.Second

// running are the attempts of this process, by the keepers of their leases.
type running struct {
	mu      sync.Mutex
	keepers map[*keeper]struct{}
}

func (r *running) add(k *keeper) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keepers == nil {
		r.keepers = make(map[*keeper]struct{})
	}
	r.keepers[k] = struct{}{}
}

func (r *running) remove(k *keeper) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.keepers, k)
}

// look has the keepers of a job look at their lease; of all jobs for "".
func (r *running) look(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.keepers {
		if id == "" || k.lease.JobID == id {
			k.lookNow()
		}
	}
}

// listen stops attempts as soon as their job is cancelled or deleted, until ctx
// ends.
func (r *running) listen(ctx context.Context, cfg Config) {
	for {
		// Once it hears: of what was said while it did not, the leases tell.
		err := cfg.Jobs.Stops(ctx, func() { r.look("") }, r.look)
		if ctx.Err() != nil {
			return
		}
		cfg.Logger.WarnContext(ctx, "stops not heard", slog.Any("err", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(listenAgain):
		}
	}
}
