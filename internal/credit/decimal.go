package credit

import (
	"bytes"
	"strconv"
)

const (
	decimals  = 6                 // of a number, at most
	maxWhole  = 1_000_000_000_000 // the greatest number; ours: its millionths fit int64
	maxNumber = maxWhole * PPM    // the same in millionths
)

// parseDecimal reads a JSON number as millionths, exactly. It refuses an
// exponent, more than six decimals and more than maxWhole.
func parseDecimal(text []byte) (millionths int64, ok bool) {
	digits, negative := bytes.CutPrefix(text, []byte("-"))
	whole, fraction, point := bytes.Cut(digits, []byte("."))
	if len(whole) == 0 || len(whole) > 13 || len(fraction) > decimals || point && len(fraction) == 0 {
		return 0, false
	}
	var n uint64 // below 10^19
	for _, part := range [][]byte{whole, fraction, []byte("000000")[len(fraction):]} {
		for _, d := range part {
			if d < '0' || d > '9' {
				return 0, false
			}
			n = 10*n + uint64(d-'0')
		}
	}
	if n > maxNumber {
		return 0, false
	}
	if negative {
		return -int64(n), true
	}
	return int64(n), true
}

// appendDecimal appends millionths in the shortest form: 0.7, 12, -3.25.
func appendDecimal(dst []byte, millionths int64) []byte {
	if millionths < 0 {
		dst, millionths = append(dst, '-'), -millionths
	}
	dst = strconv.AppendInt(dst, millionths/PPM, 10)
	if millionths%PPM == 0 {
		return dst
	}
	fraction := strconv.AppendInt(nil, PPM+millionths%PPM, 10)
	fraction[0] = '.'
	return append(dst, bytes.TrimRight(fraction, "0")...)
}
