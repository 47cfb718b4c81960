package transaction

import (
	"errors"
	"io"
)

// maxKey is where a member's name is cut.
const maxKey = 256

// Body is a JSON object that is all of a stream, read member by member in the order in which they come.
type Body struct {
	s     *scanner
	begun bool
}

// NewBody reads r from its beginning.
func NewBody(r io.Reader) *Body { return &Body{s: newScanner(r)} }

// Next moves to the next member and returns its name. Its value must be read before the next call. At the end of the
// object, and of the stream, it returns io.EOF.
func (b *Body) Next() (string, error) {
	move := func() (bool, error) { return b.s.opens('{', '}') }
	if b.begun {
		move = func() (bool, error) { return b.s.follows('}') }
	}
	b.begun = true
	more, err := move()
	if err == nil && !more {
		if err = b.s.ended(); err == nil {
			err = io.EOF
		}
	}
	if err != nil {
		return "", err
	}
	key, err := b.s.key(nil, maxKey)
	return string(key), err
}

// Skip moves over the member's value.
func (b *Body) Skip() error { return b.s.skip(0) }

// ErrTooLong is returned by Text for a value that is longer than it may be.
var ErrTooLong = errors.New("value too long")

// Text returns the member's value as it is written, of most bytes.
func (b *Body) Text(most int) ([]byte, error) {
	if _, err := b.s.within(); err != nil {
		return nil, err
	}
	b.s.kept, b.s.keep = []byte{}, most+1
	err := b.s.skip(0)
	kept := b.s.kept
	b.s.kept = nil
	if err == nil && len(kept) > most {
		err = ErrTooLong
	}
	return kept, err
}

// Rows returns the member's value, an array of transactions, which must be read to its end. It takes most of them; 0: any
// number.
func (b *Body) Rows(most int64) *Rows {
	rows := &Rows{s: b.s, most: most}
	rows.more = rows.nextElement
	return rows
}
