package parser

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// fields are those of one record, as places in its bytes.
type fields struct {
	delimiter byte
	pattern   uint64 // delimiter in each byte
	text      []byte // the record; owned by the scanner's buffer
	spans     []span // at most maxFields
	count     int    // all fields, those past maxFields too
	widest    int    // bytes of the widest field as written
	bare      bool   // a quote where none may be
	open      int    // where the quote is that is still open at the end; -1 = none
}

// span is text[lo:hi] without the quotes around it.
type span struct {
	lo, hi  int32
	doubled bool // holds doubled quotes
	bare    bool // holds a quote where none may be
}

const (
	everyByte = 0x0101010101010101
	highBits  = 0x80 * everyByte
	lowBits   = highBits - everyByte
)

func newFields(delimiter byte) fields {
	return fields{delimiter: delimiter, pattern: everyByte * uint64(delimiter)}
}

func (f *fields) reset(text []byte) {
	f.text, f.spans, f.count = text, f.spans[:0], 0
	f.widest, f.bare, f.open = 0, false, -1
}

// fault is what is wrong with the record as a whole.
func (f *fields) fault() Reason {
	switch {
	case f.widest > maxFieldBytes:
		return FieldTooLong
	case f.bare:
		return BareQuote
	}
	return ""
}

// split cuts a line that holds no quote, eight bytes at a time.
func (f *fields) split(line []byte) {
	f.reset(line)
	spans, lo, i := f.spans, 0, 0
	for ; i+8 <= len(line) && len(spans) < maxFields-8; i += 8 {
		x := binary.LittleEndian.Uint64(line[i:]) ^ f.pattern
		// Exact for every byte: the high bit of each that is zero.
		zero := ^((x&lowBits + lowBits) | x) & highBits
		for ; zero != 0; zero &= zero - 1 {
			at := i + bits.TrailingZeros64(zero)>>3
			spans = append(spans, span{lo: int32(lo), hi: int32(at)})
			lo = at + 1
		}
	}
	f.spans, f.count = spans, len(spans)
	for ; i <= len(line); i++ {
		if i == len(line) || line[i] == f.delimiter {
			f.add(span{lo: int32(lo), hi: int32(i)}, i-lo)
			lo = i + 1
		}
	}
	if len(line) > maxFieldBytes {
		for _, s := range f.spans {
			f.widest = max(f.widest, int(s.hi-s.lo))
		}
	}
}

// add takes a field of so many bytes as written.
func (f *fields) add(s span, width int) {
	f.count++
	f.widest = max(f.widest, width)
	if len(f.spans) < maxFields {
		f.spans = append(f.spans, s)
	}
}

// splitQuoted cuts the record that b begins with, quotes and all. n is its
// length with its line end; whole is false when b ends before that.
func (f *fields) splitQuoted(b []byte) (n int, whole bool) {
	f.reset(b)
	for i := 0; ; i++ {
		if i < len(b) && b[i] == '"' {
			i = f.addQuoted(b, i)
		} else {
			i = f.addBare(b, i, i)
		}
		if i == len(b) {
			return i, false
		}
		if b[i] == '\n' {
			return i + 1, true
		}
	}
}

// addQuoted adds the field whose opening quote is b[lo] and returns where it
// ends: at a delimiter, a line feed or the end of b.
func (f *fields) addQuoted(b []byte, lo int) int {
	s := span{lo: int32(lo + 1)}
	for i := lo + 1; ; i += 2 {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			f.open = lo
			s.hi = int32(len(b))
			f.add(s, len(b)-lo)
			return len(b)
		}
		i += n
		if i+1 < len(b) && b[i+1] == '"' {
			s.doubled = true
			continue
		}
		end := i + 1
		if end < len(b) && b[end] == '\r' && (end+1 == len(b) || b[end+1] == '\n') {
			end++
		}
		if end < len(b) && b[end] != f.delimiter && b[end] != '\n' {
			return f.addBare(b, lo, end)
		}
		s.hi = int32(i)
		f.add(s, i+1-lo)
		return end
	}
}

// addBare adds the field that begins at b[lo], as it is written, and returns
// where it ends. Up to b[from] it has no end; what is there begins with a quote.
func (f *fields) addBare(b []byte, lo, from int) int {
	i, bare := from, from > lo
	for i < len(b) && b[i] != f.delimiter && b[i] != '\n' {
		bare = bare || b[i] == '"'
		i++
	}
	f.bare = f.bare || bare
	hi := i
	if hi > lo && b[hi-1] == '\r' && (i == len(b) || b[i] == '\n') {
		hi--
	}
	f.add(span{lo: int32(lo), hi: int32(hi), bare: bare}, hi-lo)
	return i
}

// value returns field i. Doubled quotes are made single in place, so it costs
// no memory and the record is no longer what was read.
func (f *fields) value(i int) []byte {
	s := &f.spans[i]
	if s.doubled {
		s.hi, s.doubled = s.lo+int32(undouble(f.text[s.lo:s.hi])), false
	}
	return f.text[s.lo:s.hi]
}

// undouble makes doubled quotes single and returns how long b is then.
func undouble(b []byte) int {
	to := 0
	for from := 0; from < len(b); from++ {
		if b[from] == '"' && from+1 < len(b) {
			from++
		}
		b[to] = b[from]
		to++
	}
	return to
}
