package rollup

// arenaBlock is the number of bytes allocated at a time.
const arenaBlock = 64 << 10

// arena keeps byte strings, without a pointer to each that the garbage collector
// would have to follow.
type arena struct {
	blocks [][]byte
	free   [][]byte // empty blocks of arenaBlock bytes
	bytes  int64    // of all strings
}

// add copies b and returns its place: block << 32 | offset.
func (a *arena) add(b []byte) uint64 {
	last := len(a.blocks) - 1
	if last < 0 || len(a.blocks[last])+len(b) > cap(a.blocks[last]) {
		a.blocks = append(a.blocks, a.block(len(b)))
		last++
	}
	at := uint64(last)<<32 | uint64(len(a.blocks[last]))
	a.blocks[last] = append(a.blocks[last], b...)
	a.bytes += int64(len(b))
	return at
}

func (a *arena) block(atLeast int) []byte {
	if n := len(a.free); n > 0 && atLeast <= arenaBlock {
		b := a.free[n-1]
		a.free = a.free[:n-1]
		return b
	}
	return make([]byte, 0, max(arenaBlock, atLeast))
}

func (a *arena) at(place uint64, n int) []byte {
	from := int(uint32(place))
	return a.blocks[place>>32][from : from+n]
}

// reset forgets all strings and keeps the memory.
func (a *arena) reset() {
	for _, b := range a.blocks {
		if cap(b) == arenaBlock {
			a.free = append(a.free, b[:0])
		}
	}
	clear(a.blocks)
	a.blocks, a.bytes = a.blocks[:0], 0
}
