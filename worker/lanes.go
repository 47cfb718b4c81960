package worker

import (
	"sync"
	"time"
)

const (
	// lanePace is how long a delivery is thought to take before one to there has ended.
	lanePace = time.Second
	// laneMost is how long a delivery is put off at most: its webhook may be quick again.
	laneMost = time.Minute
)

// lanes give each webhook a few of a worker's places, so that one whose receiver is
// slow or dead has its own deliveries wait, and nobody else's. The zero value is
// ready, and goroutines may share it.
type lanes struct {
	mu sync.Mutex
	of map[string]*lane // by webhook, while deliveries to it are under way
}

type lane struct {
	underWay int
	pace     time.Duration // what the last delivery took
	free     time.Time     // when the next that is put off should find a place
}

// enter takes a place on the way to a webhook and returns 0; or it returns after
// how long one may be free. Those that are put off are spread over the time that the
// ones before them should take: a long queue is not looked through again and again.
func (l *lanes) enter(webhook string, now time.Time) (later time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.of[webhook]
	if at == nil {
		if l.of == nil {
			l.of = map[string]*lane{}
		}
		at = &lane{pace: lanePace}
		l.of[webhook] = at
	}
	if at.underWay < deliverToOne {
		at.underWay++
		return 0
	}
	if at.free.Before(now) {
		at.free = now
	}
	at.free = at.free.Add(max(at.pace/deliverToOne, time.Millisecond))
	return min(at.free.Sub(now), laneMost)
}

// leave gives the place of a delivery back that took so long.
func (l *lanes) leave(webhook string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.of[webhook]
	at.pace = took
	if at.underWay--; at.underWay == 0 {
		delete(l.of, webhook)
	}
}
