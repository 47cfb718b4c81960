package credit

import (
	"encoding/binary"
	"math/big"
	"math/bits"

	"sluice/internal/money"
)

// nat is an exact natural number of any size. Below 2^128 it is hi and lo and
// no operation allocates; from there on it is big, which no operation changes.
// Ordinary sums never leave the 128 bits, so the model's formulas are written
// once, stay exact for absurd ones, and cost what plain integers cost.
type nat struct {
	hi, lo uint64
	big    *big.Int
}

// natOf returns v, which is not negative.
func natOf(v int64) nat { return nat{lo: uint64(v)} }

// magnitude returns |v|.
func magnitude(v money.Int) nat {
	if v.Sign() < 0 {
		v = v.Neg() // the least Int stays itself: as unsigned bytes, its magnitude
	}
	b := v.Bytes()
	return nat{hi: binary.BigEndian.Uint64(b[:8]), lo: binary.BigEndian.Uint64(b[8:])}
}

func (a nat) isZero() bool { return a == nat{} }

func (a nat) add(b nat) nat {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, carry := bits.Add64(a.hi, b.hi, carry)
	if carry != 0 || a.big != nil || b.big != nil {
		return natural(new(big.Int).Add(a.integer(), b.integer()))
	}
	return nat{hi: hi, lo: lo}
}

// sub returns a - b, where b is not greater than a.
func (a nat) sub(b nat) nat {
	if a.big != nil {
		return natural(new(big.Int).Sub(a.big, b.integer()))
	}
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return nat{hi: hi, lo: lo}
}

func (a nat) mul(b nat) nat {
	if a.hi > b.hi {
		a, b = b, a
	}
	over, cross := bits.Mul64(a.lo, b.hi)
	hi, lo := bits.Mul64(a.lo, b.lo)
	hi, carry := bits.Add64(hi, cross, 0)
	if a.hi != 0 || over != 0 || carry != 0 || a.big != nil || b.big != nil {
		return natural(new(big.Int).Mul(a.integer(), b.integer()))
	}
	return nat{hi: hi, lo: lo}
}

// quo returns a / b rounded down, where b is not 0.
func (a nat) quo(b nat) nat {
	switch {
	case a.big != nil || b.big != nil:
		return natural(new(big.Int).Quo(a.integer(), b.integer()))
	case a.hi == 0 && b.hi == 0:
		return nat{lo: a.lo / b.lo}
	case b.hi == 0:
		lo, _ := bits.Div64(a.hi%b.lo, a.lo, b.lo)
		return nat{hi: a.hi / b.lo, lo: lo}
	default:
		return a.quoLong(b)
	}
}

// quoLong divides by a b of more than 64 bits: the quotient, of less than 64,
// is guessed from the leading 64 bits of b and is then at most one too small
// (Hacker's Delight, 9-5, "udivdi3").
func (a nat) quoLong(b nat) nat {
	shift := uint(bits.LeadingZeros64(b.hi))
	top := b.hi<<shift | b.lo>>(64-shift)
	guess, _ := bits.Div64(a.hi>>1, a.hi<<63|a.lo>>1, top)
	guess >>= 63 - shift
	if guess > 0 {
		guess--
	}
	q := nat{lo: guess}
	if a.sub(q.mul(b)).less(b) {
		return q
	}
	return nat{lo: guess + 1}
}

func (a nat) less(b nat) bool {
	switch {
	case a.big != nil || b.big != nil:
		return a.integer().Cmp(b.integer()) < 0
	case a.hi != b.hi:
		return a.hi < b.hi
	default:
		return a.lo < b.lo
	}
}

// int64 returns a number that the caller knows to be below 2^63.
func (a nat) int64() int64 { return int64(a.lo) }

// integer returns a as a big.Int, which must not be changed.
func (a nat) integer() *big.Int {
	if a.big != nil {
		return a.big
	}
	v := new(big.Int).SetUint64(a.hi)
	return v.Lsh(v, 64).Or(v, new(big.Int).SetUint64(a.lo))
}

// natural returns v, which it keeps, in the one form its size has.
func natural(v *big.Int) nat {
	if v.BitLen() > 128 {
		return nat{big: v}
	}
	var b [16]byte
	v.FillBytes(b[:])
	return nat{hi: binary.BigEndian.Uint64(b[:8]), lo: binary.BigEndian.Uint64(b[8:])}
}

// halfUp returns a / b rounded to the nearest, ties up, where b is not 0.
func halfUp(a, b nat) nat { return a.add(a).add(b).quo(b.add(b)) }

// isqrt returns the floor of the square root of v by Newton's iteration, which
// falls to it from any start above it.
func isqrt(v uint64) int64 {
	if v == 0 {
		return 0
	}
	for x := uint64(1) << ((bits.Len64(v) + 1) / 2); ; {
		y := (x + v/x) / 2
		if y >= x {
			return int64(x)
		}
		x = y
	}
}
