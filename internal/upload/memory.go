package upload

import (
	"context"
	"sync"
	"sync/atomic"

	"sluice/internal/share"
)

// slabBytes is the unit of memory: what an upload that has sent anything holds at least. It is small, so that thousands
// of slow clients fit into the budget, and large enough to read from a socket without losing time.
const slabBytes = 64 << 10

type slab [slabBytes]byte

// memory is the budget for bytes on their way to S3. An upload that has some memory gets more only while nobody waits
// for their first. What is released goes to the tenant that holds least among those that wait: a tenant of many uploads
// does not keep one of few from its own.
type memory struct {
	free  sync.Pool    // of *slab: memory that is not needed goes back to the system
	used  atomic.Int64 // bytes
	share *share.Share // of slabs
}

func newMemory(bytes int64) *memory {
	return &memory{share: share.New(bytes/slabBytes, 0), free: sync.Pool{New: func() any { return new(slab) }}}
}

// of returns the account of a tenant.
func (m *memory) of(tenant string) *account { return &account{m, m.share.Of(tenant)} }

// account is what the uploads of one tenant hold.
type account struct {
	memory *memory
	*share.Account
}

// wait returns a slab as soon as there is one. Who holds one must not wait for another, or all might wait for ever.
func (a *account) wait(ctx context.Context) (*slab, error) {
	if err := a.Wait(ctx); err != nil {
		return nil, err
	}
	return a.memory.take(), nil
}

// try returns a slab, or nil if the budget is used up or somebody waits.
func (a *account) try() *slab {
	if !a.Try() {
		return nil
	}
	return a.memory.take()
}

func (a *account) release(slabs ...*slab) {
	for _, s := range slabs {
		a.memory.free.Put(s)
	}
	a.memory.used.Add(-slabBytes * int64(len(slabs)))
	a.Release(int64(len(slabs)))
}

func (m *memory) take() *slab {
	m.used.Add(slabBytes)
	return m.free.Get().(*slab)
}
