package parser

import "encoding/binary"

// What nearly every file holds nearly everywhere has a shorter way here. Each
// of these takes only what the long way takes too, to the same value, and says
// when it does not.

// plainAmounts is an amountForm with two decimals and nothing round its digits
// but a sign, so that cents may be asked first.
func (f *amountForm) plainAmounts() bool {
	return *f == amountForm{decimal: f.decimal, thousands: f.thousands, exponent: 2}
}

// cents reads an optional minus, one to five digits, the decimal separator and
// two digits. It looks at eight bytes at once, which b must have room for.
func cents(b []byte, decimal byte) (minor int64, ok bool) {
	const width = 8
	if len(b) == 0 || cap(b) < 1+width {
		return 0, false
	}
	negative := 0
	if b[0] == '-' {
		negative = 1
	}
	n := len(b) - negative
	if n < len("0.00") || n > width {
		return 0, false
	}
	// The last byte at the top, what is behind it shifted out.
	unused := uint(width-n) * 8
	x := binary.LittleEndian.Uint64(b[negative:][:width]) << (unused & 63)
	const (
		point    = 40 // the bit at which the separator is now
		fraction = 0xffff << (point + 8)
	)
	if byte(x>>point) != decimal {
		return 0, false
	}
	// The whole part moves up over the separator; zeros fill what is free.
	free := uint64(1)<<((unused+8)&63) - 1
	x = x&fraction | x<<8&^(fraction|free) | '0'*everyByte&free
	digits := x - '0'*everyByte
	if (x+(0x7f-'9')*everyByte|digits)&highBits != 0 {
		return 0, false
	}
	// Neighbours are put together: two digits, four, eight.
	digits = digits*10 + digits>>8
	const pairs = 0xff | 0xff<<32
	value := int64((digits&pairs*(100+1_000_000<<32) + digits>>16&pairs*(1+10_000<<32)) >> 32)
	sign := -int64(negative)
	return (value ^ sign) - sign, true // a branch would be mistaken in half of the rows
}

// months are those in which ISO dates were seen.
type months [64]month

type month struct {
	text   uint64 // "YYYY-MM-"
	before int32  // number of the day before its first
	days   int32
}

// day reads YYYY-MM-DD.
func (m *months) day(b []byte) (day int32, ok bool) {
	if len(b) != len(isoDate) {
		return 0, false
	}
	text := binary.LittleEndian.Uint64(b)
	e := m.place(text)
	if e.text != text && !m.learn(b) {
		return 0, false
	}
	tens, ones := uint32(b[8]-'0'), uint32(b[9]-'0')
	n := int32(tens*10 + ones)
	if tens > 9 || ones > 9 || n < 1 || n > e.days {
		return 0, false
	}
	return e.before + n, true
}

// place is where the month of a text is kept.
func (m *months) place(text uint64) *month {
	const mix = 0x9e3779b97f4a7c15 // 2^64 / golden ratio
	return &m[text*mix>>(64-6)]
}

// learn keeps the month of b, if there is one.
func (m *months) learn(b []byte) bool {
	var year, number int
	for i, c := range b[:len("YYYY-MM-")] {
		switch {
		case i == 4 || i == 7:
			if c != '-' {
				return false
			}
		case !isDigit(c):
			return false
		case i < 4:
			year = year*10 + int(c-'0')
		default:
			number = number*10 + int(c-'0')
		}
	}
	first, ok := dayNumber(year, number, 1)
	if !ok {
		return false
	}
	text := binary.LittleEndian.Uint64(b)
	*m.place(text) = month{text: text, before: first - 1, days: int32(daysIn(year, number))}
	return true
}
