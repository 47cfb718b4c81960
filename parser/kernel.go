package parser

import "encoding/binary"

type namedKernel struct {
	name string
	kernel
}

// portable is the kernel that runs everywhere, eight bytes at a time.
func portable(text []byte, at uint32, delimiter byte, ends []uint32, feeds *[stripLen]uint64, quotes *quoting) (n int) {
	for i := 0; i+blockLen <= len(text); i += blockLen {
		m := marksOf((*[blockLen]byte)(text[i:]), delimiter)
		fieldEnds, inner := quotes.step(m, blockLen)
		feeds[i/blockLen%stripLen] = inner
		n += flatten(fieldEnds, m.feed, at+uint32(i), ends[n:])
	}
	return n
}

const (
	everyByte = 0x0101010101010101
	highBits  = 0x80 * everyByte
	lowBits   = highBits - everyByte
)

func marksOf(block *[blockLen]byte, delimiter byte) (m marks) {
	pattern := everyByte * uint64(delimiter)
	for i := 0; i < blockLen; i += 8 {
		word := binary.LittleEndian.Uint64(block[i:])
		m.delimiter |= gather(zeros(word^pattern)) << i
		if z := zeros(word ^ '"'*everyByte); z != 0 {
			m.quote |= gather(z) << i
		}
		if z := zeros(word ^ '\n'*everyByte); z != 0 {
			m.feed |= gather(z) << i
		}
		if z := zeros(word ^ '\r'*everyByte); z != 0 {
			m.cr |= gather(z) << i
		}
	}
	return m
}

// zeros returns the high bit of each byte that is zero, exactly.
func zeros(x uint64) uint64 { return ^((x&lowBits + lowBits) | x) & highBits }

// gather moves the high bits of the bytes into the low eight bits.
func gather(high uint64) uint64 {
	const spread = 0x0102040810204080 // bit 8i times it has its bit 56+i, and no two bits meet above 55
	return high >> 7 * spread >> 56
}
