package main

import (
	"context"
	"log/slog"
	"time"
)

const (
	// firstDelay doubles with each restart up to lastDelay, and counts anew for a
	// service that lasted longer than that.
	firstDelay, lastDelay = 100 * time.Millisecond, 10 * time.Second
	// stopLimit is what a service has to finish before it is ended by force.
	stopLimit = 20 * time.Second
)

// service runs until it is stopped or ends by itself, which closes Done.
type service interface {
	Done() <-chan struct{}
	Stop(ctx context.Context) error
}

// kept is a service that is started again whenever it ends by itself.
type kept struct {
	name  string
	start func(context.Context) (service, error)
	log   *slog.Logger
	end   context.CancelFunc
	ended chan struct{}
}

// keep starts a service and, once that has succeeded, keeps it running until
// stop. ctx bounds the first start only.
func keep(ctx context.Context, log *slog.Logger, name string, start func(context.Context) (service, error)) (*kept, error) {
	first, err := start(ctx)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	k := &kept{name: name, start: start, log: log, end: end, ended: make(chan struct{})}
	go k.run(life, first)
	return k, nil
}

// stop ends the service, and its keeping, and returns when both are over.
func (k *kept) stop() {
	k.end()
	<-k.ended
}

func (k *kept) run(life context.Context, current service) {
	defer close(k.ended)
	for delay := firstDelay; current != nil; {
		began := time.Now()
		select {
		case <-life.Done():
			k.stopService(life, current)
			return
		case <-current.Done():
		}
		if time.Since(began) > lastDelay {
			delay = firstDelay
		}
		k.log.WarnContext(life, "a service ended by itself and is started again", "service", k.name)
		current, delay = k.restart(life, delay)
	}
}

// restart tries until the service runs, and returns nil when life ends first.
func (k *kept) restart(life context.Context, delay time.Duration) (service, time.Duration) {
	for {
		select {
		case <-life.Done():
			return nil, delay
		case <-time.After(delay):
		}
		delay = min(2*delay, lastDelay)
		next, err := k.start(life)
		if err == nil {
			return next, delay
		}
		if life.Err() == nil {
			k.log.ErrorContext(life, "a service cannot be started", "service", k.name, "err", err)
		}
	}
}

func (k *kept) stopService(life context.Context, s service) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(life), stopLimit)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		k.log.WarnContext(ctx, "a service did not stop cleanly", "service", k.name, "err", err)
	}
}
