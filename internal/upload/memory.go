package upload

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// slabBytes is the unit of memory: what an upload that has sent anything holds at least. It is small, so that thousands
// of slow clients fit into the budget, and large enough to read from a socket without losing time.
const slabBytes = 64 << 10

type slab [slabBytes]byte

// memory is the budget for bytes on their way to S3. An upload that has some memory gets more only while nobody waits
// for their first. What is released goes to the tenant that holds least among those that wait, and there to who came
// first: a tenant of many uploads does not keep one of few from its own.
type memory struct {
	free sync.Pool    // of *slab: memory that is not needed goes back to the system
	used atomic.Int64 // bytes

	mu       sync.Mutex
	left     int64               // slabs
	waiting  int                 // of all accounts
	accounts map[string]*account // by tenant; kept, for tenants are few
}

func newMemory(bytes int64) *memory {
	return &memory{left: bytes / slabBytes, free: sync.Pool{New: func() any { return new(slab) }}, accounts: map[string]*account{}}
}

// of returns the account of a tenant.
func (m *memory) of(tenant string) *account {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[tenant]
	if a == nil {
		a = &account{memory: m}
		m.accounts[tenant] = a
	}
	return a
}

// account is what the uploads of one tenant hold.
type account struct {
	memory *memory

	held  int64           // slabs
	queue []chan struct{} // of who waits for one; closed when it is theirs
}

// wait returns a slab as soon as there is one. Who holds one must not wait for another, or all might wait for ever.
func (a *account) wait(ctx context.Context) (*slab, error) {
	m := a.memory
	m.mu.Lock()
	if m.waiting == 0 && m.left > 0 {
		a.grant()
		m.mu.Unlock()
		return m.take(), nil
	}
	mine := make(chan struct{})
	a.queue = append(a.queue, mine)
	m.waiting++
	m.mu.Unlock()
	select {
	case <-mine:
		return m.take(), nil
	case <-ctx.Done():
		a.giveUp(mine)
		return nil, context.Cause(ctx)
	}
}

// giveUp leaves the queue, or returns what was granted in the last moment.
func (a *account) giveUp(mine chan struct{}) {
	m := a.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if at := slices.Index(a.queue, mine); at >= 0 {
		a.queue = slices.Delete(a.queue, at, at+1)
		m.waiting--
		return
	}
	a.held--
	m.left++
	m.share()
}

// try returns a slab, or nil if the budget is used up or somebody waits.
func (a *account) try() *slab {
	m := a.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting > 0 || m.left == 0 {
		return nil
	}
	a.grant()
	return m.take()
}

// wanted tells whether somebody waits.
func (a *account) wanted() bool {
	a.memory.mu.Lock()
	defer a.memory.mu.Unlock()
	return a.memory.waiting > 0
}

func (a *account) release(slabs ...*slab) {
	m := a.memory
	for _, s := range slabs {
		m.free.Put(s)
	}
	m.used.Add(-slabBytes * int64(len(slabs)))
	m.mu.Lock()
	defer m.mu.Unlock()
	a.held -= int64(len(slabs))
	m.left += int64(len(slabs))
	m.share()
}

// grant moves a slab from the budget to the account. The lock is held.
func (a *account) grant() {
	a.memory.left--
	a.held++
}

// share gives what is left to those who wait. The lock is held.
func (m *memory) share() {
	for m.left > 0 && m.waiting > 0 {
		var next *account
		for _, a := range m.accounts {
			if len(a.queue) > 0 && (next == nil || a.held < next.held) {
				next = a
			}
		}
		next.grant()
		close(next.queue[0])
		next.queue = next.queue[1:]
		m.waiting--
	}
}

func (m *memory) take() *slab {
	m.used.Add(slabBytes)
	return m.free.Get().(*slab)
}
