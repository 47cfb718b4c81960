package money_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"sluice/internal/money"
)

// edges are the values at which carries, signs and digit chunks change.
func edges() []*big.Int {
	one := big.NewInt(1)
	var all []*big.Int
	for _, bit := range []uint{0, 1, 31, 62, 63, 64, 65, 126, 127} {
		p := new(big.Int).Lsh(one, bit)
		all = append(all, p, new(big.Int).Sub(p, one), new(big.Int).Neg(p))
	}
	for _, zeros := range []int64{1, 2, 18, 19, 20, 37, 38} {
		p := new(big.Int).Exp(big.NewInt(10), big.NewInt(zeros), nil)
		all = append(all, p, new(big.Int).Sub(p, one), new(big.Int).Neg(p))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		v := new(big.Int).SetUint64(r.Uint64())
		v.Lsh(v, r.UintN(63)).Sub(v, new(big.Int).SetUint64(r.Uint64()))
		all = append(all, v)
	}
	return all
}

func fits(v *big.Int) bool { return v.BitLen() <= 127 }

func TestAgreesWithBig(t *testing.T) {
	t.Parallel()
	for _, a := range edges() {
		x, ok := money.FromBig(a)
		if ok != fits(a) {
			t.Fatalf("FromBig(%s) ok = %v", a, ok)
		}
		if !ok {
			continue
		}
		if x.Big().Cmp(a) != 0 || x.String() != a.String() || x.Sign() != a.Sign() {
			t.Fatalf("%s reads back as %s, text %s, sign %d", a, x.Big(), x, x.Sign())
		}
		if back := money.FromBytes(x.Bytes()); back != x {
			t.Fatalf("%s as bytes reads back as %s", a, back)
		}
		if v, ok := x.Int64(); ok != a.IsInt64() || ok && v != a.Int64() {
			t.Fatalf("Int64(%s) = %d, %v", a, v, ok)
		}
		for _, b := range edges() {
			checkPair(t, x, a, b)
		}
	}
}

func checkPair(t *testing.T, x money.Int, a, b *big.Int) {
	t.Helper()
	y, ok := money.FromBig(b)
	if !ok {
		return
	}
	if got := x.Cmp(y); got != a.Cmp(b) {
		t.Fatalf("Cmp(%s, %s) = %d", a, b, got)
	}
	if sum := new(big.Int).Add(a, b); fits(sum) && x.Add(y).Big().Cmp(sum) != 0 {
		t.Fatalf("%s + %s = %s", a, b, x.Add(y))
	}
	if diff := new(big.Int).Sub(a, b); fits(diff) && x.Sub(y).Big().Cmp(diff) != 0 {
		t.Fatalf("%s - %s = %s", a, b, x.Sub(y))
	}
}

func TestAppendDecimal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		minor    int64
		exponent int
		want     string
	}{
		{0, 0, "0"},
		{0, 2, "0.00"},
		{5, 2, "0.05"},
		{-5, 2, "-0.05"},
		{50, 2, "0.50"},
		{123, 2, "1.23"},
		{-123456, 2, "-1234.56"},
		{7, 3, "0.007"},
		{1234, 0, "1234"},
		{math.MinInt64, 2, "-92233720368547758.08"},
	} {
		if got := string(money.FromInt64(c.minor).AppendDecimal(nil, c.exponent)); got != c.want {
			t.Errorf("%d at exponent %d = %q, want %q", c.minor, c.exponent, got, c.want)
		}
	}
	sum := money.FromInt64(math.MaxInt64)
	for range 64 {
		sum = sum.Add(sum)
	}
	want := new(big.Int).Lsh(big.NewInt(math.MaxInt64), 64).String()
	if got := string(sum.AppendDecimal(nil, 2)); strings.ReplaceAll(got, ".", "") != want || got[len(got)-3] != '.' {
		t.Errorf("beyond 64 bits: %q, want the digits of %s with two decimals", got, want)
	}
}

func BenchmarkAddInt64(b *testing.B) {
	var sum money.Int
	for i := range b.N {
		sum = sum.AddInt64(int64(i) - 1000)
	}
	if sum.Sign() == 2 {
		b.Fatal("unreachable")
	}
}
