package parser

import "unicode/utf8"

// isBlank reports whether c is an ASCII blank: a space, or TAB to CR.
func isBlank(c byte) bool { return c == ' ' || c-'\t' <= '\r'-'\t' }

// trim removes the blanks around b.
func trim(b []byte) []byte {
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
