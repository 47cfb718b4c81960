package parser

import (
	"bytes"
	"errors"
	"io"
	"math"
)

// Limits of one record (PARSING.md). They bound the scanner's memory whatever
// the source holds.
const (
	maxRecordBytes = 4 << 20 // without its line end
	maxFieldBytes  = 1 << 20 // as written, quotes included
	maxFields      = 16_384
)

// longRecord is how many bytes without a record's end make it too long,
// whichever line end might follow.
const longRecord = maxRecordBytes + len("\r\n")

// slack is room behind what is read: for a line feed where the last record has
// none, and for values to be read eight bytes at a time.
const slack = 64

// errUnterminated says that the source ended inside a quoted field, which
// scanner.record.line then points to.
var errUnterminated = errors.New("unterminated quote")

// scanner cuts a stream into records. It knows quotes, line ends and limits,
// and nothing of what the fields mean.
//
// A quote opens a field only as its first byte. A record ends at the first
// line feed outside such a field, one that breaks the rules of quoting too: so
// a stray quote spoils its own row and not those after it.
//
// Where quotes keep to the rules an index tells where fields end. A record that
// breaks them, or a limit, or the end of the source, is taken byte by byte.
//
// Records are scanned whole, out of one buffer, and next never reads: all it
// hands out between two fills stays where it is.
type scanner struct {
	src io.Reader
	err error // how src ended
	eof bool  // err is io.EOF; one that wraps it is a source that was cut off

	buf   []byte // buf[pos:end] is read and not yet scanned; slack is behind end
	pos   int
	end   int
	base  int64 // offset of buf[0] in the stream
	lines int64 // line feeds before buf[pos]

	index     index
	ends      []uint32 // of index: those not yet scanned, up to the last that ends a record
	inner     []uint32 // of index: those not yet scanned
	indexFrom int      // a record that begins here or later needs a new index

	record record // what next found
	fields fields // its fields
	skip   skipper
}

// record says where a record begins and what is wrong with its shape.
type record struct {
	line   int64 // 1-based
	offset int64
	lo, hi int    // buf[lo:hi] is the record without its line feed, or as much of it as is kept
	fault  Reason // RecordTooLong, FieldTooLong, BareQuote or none
}

// newScanner reads src in blocks of so many bytes; offset and lines say how
// much of the stream came before.
func newScanner(src io.Reader, delimiter byte, blockBytes int, offset, lines int64) *scanner {
	return &scanner{
		src: src, buf: make([]byte, blockBytes+slack), base: offset, lines: lines,
		index: index{kernel: kernels()[0].kernel, delimiter: delimiter}, fields: fields{delimiter: delimiter},
	}
}

// offset is how much of the stream has been scanned.
func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// next scans the next record, blank lines left out. It reports false when the
// buffer holds no further whole one, so that fill must be called.
func (s *scanner) next() (bool, error) {
	if s.skip.on {
		if done, err := s.skipRecord(); !done {
			return false, err
		}
	}
	for s.pos < s.end {
		before := s.pos
		ok, err := s.nextRecord()
		if ok || err != nil || s.pos == before {
			return ok, err
		}
	}
	return false, nil
}

// nextRecord is next for one record or blank line. Where it reports false and
// does not move, there is no further whole one.
func (s *scanner) nextRecord() (bool, error) {
	if len(s.ends) == 0 && s.pos >= s.indexFrom {
		s.makeIndex()
	}
	switch {
	case len(s.ends) > 0:
		return s.nextIndexed()
	case s.indexFrom == indexed && !s.eof && s.end-s.pos < longRecord:
		return false, nil
	}
	return s.nextExact()
}

// indexed is the indexFrom of a buffer that is indexed to its end.
const indexed = math.MaxInt

// makeIndex indexes what is left, as far as quotes keep to the rules.
func (s *scanner) makeIndex() {
	s.index.reset()
	to := s.index.add(s.buf, s.pos, s.terminated())
	s.useIndex(s.index.ends, to)
}

// terminated ends the last record of the source with a line feed, where it has
// none, and returns where the text then ends.
func (s *scanner) terminated() int {
	if !s.eof || s.end > s.pos && s.buf[s.end-1] == '\n' {
		return s.end
	}
	s.buf[s.end] = '\n'
	return s.end + 1
}

// useIndex takes over ends, and inner of the index, which reach to buf[to].
func (s *scanner) useIndex(ends []uint32, to int) {
	s.ends, s.inner, s.indexFrom = ends, s.index.inner, indexed
	if to < s.end {
		s.indexFrom = to + stripBytes
	}
	for n := len(s.ends); n > 0 && s.ends[n-1]&1 == 0; n-- {
		s.ends = s.ends[:n-1]
	}
}

// nextIndexed takes the next record off the index.
func (s *scanner) nextIndexed() (bool, error) {
	n := 0
	for s.ends[n]&1 == 0 {
		n++
	}
	n++
	ends, lo := s.ends[:n:n], s.pos
	s.ends = s.ends[n:]
	hi := int(ends[n-1] >> 1)
	inside := 0
	for len(s.inner) > inside && int(s.inner[inside]) < hi {
		inside++
	}
	s.inner = s.inner[inside:]
	if hi-lo > maxFieldBytes {
		return s.nextExact()
	}
	s.record = record{line: s.lines + 1, offset: s.offset(), lo: lo, hi: hi}
	s.pos = hi
	s.lines += int64(inside)
	if hi < s.end {
		s.pos++
		s.lines++
	}
	if n == 1 && isBlankLine(s.buf[lo:hi]) {
		return false, nil
	}
	s.fields.take(s.buf, lo, ends)
	return true, nil
}

// nextExact scans a record byte by byte.
func (s *scanner) nextExact() (bool, error) {
	rest := s.buf[s.pos:s.end]
	s.record = record{line: s.lines + 1, offset: s.offset()}
	n, whole := s.fields.split(rest)
	if !whole && !s.eof {
		return s.tooLong(rest, len(rest) >= longRecord), nil
	}
	text := rest[:n]
	if whole {
		text = rest[:n-1]
	}
	if s.tooLong(rest, len(trimCR(text)) > maxRecordBytes) {
		return true, nil
	}
	if open := s.fields.open; open >= 0 {
		s.record.line += int64(bytes.Count(rest[:open], []byte{'\n'}))
		return false, errUnterminated
	}
	s.record.lo, s.record.hi = s.pos, s.pos+len(text)
	s.pos += n
	s.lines += int64(bytes.Count(rest[:n], []byte{'\n'}))
	s.record.fault = s.fields.fault()
	return s.fields.count > 1 || !isBlankLine(text), nil
}

// tooLong, when it is so, makes the record one of the fields that its first
// maxRecordBytes hold, and skips them; the next call of next skips the rest.
func (s *scanner) tooLong(rest []byte, so bool) bool {
	if so {
		s.fields.split(rest[:maxRecordBytes])
		s.record.lo, s.record.hi = s.pos, s.pos+maxRecordBytes
		s.record.fault = RecordTooLong
		s.skip = skipper{on: true}
		s.skipTo(s.pos + maxRecordBytes)
	}
	return so
}

// fill moves what is left to the front and reads until the buffer is full,
// doubling it when a single record fills it: so a record is scanned again only
// as often as it doubles, however small the pieces src comes in.
func (s *scanner) fill() error {
	if s.err != nil {
		return s.err
	}
	s.base += int64(s.pos)
	s.end = copy(s.buf, s.buf[s.pos:s.end])
	s.pos, s.ends, s.indexFrom = 0, nil, 0
	s.fields.forget()
	if s.end == len(s.buf)-slack {
		s.buf = append(s.buf, make([]byte, s.end)...)
	}
	s.end, s.err = readFull(s.src, s.buf[:len(s.buf)-slack], s.end)
	s.eof = s.err == io.EOF //nolint:errorlint // one that wraps it is a source that was cut off
	return nil
}

// readFull reads into buf[end:] until it is full or src ends, and returns how
// far it came.
func readFull(src io.Reader, buf []byte, end int) (int, error) {
	for end < len(buf) {
		n, err := src.Read(buf[end:])
		end += n
		if err != nil {
			return end, err
		}
	}
	return end, nil
}

// trimCR removes the carriage return of a line end.
func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// isBlankLine reports whether the text of a record of one field holds blanks
// alone.
func isBlankLine(text []byte) bool {
	for _, c := range text {
		if !isBlank(c) {
			return false
		}
	}
	return true
}
