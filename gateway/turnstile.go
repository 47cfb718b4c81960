package gateway

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"sluice/internal/job"
)

// turnstile bounds what each of many, tenants or addresses, asks for: how many
// requests are under way, and how many begin in a second. It is the gateway's own:
// with several gateways each has as much at each.
type turnstile struct {
	most   int        // under way; 0: no limit
	begins rate.Limit // in a second; as many may begin at once, 1 at least; 0: no limit
	names  struct{ most, begins job.Limit }

	mu     sync.Mutex
	passes map[string]*passage
	tidyAt int // passes are looked through when there are so many
}

// passage is what one of them has of it.
type passage struct {
	open   int
	begins *rate.Limiter
}

// fewPasses are kept without looking whether they are needed.
const fewPasses = 1024

func newTurnstile(most int, begins float64, mostName, beginsName job.Limit) *turnstile {
	t := &turnstile{most: most, begins: rate.Limit(begins), passes: map[string]*passage{}, tidyAt: fewPasses}
	t.names.most, t.names.begins = mostName, beginsName
	if t.begins == 0 {
		t.begins = rate.Inf
	}
	return t
}

// enter lets a request in, which holds a place until leave is called, or not at all
// where holds is false. The error is a *job.LimitError.
func (t *turnstile) enter(who string, holds bool) (leave func(), err error) {
	if t.begins == rate.Inf && (t.most == 0 || !holds) {
		return func() {}, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pass(who)
	if holds && t.most > 0 && p.open >= t.most {
		return nil, &job.LimitError{Limit: t.names.most, Max: int64(t.most), RetryAfter: time.Second}
	}
	now := time.Now()
	turn := p.begins.ReserveN(now, 1)
	if delay := turn.DelayFrom(now); delay > 0 {
		turn.CancelAt(now)
		return nil, &job.LimitError{Limit: t.names.begins, Max: int64(t.burst()), RetryAfter: delay}
	}
	if !holds {
		return func() {}, nil
	}
	p.open++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		p.open--
	}, nil
}

// pass returns the passage of one, who may be a stranger. Before there are many
// more, who has nothing under way and may begin as much as a stranger is forgotten:
// so there are hardly more than came within a burst. The lock is held.
func (t *turnstile) pass(who string) *passage {
	p := t.passes[who]
	if p != nil {
		return p
	}
	if len(t.passes) >= t.tidyAt {
		for name, p := range t.passes {
			if p.open == 0 && p.begins.Tokens() >= float64(t.burst()) {
				delete(t.passes, name)
			}
		}
		t.tidyAt = max(fewPasses, 2*len(t.passes))
	}
	p = &passage{begins: rate.NewLimiter(t.begins, t.burst())}
	t.passes[who] = p
	return p
}

func (t *turnstile) burst() int {
	if t.begins == rate.Inf {
		return 0
	}
	return int(max(1, math.Ceil(float64(t.begins))))
}
