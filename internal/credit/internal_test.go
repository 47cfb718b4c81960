package credit

import (
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

// The two floors below the formulas are tested from inside: a wrong carry or
// month shows in few decisions.

// TestNatAgreesWithBig tries every operation on pairs from one bit to 300,
// many of them beside a power of two, where carries run through.
func TestNatAgreesWithBig(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	one := big.NewInt(1)
	random := func() *big.Int {
		v := new(big.Int).Lsh(one, uint(r.IntN(300)))
		switch r.IntN(3) {
		case 0:
			v.Sub(v, one)
		case 1:
			v.Add(v, big.NewInt(r.Int64N(1000)))
		default:
			for range 5 {
				v.Mul(v, big.NewInt(r.Int64())).Rsh(v, 63)
			}
		}
		return v
	}
	for range 100_000 {
		a, b := random(), random()
		if a.Cmp(b) < 0 {
			a, b = b, a
		}
		x, y := natural(a), natural(b)
		check := func(op string, got nat, want *big.Int) {
			if got.integer().Cmp(want) != 0 || (got.big != nil) != (want.BitLen() > 128) {
				t.Fatalf("%s %s %s = %s, big %v", a, op, b, got.integer(), got.big != nil)
			}
		}
		check("+", x.add(y), new(big.Int).Add(a, b))
		check("-", x.sub(y), new(big.Int).Sub(a, b))
		check("*", x.mul(y), new(big.Int).Mul(a, b))
		if b.Sign() > 0 {
			check("/", x.quo(y), new(big.Int).Quo(a, b))
		}
		if x.less(y) || y.less(x) != (a.Cmp(b) > 0) {
			t.Fatalf("order of %s and %s", a, b)
		}
	}
}

func TestIsqrt(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for i := range uint64(100_000) {
		for _, v := range []uint64{i, i * i, i*i - min(i, 1), r.Uint64() >> r.UintN(64)} {
			want := new(big.Int).Sqrt(new(big.Int).SetUint64(v))
			if got := isqrt(v); got != want.Int64() {
				t.Fatalf("isqrt(%d) = %d, want %s", v, got, want)
			}
		}
	}
}

// TestCalendar goes through every day of years -1 to 2401 and finds the month
// that package time finds.
func TestCalendar(t *testing.T) {
	t.Parallel()
	for date := time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC); date.Year() < 2402; date = date.AddDate(0, 0, 1) {
		day := date.Unix() / secondsPerDay
		month := 12*int64(date.Year()) + int64(date.Month()) - 1
		if got := monthOf(int32(day)); got != month {
			t.Fatalf("month of %s = %d, want %d", date, got, month)
		}
		if first := firstDay(month); first != day-int64(date.Day())+1 {
			t.Fatalf("first day of the month of %s = %d", date, first)
		}
	}
}
