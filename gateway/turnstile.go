package gateway

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// turnstile bounds the requests of each tenant to the doors beside tus: how many
// are under way, and how many begin in a second. It is the gateway's own: with
// several gateways a tenant has as much at each.
type turnstile struct {
	most   int        // under way
	begins rate.Limit // in a second; as many may begin at once, 1 at least

	mu      sync.Mutex
	tenants map[string]*passage
}

// passage is what a tenant has of it.
type passage struct {
	open   int
	begins *rate.Limiter
}

func newTurnstile(most int, begins float64) *turnstile {
	return &turnstile{most: most, begins: rate.Limit(begins), tenants: map[string]*passage{}}
}

// enter lets a tenant's request in, or says in how many seconds to come again.
func (t *turnstile) enter(tenant string) (leave func(), wait int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.tenants[tenant]
	if p == nil {
		p = &passage{begins: rate.NewLimiter(t.begins, t.burst())}
		t.tenants[tenant] = p
	}
	if p.open >= t.most {
		return nil, 1, newProblem(http.StatusTooManyRequests, fmt.Sprintf(
			"Too many requests are under way, more than %d; wait for some of them to be answered.", t.most)).typed("too_many_requests")
	}
	now := time.Now()
	turn := p.begins.ReserveN(now, 1)
	if delay := turn.DelayFrom(now); delay > 0 {
		turn.CancelAt(now)
		wait = int(math.Ceil(delay.Seconds()))
		return nil, wait, newProblem(http.StatusTooManyRequests, fmt.Sprintf(
			"Too many requests, more than %g a second; come again in %d s.", float64(t.begins), wait)).typed("rate_limited")
	}
	p.open++
	return func() { t.leave(tenant) }, 0, nil
}

// leave forgets who has nothing under way and may begin as much as a stranger,
// and with each who leaves all others of that kind, so that the list does not grow.
func (t *turnstile) leave(tenant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tenants[tenant].open--
	for name, p := range t.tenants {
		if p.open == 0 && p.begins.Tokens() >= float64(t.burst()) {
			delete(t.tenants, name)
		}
	}
}

func (t *turnstile) burst() int { return int(max(1, math.Ceil(float64(t.begins)))) }
