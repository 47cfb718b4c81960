package upload

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// slabBytes is the unit of memory: what an upload that has sent anything holds at least. It is small, so that thousands
// of slow clients fit into the budget, and large enough to read from a socket without losing time.
const slabBytes = 64 << 10

type slab [slabBytes]byte

// memory is the budget for bytes on their way to S3. It is first come, first served: an upload that has some memory gets
// more only while nobody waits for their first.
type memory struct {
	budget *semaphore.Weighted
	free   sync.Pool // of *slab: memory that is not needed goes back to the system
	used   atomic.Int64
}

func newMemory(bytes int64) *memory {
	return &memory{budget: semaphore.NewWeighted(bytes / slabBytes), free: sync.Pool{New: func() any { return new(slab) }}}
}

// wait returns a slab as soon as there is one. Who holds one must not wait for another, or all might wait for ever.
func (m *memory) wait(ctx context.Context) (*slab, error) {
	if err := m.budget.Acquire(ctx, 1); err != nil {
		return nil, context.Cause(ctx)
	}
	return m.take(), nil
}

// try returns a slab, or nil if the budget is used up or somebody waits.
func (m *memory) try() *slab {
	if !m.budget.TryAcquire(1) {
		return nil
	}
	return m.take()
}

func (m *memory) take() *slab {
	m.used.Add(slabBytes)
	return m.free.Get().(*slab)
}

func (m *memory) release(slabs ...*slab) {
	for _, s := range slabs {
		m.free.Put(s)
	}
	m.used.Add(-slabBytes * int64(len(slabs)))
	m.budget.Release(int64(len(slabs)))
}
