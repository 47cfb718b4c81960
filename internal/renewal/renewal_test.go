package renewal_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"sluice/internal/renewal"
)

// It renews in time, and no more once it was stopped, which waits for the renewal
// that is under way and ends it.
func TestEvery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, ended := 0, 0
		stop := renewal.Every(t.Context(), time.Second, func(ctx context.Context) bool {
			began++
			if began == 3 {
				<-ctx.Done()
			}
			ended++
			return true
		})
		time.Sleep(3500 * time.Millisecond)
		synctest.Wait()
		if began != 3 || ended != 2 {
			t.Fatalf("%d begun and %d ended, want 3 and 2", began, ended)
		}
		stop()
		if ended != 3 {
			t.Errorf("stop did not wait: %d ended", ended)
		}
		stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if began != 3 {
			t.Errorf("%d begun after stop, want 3", began)
		}
	})
}

// It ends by itself where renew says so, or with its context.
func TestEveryEnds(t *testing.T) {
	t.Parallel()
	for name, ctx := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"by renew": context.WithCancel,
		"by context": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 2500*time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := ctx(t.Context())
				defer cancel()
				n := 0
				stop := renewal.Every(ctx, time.Second, func(context.Context) bool { n++; return name != "by renew" || n < 2 })
				time.Sleep(time.Minute)
				stop()
				if n != 2 {
					t.Errorf("renewed %d times, want 2", n)
				}
			})
		})
	}
}
