// Package transaction reads bank transactions written as JSON, as an array, a line each or a member of a request's body,
// and writes each as a row of CSV. It reads a stream once, in memory that does not grow with it, and passes numbers on as
// they are written: none goes through a float. What makes a transaction bad it leaves to who reads the rows.
//
// It does not know HTTP, jobs, nor what the columns mean.
package transaction

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

const (
	// maxDepth bounds values within values that are skipped.
	maxDepth = 100
	// maxField is where a text is cut: behind what the parser takes for one field, so that it refuses what was cut.
	maxField = 1<<20 + 1
	bufBytes = 64 << 10
)

// SyntaxError says where a text is not the JSON that it must be.
type SyntaxError struct {
	Offset int64  // bytes before the place
	Detail string // a clause
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.Detail, e.Offset) }

// scanner reads JSON (RFC 8259) byte by byte. An error of its source is returned as it is.
type scanner struct {
	r      *bufio.Reader
	offset int64 // bytes read
	// lines says that a line feed ends a value, as in NDJSON, and is no blank.
	lines bool
	// kept is what was read since it was made non-nil, up to keep bytes.
	kept []byte
	keep int
}

func newScanner(r io.Reader) *scanner { return &scanner{r: bufio.NewReaderSize(r, bufBytes)} }

func (s *scanner) errorf(format string, args ...any) error {
	return &SyntaxError{Offset: s.offset, Detail: fmt.Sprintf(format, args...)}
}

// window returns what is in the buffer, at least one byte; io.EOF where there is no more.
func (s *scanner) window() ([]byte, error) {
	if _, err := s.r.Peek(1); err != nil {
		return nil, err
	}
	return s.r.Peek(s.r.Buffered())
}

// take moves over bytes of the window.
func (s *scanner) take(b []byte) {
	if s.kept != nil {
		s.kept = appendMost(s.kept, b, s.keep)
	}
	s.offset += int64(len(b))
	_, _ = s.r.Discard(len(b)) // they are in the buffer
}

// appendMost appends of b what there is room for below limit.
func appendMost(dst, b []byte, limit int) []byte {
	return append(dst, b[:max(0, min(len(b), limit-len(dst)))]...)
}

// blank moves over blanks and returns the byte behind them, which is still to be read.
func (s *scanner) blank() (byte, error) {
	for {
		b, err := s.window()
		if err != nil {
			return 0, err
		}
		i := 0
		for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' && !s.lines) {
			i++
		}
		if i < len(b) {
			next := b[i]
			s.take(b[:i])
			return next, nil
		}
		s.take(b)
	}
}

// within is blank where the text may not end yet.
func (s *scanner) within() (byte, error) {
	c, err := s.blank()
	if errors.Is(err, io.EOF) {
		err = s.errorf("the JSON ends too early")
	}
	return c, err
}

// one reads the byte that within has shown.
func (s *scanner) one() {
	b, _ := s.r.Peek(1)
	s.take(b)
}

// expect reads the byte c behind blanks.
func (s *scanner) expect(c byte) error {
	got, err := s.within()
	if err != nil {
		return err
	}
	if got != c {
		return s.errorf("%q where %q should be", got, c)
	}
	s.one()
	return nil
}

// follows reads a comma, or the end of an object or array, which it tells by false.
func (s *scanner) follows(end byte) (bool, error) {
	c, err := s.within()
	switch {
	case err != nil:
		return false, err
	case c == ',' || c == end:
		s.one()
		return c == ',', nil
	}
	return false, s.errorf("%q where a comma or %q should be", c, end)
}

// opens reads the opening byte of an object or array and tells whether it holds anything.
func (s *scanner) opens(open, end byte) (bool, error) {
	if err := s.expect(open); err != nil {
		return false, err
	}
	c, err := s.within()
	if err != nil || c != end {
		return err == nil, err
	}
	s.one()
	return false, nil
}

// literal reads true, false or null.
func (s *scanner) literal(word string) error {
	for i := range len(word) {
		b, err := s.r.Peek(1)
		if errors.Is(err, io.EOF) || err == nil && b[0] != word[i] {
			return s.errorf("no %s", word)
		}
		if err != nil {
			return err
		}
		s.take(b)
	}
	return nil
}

// skip moves over one value of any kind.
func (s *scanner) skip(depth int) error {
	c, err := s.within()
	if err != nil {
		return err
	}
	switch {
	case depth > maxDepth:
		return s.errorf("values nested more than %d deep", maxDepth)
	case c == '{':
		return s.skipObject(depth)
	case c == '[':
		return s.skipArray(depth)
	}
	_, _, err = s.scalar(nil, 0)
	return err
}

func (s *scanner) skipArray(depth int) error {
	more, err := s.opens('[', ']')
	for more && err == nil {
		if err = s.skip(depth + 1); err == nil {
			more, err = s.follows(']')
		}
	}
	return err
}

func (s *scanner) skipObject(depth int) error {
	more, err := s.opens('{', '}')
	for more && err == nil {
		if _, err = s.key(nil, 0); err != nil {
			return err
		}
		if err = s.skip(depth + 1); err == nil {
			more, err = s.follows('}')
		}
	}
	return err
}

// key reads a member's name and the colon behind it.
func (s *scanner) key(dst []byte, limit int) ([]byte, error) {
	if err := s.expect('"'); err != nil {
		return dst, err
	}
	dst, err := s.text(dst, limit)
	if err != nil {
		return dst, err
	}
	return dst, s.expect(':')
}
