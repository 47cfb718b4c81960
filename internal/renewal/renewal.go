// Package renewal keeps what expires unless somebody says in time that it is still
// needed. It does not know what that is.
package renewal

import (
	"context"
	"sync"
	"time"
)

// Every calls renew each time that so long has passed, in a goroutine of its own,
// until ctx ends, renew returns false, or stop is called. stop ends the context of a
// renewal that is under way and returns when that has; it may be called again.
func Every(ctx context.Context, every time.Duration, renew func(context.Context) (goOn bool)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for goOn := true; goOn; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			goOn = renew(ctx)
		}
	})
	return func() { cancel(); done.Wait() }
}
