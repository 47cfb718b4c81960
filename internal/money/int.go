// Package money holds exact amounts of minor units (cents, say) in 128 bits.
//
// It knows addition, order and decimal text, and nothing of currencies,
// accounts or files. Sums of 64-bit amounts cannot overflow an Int before 2^63
// of them were added, so a sum of a file's rows is exact whatever the file.
package money

import (
	"encoding/binary"
	"math/big"
	"math/bits"
	"strconv"
)

// Int is a signed 128-bit integer in two's complement. The zero value is 0.
// It is a plain value: comparable with ==, safe to copy, and for use by one
// goroutine at a time where it is being changed.
type Int struct {
	hi int64
	lo uint64
}

// FromInt64 returns v as an Int.
func FromInt64(v int64) Int { return Int{hi: v >> 63, lo: uint64(v)} }

// FromBig returns v as an Int; ok is false when v does not fit 128 bits.
func FromBig(v *big.Int) (i Int, ok bool) {
	if v.BitLen() > 127 {
		return Int{}, false
	}
	var b [16]byte
	new(big.Int).Abs(v).FillBytes(b[:])
	i = FromBytes(b)
	if v.Sign() < 0 {
		i = i.Neg()
	}
	return i, true
}

// FromBytes reads the 16 bytes that Bytes writes.
func FromBytes(b [16]byte) Int {
	return Int{hi: int64(binary.BigEndian.Uint64(b[:8])), lo: binary.BigEndian.Uint64(b[8:])}
}

// Bytes returns i as 16 bytes of big-endian two's complement, the form in
// which Parquet stores a DECIMAL in a FIXED_LEN_BYTE_ARRAY(16).
func (i Int) Bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], uint64(i.hi))
	binary.BigEndian.PutUint64(b[8:], i.lo)
	return b
}

// Big returns i as a new big.Int.
func (i Int) Big() *big.Int {
	m := i.magnitude()
	v := new(big.Int).SetUint64(uint64(m.hi))
	v.Lsh(v, 64).Or(v, new(big.Int).SetUint64(m.lo))
	if i.Sign() < 0 {
		v.Neg(v)
	}
	return v
}

// Int64 returns i as an int64; ok is false when it does not fit.
func (i Int) Int64() (v int64, ok bool) { return int64(i.lo), i == FromInt64(int64(i.lo)) }

// Add returns i + j, which wraps beyond 128 bits.
func (i Int) Add(j Int) Int {
	lo, carry := bits.Add64(i.lo, j.lo, 0)
	hi, _ := bits.Add64(uint64(i.hi), uint64(j.hi), carry)
	return Int{hi: int64(hi), lo: lo}
}

// AddInt64 returns i + v, which wraps beyond 128 bits.
func (i Int) AddInt64(v int64) Int { return i.Add(FromInt64(v)) }

// Sub returns i - j, which wraps beyond 128 bits.
func (i Int) Sub(j Int) Int { return i.Add(j.Neg()) }

// Neg returns -i; of the least Int, which has no opposite, it returns itself.
func (i Int) Neg() Int {
	lo, borrow := bits.Sub64(0, i.lo, 0)
	hi, _ := bits.Sub64(0, uint64(i.hi), borrow)
	return Int{hi: int64(hi), lo: lo}
}

// Sign returns -1, 0 or 1.
func (i Int) Sign() int {
	switch {
	case i.hi < 0:
		return -1
	case i == Int{}:
		return 0
	default:
		return 1
	}
}

// Cmp returns -1, 0 or 1 as i is less than, equal to or greater than j.
func (i Int) Cmp(j Int) int {
	switch {
	case i == j:
		return 0
	case i.hi < j.hi, i.hi == j.hi && i.lo < j.lo:
		return -1
	default:
		return 1
	}
}

// magnitude returns |i|; its hi is to be read as unsigned.
func (i Int) magnitude() Int {
	if i.hi < 0 {
		return i.Neg()
	}
	return i
}

// String returns i in decimal digits, as an integer of minor units.
func (i Int) String() string { return string(i.AppendDecimal(nil, 0)) }

// chunk is the greatest power of ten in a uint64, and its number of zeros.
const (
	chunk       = 1e19
	chunkDigits = 19
)

// AppendDecimal appends i in major units, with exactly exponent decimals
// (0 to 18): 1250 at exponent 2 is 12.50. It allocates only to grow dst.
func (i Int) AppendDecimal(dst []byte, exponent int) []byte {
	if i.Sign() < 0 {
		dst = append(dst, '-')
	}
	var buf [40]byte // 2^127 has 39 digits
	digits := i.magnitude().appendDigits(buf[:0])
	for pad := exponent + 1 - len(digits); pad > 0; pad-- {
		dst = append(dst, '0')
		if pad == exponent+1-len(digits) && exponent > 0 {
			dst = append(dst, '.')
		}
	}
	for k, d := range digits {
		if k > 0 && len(digits)-k == exponent {
			dst = append(dst, '.')
		}
		dst = append(dst, d)
	}
	return dst
}

func (i Int) appendDigits(dst []byte) []byte {
	hi, lo := uint64(i.hi), i.lo
	if hi == 0 {
		return strconv.AppendUint(dst, lo, 10)
	}
	top, rest := bits.Div64(hi%chunk, lo, chunk)
	dst = Int{hi: int64(hi / chunk), lo: top}.appendDigits(dst)
	n := len(dst)
	dst = append(dst, "0000000000000000000"...)
	for k := n + chunkDigits - 1; rest > 0; k-- {
		dst[k] = byte('0' + rest%10)
		rest /= 10
	}
	return dst
}
