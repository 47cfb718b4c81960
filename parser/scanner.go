package parser

import (
	"bytes"
	"errors"
	"io"
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
// Records are scanned whole, out of one buffer, and next never reads: all it
// hands out between two fills stays where it is.
type scanner struct {
	src io.Reader
	err error // how src ended
	eof bool  // err is io.EOF; one that wraps it is a source that was cut off

	buf   []byte // buf[pos:end] is read and not yet scanned
	pos   int
	end   int
	quote int   // the next quote at or after pos; end when there is none; < pos when not yet looked for
	base  int64 // offset of buf[0] in the stream
	lines int64 // line feeds before buf[pos]

	record record // what next found
	fields fields // its fields
	skip   skipper
}

// record says where a record begins and what is wrong with its shape.
type record struct {
	line   int64 // 1-based
	offset int64
	fault  Reason // RecordTooLong, FieldTooLong, BareQuote or none
}

// newScanner reads src in blocks of so many bytes; offset and lines say how
// much of the stream came before.
func newScanner(src io.Reader, delimiter byte, blockBytes int, offset, lines int64) *scanner {
	return &scanner{
		src: src, buf: make([]byte, blockBytes), quote: -1, base: offset, lines: lines,
		fields: newFields(delimiter),
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
		rest := s.buf[s.pos:s.end]
		s.record = record{line: s.lines + 1, offset: s.offset()}
		n := bytes.IndexByte(rest, '\n')
		whole := n >= 0
		if !whole {
			n = len(rest)
		}
		if s.nextQuote() < s.pos+n {
			return s.nextQuoted(rest)
		}
		if !whole && !s.eof {
			return s.tooLong(rest, len(rest) >= longRecord), nil
		}
		line := trimCR(rest[:n])
		if s.tooLong(rest, len(line) > maxRecordBytes) {
			return true, nil
		}
		s.pos += n
		if whole {
			s.pos++
			s.lines++
		}
		if isBlankLine(line, s.fields.delimiter) {
			continue
		}
		s.fields.split(line)
		s.record.fault = s.fields.fault()
		return true, nil
	}
	return false, nil
}

// nextQuoted scans a record that holds a quote and so may hold line feeds.
func (s *scanner) nextQuoted(rest []byte) (bool, error) {
	n, whole := s.fields.splitQuoted(rest)
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
	s.pos += n
	s.lines += int64(bytes.Count(rest[:n], []byte{'\n'}))
	s.record.fault = s.fields.fault()
	return true, nil
}

// tooLong, when it is so, makes the record one of the fields that its first
// maxRecordBytes hold, and skips them; the next call of next skips the rest.
// They must be skipped now, as fields.value changes them.
func (s *scanner) tooLong(rest []byte, so bool) bool {
	if so {
		s.fields.splitQuoted(rest[:maxRecordBytes])
		s.record.fault = RecordTooLong
		s.skip = skipper{on: true}
		s.skipTo(s.pos + maxRecordBytes)
	}
	return so
}

// nextQuote looks no byte over twice between two fills.
func (s *scanner) nextQuote() int {
	if s.quote < s.pos {
		s.quote = s.end
		if i := bytes.IndexByte(s.buf[s.pos:s.end], '"'); i >= 0 {
			s.quote = s.pos + i
		}
	}
	return s.quote
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
	s.pos, s.quote = 0, -1
	if s.end == len(s.buf) {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for s.end < len(s.buf) && s.err == nil {
		n, err := s.src.Read(s.buf[s.end:])
		s.end += n
		s.err, s.eof = err, err == io.EOF
	}
	return nil
}

// trimCR removes the carriage return of a line end.
func trimCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// isBlankLine reports whether line holds blanks alone, a delimiter being none.
func isBlankLine(line []byte, delimiter byte) bool {
	for _, c := range line {
		if !isBlank(c) || c == delimiter {
			return false
		}
	}
	return true
}
