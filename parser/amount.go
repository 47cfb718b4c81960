package parser

import "math"

// amountForm is how a file writes its amounts.
type amountForm struct {
	decimal   byte // '.' or ','
	thousands byte // 0 = none
	exponent  int  // decimals of the minor unit
	unsigned  bool // the sign comes from another column, so one here is wrong

	marked   bool // there may be more around the digits than a leading sign: not for parse but for read
	style    signStyle
	currency string // in every amount; "" = in none
}

// parse reads [+-]?digits[.digits] exactly, in minor units. With a thousands
// separator the whole part may be grouped by three, throughout or not at all.
// The form is judged before the size, so 1e30 is a bad amount. negative books
// what has no sign of its own as a debit.
func (f amountForm) parse(b []byte, negative bool) (minor int64, fault Reason) {
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') && !f.unsigned {
		negative = b[0] == '-'
		b = b[1:]
	}
	var m magnitude
	i, ok := f.whole(b, &m)
	if !ok {
		return 0, BadAmount
	}
	decimals := 0
	if i < len(b) {
		if b[i] != f.decimal || i+1 == len(b) {
			return 0, BadAmount
		}
		for _, c := range b[i+1:] {
			switch {
			case c < '0' || c > '9' || decimals >= f.exponent && c != '0':
				return 0, BadAmount
			case decimals < f.exponent:
				m.push(c)
				decimals++
			}
		}
	}
	for ; decimals < f.exponent; decimals++ {
		m.push('0')
	}
	return m.signed(negative)
}

// whole reads the digits before the decimal separator and returns where they
// end.
func (f amountForm) whole(b []byte, m *magnitude) (end int, ok bool) {
	const group = 3
	grouped, digits := false, 0 // digits since the last separator
	for ; end < len(b); end++ {
		c := b[end]
		switch {
		case c >= '0' && c <= '9':
			m.push(c)
			digits++
		case c == f.thousands && c != 0:
			if digits == 0 || digits > group || grouped && digits != group {
				return 0, false
			}
			grouped, digits = true, 0
		default:
			return end, digits > 0 && (!grouped || digits == group)
		}
	}
	return end, digits > 0 && (!grouped || digits == group)
}

// magnitude grows by decimal digits up to 2^63, the size of the least int64.
type magnitude struct {
	value uint64
	over  bool
}

func (m *magnitude) push(digit byte) {
	const limit = 1 << 63
	d := uint64(digit - '0')
	if m.value > (limit-d)/10 {
		m.over = true
		return
	}
	m.value = m.value*10 + d
}

func (m *magnitude) signed(negative bool) (int64, Reason) {
	switch {
	case m.over || !negative && m.value > math.MaxInt64:
		return 0, OutOfRange
	case negative:
		return -int64(m.value), "" // 2^63 wraps to itself, which is right
	}
	return int64(m.value), ""
}
