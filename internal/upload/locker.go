package upload

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tus/tusd/v2/pkg/handler"
)

// patience is how long a newcomer waits for the holder of a lock to store what it has and leave.
const patience = 2 * time.Second

// locker keeps the requests of this process from wasting work on the same upload. It is a courtesy, not the safety:
// that is the epoch in the ledger. So a newcomer, who most likely is the same client on a new connection, asks the
// holder to leave and after a while goes on regardless.
type locker struct {
	metrics *metrics
	mu      sync.Mutex
	held    map[string]*lock
	closed  bool // no lock is given any more
}

func newLocker(m *metrics) *locker { return &locker{metrics: m, held: map[string]*lock{}} }

// NewLock implements handler.Locker.
func (l *locker) NewLock(id string) (handler.Lock, error) {
	return &lock{locker: l, id: id, released: make(chan struct{})}, nil
}

type lock struct {
	locker   *locker
	id       string
	leave    func()
	released chan struct{}

	reading, asked bool // under the locker's mu
}

// Lock takes the lock, in 2 s at most. It fails only with handler.ErrFileLocked, which clients retry: when ctx ends, or
// when others were faster.
func (k *lock) Lock(ctx context.Context, leave func()) error {
	k.leave = leave
	if k.locker.isClosed() {
		return handler.ErrFileLocked
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		holder := k.locker.swap(k, nil)
		if holder == nil {
			return nil
		}
		holder.ask()
		select {
		case <-holder.released:
		case <-ctx.Done():
			return handler.ErrFileLocked
		case <-timeout.C:
			if k.locker.swap(k, holder) != nil {
				return handler.ErrFileLocked
			}
			k.locker.metrics.takeovers.Inc()
			return nil
		}
	}
}

// Unlock releases the lock, or does nothing to a lock that was taken over.
func (k *lock) Unlock() error {
	k.locker.mu.Lock()
	defer k.locker.mu.Unlock()
	if k.locker.held[k.id] == k {
		delete(k.locker.held, k.id)
	}
	close(k.released)
	return nil
}

// leave asks the holder of a lock to leave, if there is one.
func (l *locker) leave(id string) {
	l.mu.Lock()
	holder := l.held[id]
	l.mu.Unlock()
	if holder != nil {
		holder.ask()
	}
}

// reading says that the holder has begun to read its body. Only from then on may it be told to leave: before, tusd
// misses it, and reads what it writes at the time.
func (l *locker) reading(id string) {
	l.mu.Lock()
	holder := l.held[id]
	asked := false
	if holder != nil {
		holder.reading, asked = true, holder.asked
	}
	l.mu.Unlock()
	if asked {
		holder.leave()
	}
}

// ask tells a holder to leave, at once or when it begins to read.
func (k *lock) ask() {
	k.locker.mu.Lock()
	k.asked = true
	reading := k.reading
	k.locker.mu.Unlock()
	if reading {
		k.leave()
	}
}

func (l *locker) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// close asks every holder to leave and gives no lock from here on.
func (l *locker) close() {
	l.mu.Lock()
	l.closed = true
	holders := slices.Collect(maps.Values(l.held))
	l.mu.Unlock()
	for _, holder := range holders {
		holder.ask()
	}
}

// swap makes k the holder if nobody is, or if old is, and returns nil; else it returns the holder.
func (l *locker) swap(k, old *lock) *lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	if holder := l.held[k.id]; holder != nil && holder != old {
		return holder
	}
	l.held[k.id] = k
	return nil
}
