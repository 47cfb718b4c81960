package transaction

import (
	"errors"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// kind is what a value is.
type kind byte

const (
	absent kind = iota // or null
	text
	number
	boolean
	composite // an object or array
)

// invalid stands for half of a surrogate pair: in no UTF-8, so that whoever reads it refuses it. U+FFFD in its place would
// make one account of two.
const invalid = 0xff

// scalar reads a value that is no object and no array and appends it to dst, up to limit bytes: a text decoded, anything
// else as it is written, and nothing for null.
func (s *scanner) scalar(dst []byte, limit int) ([]byte, kind, error) {
	c, err := s.within()
	if err != nil {
		return dst, absent, err
	}
	switch c {
	case '"':
		s.one()
		dst, err = s.text(dst, limit)
		return dst, text, err
	case 't':
		return appendMost(dst, []byte("true"), limit), boolean, s.literal("true")
	case 'f':
		return appendMost(dst, []byte("false"), limit), boolean, s.literal("false")
	case 'n':
		return dst, absent, s.literal("null")
	}
	dst, err = s.number(dst, limit)
	return dst, number, err
}

// number appends a number as it is written. Of one that is longer than limit the form is not checked to its end.
func (s *scanner) number(dst []byte, limit int) ([]byte, error) {
	var form numberForm
	for {
		b, err := s.window()
		if err != nil && !errors.Is(err, io.EOF) {
			return dst, err
		}
		i := 0
		for i < len(b) && form.step(b[i]) {
			i++
		}
		dst = appendMost(dst, b[:i], limit)
		s.take(b[:i])
		if i == len(b) && err == nil {
			continue
		}
		if !form.whole() {
			if i == len(b) {
				return dst, s.errorf("the JSON ends too early")
			}
			return dst, s.errorf("%q where a value should be", b[i])
		}
		return dst, nil
	}
}

// numberForm is how far into a number of JSON's grammar a byte is.
type numberForm byte

const (
	begin numberForm = iota
	minus
	zero
	integer
	point
	fraction
	exponent
	exponentSign
	exponentDigits
)

// step moves over c, or tells that the number has ended before it.
func (f *numberForm) step(c byte) bool {
	digit := c >= '0' && c <= '9'
	switch {
	case *f == begin && c == '-':
		*f = minus
	case (*f == begin || *f == minus) && c == '0':
		*f = zero
	case (*f == begin || *f == minus || *f == integer) && digit:
		*f = integer
	case (*f == zero || *f == integer) && c == '.':
		*f = point
	case (*f == point || *f == fraction) && digit:
		*f = fraction
	case (*f == zero || *f == integer || *f == fraction) && (c == 'e' || c == 'E'):
		*f = exponent
	case *f == exponent && (c == '+' || c == '-'):
		*f = exponentSign
	case *f >= exponent && digit:
		*f = exponentDigits
	default:
		return false
	}
	return true
}

func (f numberForm) whole() bool {
	return f == zero || f == integer || f == fraction || f == exponentDigits
}

// text decodes a string whose opening quote has been read. Bytes that are no UTF-8 stay as they are.
func (s *scanner) text(dst []byte, limit int) ([]byte, error) {
	for {
		b, err := s.window()
		if errors.Is(err, io.EOF) {
			err = s.errorf("a text without its closing quote")
		}
		if err != nil {
			return dst, err
		}
		i := 0
		for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= ' ' {
			i++
		}
		dst = appendMost(dst, b[:i], limit)
		if i == len(b) {
			s.take(b)
			continue
		}
		c := b[i]
		s.take(b[:i])
		switch c {
		case '"':
			s.one()
			return dst, nil
		case '\\':
			if dst, err = s.escape(dst, limit); err != nil {
				return dst, err
			}
		default:
			return dst, s.errorf("a control character in a text")
		}
	}
}

// escapes are the bytes behind a backslash, and what they stand for.
const escapes, escaped = `"\/bfnrt`, "\"\\/\b\f\n\r\t"

// escape decodes what begins with a backslash.
func (s *scanner) escape(dst []byte, limit int) ([]byte, error) {
	b, err := s.r.Peek(2)
	if errors.Is(err, io.EOF) {
		err = s.errorf("a text without its closing quote")
	}
	if err != nil {
		return dst, err
	}
	if i := strings.IndexByte(escapes, b[1]); i >= 0 {
		s.take(b)
		return appendMost(dst, []byte{escaped[i]}, limit), nil
	}
	if b[1] != 'u' {
		return dst, s.errorf(`\%q is no escape`, b[1])
	}
	unit, err := s.unit()
	if err != nil {
		return dst, err
	}
	if !utf16.IsSurrogate(unit) {
		return appendMost(dst, utf8.AppendRune(nil, unit), limit), nil
	}
	if next, err := s.r.Peek(2); err == nil && next[0] == '\\' && next[1] == 'u' && unit < 0xdc00 {
		low, err := s.unit()
		if err != nil {
			return dst, err
		}
		if r := utf16.DecodeRune(unit, low); r != utf8.RuneError {
			return appendMost(dst, utf8.AppendRune(nil, r), limit), nil
		}
	}
	return appendMost(dst, []byte{invalid}, limit), nil
}

// unit reads \uXXXX.
func (s *scanner) unit() (rune, error) {
	b, err := s.r.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	var unit rune
	for _, c := range b[min(2, len(b)):] {
		d := strings.IndexByte("0123456789abcdef", c|0x20) // no digit of theirs lacks that bit
		if d < 0 || c < '0' {
			return 0, s.errorf(`\u needs four hexadecimal digits`)
		}
		unit = unit<<4 | rune(d)
	}
	if len(b) < 6 {
		return 0, s.errorf(`\u needs four hexadecimal digits`)
	}
	s.take(b)
	return unit, nil
}
