package rollup

// slabLen is the number of items allocated at a time: slabs never move, so
// growth copies nothing and the peak stays at what is in use.
const slabLen = 1 << 7

// slab is some items.
type slab[T any] [slabLen]T

// slabs is a list of items numbered from 1. Number 0 is an item that equals
// none: what was not found in a table can be looked at without a branch.
type slabs[T any] struct {
	blocks []*slab[T]
	free   *[]*slab[T] // what was given back, by any that have this list
	n      uint32      // greatest number in use
}

func (s *slabs[T]) init(free *[]*slab[T]) { s.blocks, s.free = []*slab[T]{new(slab[T])}, free }

func (s *slabs[T]) at(number uint32) *T { return &s.blocks[number/slabLen][number%slabLen] }

// add returns the number of a new item, which is its zero value.
func (s *slabs[T]) add() uint32 {
	s.n++
	if s.n/slabLen == uint32(len(s.blocks)) {
		s.blocks = append(s.blocks, s.take())
	}
	var zero T // the memory may hold an item from before clear
	*s.at(s.n) = zero
	return s.n
}

func (s *slabs[T]) take() *slab[T] {
	last := len(*s.free) - 1
	if last < 0 {
		return new(slab[T])
	}
	b := (*s.free)[last]
	*s.free = (*s.free)[:last]
	return b
}

// clear forgets all items and gives their memory back.
func (s *slabs[T]) clear() {
	*s.free = append(*s.free, s.blocks[1:]...)
	s.blocks, s.n = s.blocks[:1], 0
}

// table finds the number of an item by its hash, by open addressing with linear
// probing. A slot is a number and, in the bits that a table of this size leaves
// free, a tag of the hash: a slot of another item is passed by without a look
// at the item, which is a cache miss. 0 is an empty slot.
type table struct {
	slots []uint32 // a power of two of them
	mask  uint32
}

func (t *table) init(slots int) { t.slots, t.mask = make([]uint32, slots), uint32(slots-1) }

func (t *table) bytes() int64 { return int64(len(t.slots)) * 4 }

// tag takes other bits of the hash than the slot and the partition do.
func (t *table) tag(h uint64) uint32 { return uint32(h>>24) &^ t.mask }

// first returns the slot at which a search begins. For many hashes in a row the
// loads overlap.
func (t *table) first(h uint64) uint32 { return t.slots[uint32(h)&t.mask] }

// candidate returns the number in the first slot, from the one that h begins
// at, whose tag fits; 0 when an empty one comes before. slot is what first gave.
func (t *table) candidate(h uint64, slot uint32) uint32 {
	for tag, i := t.tag(h), uint32(h); slot != 0 && (slot^tag)&^t.mask != 0; {
		i++
		slot = t.slots[i&t.mask]
	}
	return slot & t.mask
}

// search calls is with every candidate until it holds, and returns that number,
// or 0 and the empty slot where the item belongs.
func (t *table) search(h uint64, is func(number uint32) bool) (number, empty uint32) {
	tag := t.tag(h)
	for i := uint32(h); ; i++ {
		slot := t.slots[i&t.mask]
		if slot == 0 {
			return 0, i & t.mask
		}
		if (slot^tag)&^t.mask == 0 && is(slot&t.mask) {
			return slot & t.mask, 0
		}
	}
}

func (t *table) put(empty uint32, h uint64, number uint32) { t.slots[empty] = number | t.tag(h) }

// reserve makes room for a further so many items beside the n that it holds: at
// most half of the slots are taken.
func (t *table) reserve(n, further uint32, hash func(number uint32) uint64) {
	size := len(t.slots)
	for uint64(n)+uint64(further) > uint64(size)/2 {
		size *= 2
	}
	if size == len(t.slots) {
		return
	}
	t.init(size)
	for number := uint32(1); number <= n; number++ {
		h := hash(number)
		i := uint32(h)
		for t.slots[i&t.mask] != 0 {
			i++
		}
		t.put(i&t.mask, h, number)
	}
}
