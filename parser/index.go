package parser

import (
	"math/bits"
	"slices"
)

const (
	blockLen = 64 // bytes of text whose marks fit one mask
	stripLen = 64 // blocks that are indexed at a time

	stripBytes = stripLen * blockLen
)

// index finds where fields end, many bytes at a time: each delimiter and each
// line feed outside of quotes. Whether a byte is inside is the parity of the
// quotes before it. That holds as long as quotes stand only where they may, so
// the index watches over it and stops before the first strip in which one does
// not: what it tells is what a scan byte by byte would tell. It stops likewise where a
// record has more fields than any that is booked, or as many lines: so what it holds
// does not grow with a record that has nothing else.
type index struct {
	kernel    kernel
	delimiter byte
	quotes    quoting
	ends      []uint32 // where fields end, twice, and one more where the record ends too
	inner     []uint32 // where line feeds are inside quotes
	open      int      // places kept of the record that is open; those of its last strip may be of the one before
	feeds     [stripLen]uint64
}

// kernel indexes whole blocks of text, at most stripLen: it sets the marks of
// ends, adding at to their places, and of feeds (the line feeds inside quotes),
// carries quotes on, and returns the number of ends. There is room for as many
// as text has bytes, and for 64 more, which it may spoil.
type kernel func(text []byte, at uint32, delimiter byte, ends []uint32, feeds *[stripLen]uint64, quotes *quoting) int

// quoting is what is known between two blocks. The assembly knows its layout.
type quoting struct {
	inside   uint64 // all ones inside quotes, else 0
	mayOpen  uint64 // 1 where a quote may come: after a delimiter, line feed or closing quote
	closed   uint64 // 1 after a closing quote
	closedCR uint64 // 1 after a closing quote and a carriage return
	broken   uint64 // not 0 once a quote stood where none may
	lines    uint64 // line feeds, those inside quotes too
}

// atRecord is the state where a record begins.
func atRecord() quoting { return quoting{mayOpen: 1} }

// marks says which bytes of a block are what.
type marks struct{ quote, delimiter, feed, cr uint64 }

// step takes a block, of which only the first bytes may be text (and the others
// have no mark), and returns where fields end and where a line feed is inside
// quotes.
func (q *quoting) step(m marks, length int) (ends, inner uint64) {
	inside := prefixXor(m.quote) ^ q.inside // an opening quote is, its closing one is not
	q.inside = uint64(int64(inside) >> 63)
	ends, inner = (m.delimiter|m.feed)&^inside, m.feed&inside
	opening, closing := m.quote&inside, m.quote&^inside
	before := ends | closing
	after := closing<<1 | q.closed
	cr := after & m.cr
	broken := opening&^(before<<1|q.mayOpen) | after&^(ends|opening|m.cr) | (cr<<1|q.closedCR)&^m.feed
	last := uint(length - 1)
	q.broken |= broken << (63 - last)
	q.mayOpen, q.closed, q.closedCR = before>>last&1, closing>>last&1, cr>>last&1
	q.lines += uint64(bits.OnesCount64(m.feed))
	return ends, inner
}

// prefixXor sets each bit to the parity of x up to it.
func prefixXor(x uint64) uint64 {
	x ^= x << 1
	x ^= x << 2
	x ^= x << 4
	x ^= x << 8
	x ^= x << 16
	return x ^ x<<32
}

// reset forgets what was found. What comes next begins a record.
func (x *index) reset() {
	x.quotes, x.ends, x.inner, x.open = atRecord(), x.ends[:0], x.inner[:0], 0
}

// add indexes buf[from:to] after what was indexed before and returns how far it
// came: to, or the beginning of the strip in which a quote breaks the rules, or a
// record has too many places.
func (x *index) add(buf []byte, from, to int) int {
	for from < to {
		strip := buf[from:min(from+stripBytes, to)]
		known, ends, inner := x.quotes, len(x.ends), len(x.inner)
		x.addStrip(strip, from)
		x.count(ends, inner)
		if x.quotes.broken != 0 || x.open > maxFields {
			x.quotes, x.ends, x.inner = known, x.ends[:ends], x.inner[:inner]
			return from
		}
		from += len(strip)
	}
	return to
}

// count counts the places of a strip, which are those from the given ones on.
func (x *index) count(ends, inner int) {
	lines := len(x.inner) - inner
	for i := len(x.ends) - 1; i >= ends; i-- {
		if x.ends[i]&1 == 1 {
			x.open = len(x.ends) - 1 - i + lines
			return
		}
	}
	x.open += len(x.ends) - ends + lines
}

func (x *index) addStrip(strip []byte, at int) {
	n := len(x.ends)
	if need := len(strip) + blockLen; cap(x.ends)-n < need {
		x.ends = slices.Grow(x.ends, max(need, n/2))
	}
	room := x.ends[:cap(x.ends)]
	whole := len(strip) &^ (blockLen - 1)
	if whole > 0 {
		n += x.kernel(strip[:whole], uint32(at), x.delimiter, room[n:], &x.feeds, &x.quotes)
	}
	if whole < len(strip) {
		var block [blockLen]byte // the zeros behind the text are no marks
		length := copy(block[:], strip[whole:])
		m := marksOf(&block, x.delimiter)
		ends, inner := x.quotes.step(m, length)
		n += flatten(ends, m.feed, uint32(at+whole), room[n:])
		x.feeds[whole/blockLen] = inner
	}
	x.ends = room[:n]
	x.addInner(at, x.feeds[:(len(strip)+blockLen-1)/blockLen])
}

// addInner adds the places of the line feeds inside quotes.
func (x *index) addInner(at int, feeds []uint64) {
	for _, f := range feeds {
		for ; f != 0; f &= f - 1 {
			x.inner = append(x.inner, uint32(at+bits.TrailingZeros64(f)))
		}
		at += blockLen
	}
}

// flatten writes the ends of a block and returns how many.
func flatten(ends, feeds uint64, at uint32, dst []uint32) int {
	n := bits.OnesCount64(ends)
	dst = dst[:n]
	for i := range dst {
		bit := uint32(bits.TrailingZeros64(ends))
		dst[i] = (at+bit)<<1 | uint32(feeds>>(bit&63))&1
		ends &= ends - 1
	}
	return n
}
