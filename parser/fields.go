package parser

import "bytes"

// fields are those of one record, as places in its bytes: either taken off an
// index, in which all is well, or split one by one.
type fields struct {
	delimiter byte
	guarded   bool     // they are of a file of rejects
	text      []byte   // owned by the scanner's buffer; never changed
	from      int      // where the record begins in text, with ends
	ends      []uint32 // as index has them; nil where spans are to be used
	spans     []span   // at most maxFields
	count     int      // all fields, those past maxFields too
	widest    int      // bytes of the widest field as written
	bare      bool     // a quote where none may be
	open      int      // where the quote is that is still open at the end; -1 = none

	unquoted []byte // values that had doubled quotes; valid until forget
}

// span is text[lo:hi] without the quotes around it.
type span struct {
	lo, hi  int32
	doubled bool // holds doubled quotes
	bare    bool // holds a quote where none may be
}

func (f *fields) reset(text []byte) {
	f.text, f.ends, f.spans, f.count = text, nil, f.spans[:0], 0
	f.widest, f.bare, f.open = 0, false, -1
}

// take makes f the fields of a record that is indexed.
func (f *fields) take(text []byte, from int, ends []uint32) {
	f.text, f.from, f.ends, f.count = text, from, ends, len(ends)
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

// add takes a field of so many bytes as written.
func (f *fields) add(s span, width int) {
	f.count++
	f.widest = max(f.widest, width)
	if len(f.spans) < maxFields {
		f.spans = append(f.spans, s)
	}
}

// split cuts the record that b begins with, quotes and all. n is its
// length with its line end; whole is false when b ends before that.
func (f *fields) split(b []byte) (n int, whole bool) {
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

// value returns field i, which is below count and maxFields. It is valid until
// the scanner's next fill.
func (f *fields) value(i int) []byte {
	v := f.written(i)
	if f.guarded {
		return unguard(v)
	}
	return v
}

// written is value as it is written but for quotes.
func (f *fields) written(i int) []byte {
	if f.ends == nil {
		s := f.spans[i]
		return f.single(f.text[s.lo:s.hi], s.doubled)
	}
	lo, hi := f.from, int(f.ends[i]>>1)
	if i > 0 {
		lo = int(f.ends[i-1]>>1) + 1
	}
	if i == len(f.ends)-1 && hi > lo && f.text[hi-1] == '\r' {
		hi--
	}
	v := f.text[lo:hi]
	if len(v) == 0 || v[0] != '"' {
		return v
	}
	v = v[1 : len(v)-1]
	return f.single(v, bytes.IndexByte(v, '"') >= 0)
}

// single returns v with doubled quotes made single, when it has any.
func (f *fields) single(v []byte, doubled bool) []byte {
	if !doubled {
		return v
	}
	n := len(f.unquoted)
	f.unquoted = appendSingle(f.unquoted, v)
	return f.unquoted[n:]
}

// forget gives up all that value returned.
func (f *fields) forget() { f.unquoted = f.unquoted[:0] }

// appendSingle appends b with doubled quotes made single.
func appendSingle(dst, b []byte) []byte {
	for {
		n := bytes.IndexByte(b, '"')
		if n < 0 {
			return append(dst, b...)
		}
		dst = append(dst, b[:n+1]...)
		b = b[min(n+2, len(b)):]
	}
}
