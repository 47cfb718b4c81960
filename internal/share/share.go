// Package share gives a number of like things, such as connections or pieces of
// memory, to tenants fairly. It does not know what they are.
package share

import (
	"context"
	"slices"
	"sync"
)

// Share is how many there are. What is free goes to the tenant that holds fewest of
// those that wait, to each in turn of those that hold as many, and of one tenant to who
// came first: who asks for much waits for itself.
type Share struct {
	kept int64

	mu       sync.Mutex
	free     int64
	accounts map[string]*Account // by tenant; kept, for tenants are few
	waiting  []*Account          // each with a queue, whose turn it is first
}

// Account is what one tenant holds and waits for. Goroutines may share it.
type Account struct {
	share *Share
	held  int64
	queue []chan struct{} // of who waits for one; closed when it is theirs
}

// New returns a Share of n, the last of which, so many, go only to tenants that hold
// none: they need not wait for what others do with theirs.
func New(n, kept int64) *Share {
	return &Share{kept: kept, free: n, accounts: map[string]*Account{}}
}

// Of returns the account of a tenant.
func (s *Share) Of(tenant string) *Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[tenant]
	if a == nil {
		a = &Account{share: s}
		s.accounts[tenant] = a
	}
	return a
}

// Wait returns nil when one is the tenant's, and otherwise why ctx ended. Who holds one
// and waits for another may do so for ever.
func (a *Account) Wait(ctx context.Context) error {
	mine := make(chan struct{})
	a.join(mine)
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
		a.giveUp(mine)
		return context.Cause(ctx)
	}
}

func (a *Account) join(mine chan struct{}) {
	s := a.share
	s.mu.Lock()
	defer s.mu.Unlock()
	a.queue = append(a.queue, mine)
	if len(a.queue) == 1 {
		s.waiting = append(s.waiting, a)
	}
	s.give()
}

// giveUp leaves the queue, or returns what was given in the last moment.
func (a *Account) giveUp(mine chan struct{}) {
	a.share.mu.Lock()
	defer a.share.mu.Unlock()
	at := slices.Index(a.queue, mine)
	if at < 0 {
		a.release(1)
		return
	}
	a.queue = slices.Delete(a.queue, at, at+1)
	if len(a.queue) == 0 {
		at = slices.Index(a.share.waiting, a)
		a.share.waiting = slices.Delete(a.share.waiting, at, at+1)
	}
}

// Try takes one if one is free for the tenant; those who wait have had what they may.
func (a *Account) Try() bool {
	a.share.mu.Lock()
	defer a.share.mu.Unlock()
	if !a.may() {
		return false
	}
	a.share.free--
	a.held++
	return true
}

// may tells whether one is free for the tenant. The lock is held.
func (a *Account) may() bool {
	return a.share.free > 0 && (a.held == 0 || a.share.free > a.share.kept)
}

// Wanted tells whether anybody waits, of any tenant.
func (a *Account) Wanted() bool {
	a.share.mu.Lock()
	defer a.share.mu.Unlock()
	return len(a.share.waiting) > 0
}

// Release gives back n that the tenant holds.
func (a *Account) Release(n int64) {
	a.share.mu.Lock()
	defer a.share.mu.Unlock()
	a.release(n)
}

func (a *Account) release(n int64) {
	a.held -= n
	a.share.free += n
	a.share.give()
}

// give gives what is free to those who wait. The lock is held.
func (s *Share) give() {
	for len(s.waiting) > 0 {
		at := 0
		for i, a := range s.waiting {
			if a.held < s.waiting[at].held {
				at = i
			}
		}
		next := s.waiting[at]
		if !next.may() {
			return
		}
		s.waiting = slices.Delete(s.waiting, at, at+1)
		s.free--
		next.held++
		close(next.queue[0])
		if next.queue = next.queue[1:]; len(next.queue) > 0 {
			s.waiting = append(s.waiting, next)
		}
	}
}
