package parser

import (
	"encoding/binary"
	"unicode/utf8"
)

// isBlank reports whether c is an ASCII blank: a space, or TAB to CR.
func isBlank(c byte) bool { return c == ' ' || c-'\t' <= '\r'-'\t' }

// trim removes the blanks around b.
func trim(b []byte) []byte {
	if n := len(b); n > 0 && b[0] > ' ' && b[n-1] > ' ' {
		return b
	}
	return trimBlanks(b)
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// checkText reports what makes b no text: a NUL byte, else invalid UTF-8.
func checkText(b []byte) Reason {
	n := len(b)
	if n >= 8 && n <= 16 { // two words that overlap hold all of it
		x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
		// Less one, a zero byte alone gets a high bit, and the others keep
		// theirs; what a borrow does above a zero is of no matter.
		if (x|y|(x-everyByte)|(y-everyByte))&highBits == 0 {
			return ""
		}
	}
	ascii := true
	for _, c := range b {
		if c == 0 {
			return NULByte
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	if !ascii && !utf8.Valid(b) {
		return InvalidUTF8
	}
	return ""
}

// parseBool reads the words of is_revenue, in any case.
func parseBool(b []byte) (value, ok bool) {
	switch string(b) { // as most write it
	case "true":
		return true, true
	case "false":
		return false, true
	}
	const longest = len("false")
	var lower [longest]byte
	if len(b) > longest {
		return false, false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	switch string(lower[:len(b)]) {
	case "true", "t", "yes", "y", "1":
		return true, true
	case "false", "f", "no", "n", "0":
		return false, true
	}
	return false, false
}
