package rollup

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// prefixLen is how much of an account id is held in two words: as much as most
// ids have, so that they are compared and ordered without leaving the row.
const prefixLen = 16

// prefix returns the first 16 bytes of an id as two big-endian words, filled up
// with zeros, so that they order as the bytes do. Loads overlap instead of
// looking at each byte.
func prefix(id []byte) (hi, lo uint64) {
	switch n := len(id); {
	case n >= prefixLen:
		return binary.BigEndian.Uint64(id), binary.BigEndian.Uint64(id[8:prefixLen])
	case n >= 8:
		return binary.BigEndian.Uint64(id), binary.BigEndian.Uint64(id[n-8:]) << (8 * (prefixLen - n))
	case n >= 4:
		return uint64(binary.BigEndian.Uint32(id))<<32 | uint64(binary.BigEndian.Uint32(id[n-4:]))<<(8*(8-n)), 0
	case n > 0:
		half, last := n/2, n-1
		return uint64(id[0])<<56 | uint64(id[half])<<(56-8*half) | uint64(id[last])<<(56-8*last), 0
	}
	return 0, 0
}

// appendPrefix undoes prefix for an id of size bytes.
func appendPrefix(dst []byte, hi, lo uint64, size uint32) []byte {
	var b [prefixLen]byte
	binary.BigEndian.PutUint64(b[:], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return append(dst, b[:min(size, prefixLen)]...)
}

// seed makes the hashes of a Rollup its own: whoever writes a file cannot
// choose ids and days that collide.
type seed struct{ a, b, c uint64 }

func newSeed() seed {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return seed{binary.NativeEndian.Uint64(b[:]), binary.NativeEndian.Uint64(b[8:]), binary.NativeEndian.Uint64(b[16:]) | 1}
}

// id hashes an id; tail is what lies beyond its prefix. The top bits choose the
// partition, the others the place in its table.
func (s *seed) id(hi, lo uint64, size uint32, tail []byte) uint64 {
	if size <= prefixLen {
		return s.short(hi, lo, size)
	}
	h := fold(hi^s.a, lo^s.b^uint64(size))
	for len(tail) > 0 {
		n := min(len(tail), prefixLen)
		x, y := prefix(tail[:n])
		h = fold(x^h^s.b, y^s.a)
		tail = tail[n:]
	}
	return h * s.c
}

// short is id without a tail.
func (s *seed) short(hi, lo uint64, size uint32) uint64 {
	return fold(hi^s.a, lo^s.b^uint64(size)) * s.c
}

// key hashes a group's key.
func (s *seed) key(k uint64) uint64 { return fold(k^s.b, s.c) }

func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}
