package blob_test

import (
	"math/rand/v2"
	"testing"

	"sluice/internal/blob"
)

func TestCRC64(t *testing.T) {
	t.Parallel()
	const check = 0xae8b14860a799888 // CRC-64/NVME of this text, from the catalogue of parametrised CRC algorithms
	if got := blob.CRC64([]byte("123456789")); got != check {
		t.Errorf("CRC64 is %x, want %x", got, uint64(check))
	}
	if got := blob.CRC64(nil); got != 0 {
		t.Errorf("CRC64 of no bytes is %x, want 0", got)
	}
	h := blob.NewCRC64()
	_, _ = h.Write([]byte("1234"))
	_, _ = h.Write([]byte("56789"))
	if h.Sum64() != check {
		t.Errorf("running CRC64 is %x, want %x", h.Sum64(), uint64(check))
	}
	if got := blob.UpdateCRC64(blob.CRC64([]byte("1234")), []byte("56789")); got != check {
		t.Errorf("UpdateCRC64 is %x, want %x", got, uint64(check))
	}
}

func TestCombine(t *testing.T) {
	t.Parallel()
	whole := random(1 << 20)
	want := blob.CRC64(whole)
	for _, at := range append([]int{0, 1, len(whole) - 1, len(whole)}, rand.Perm(len(whole))[:200]...) {
		a, b := whole[:at], whole[at:]
		if got := blob.Combine(blob.CRC64(a), blob.CRC64(b), int64(len(b))); got != want {
			t.Fatalf("cut at %d: %x, want %x", at, got, want)
		}
	}
}

func BenchmarkCRC64(b *testing.B) {
	p := random(8 << 20)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		blob.CRC64(p)
	}
}

func BenchmarkCombine(b *testing.B) {
	for b.Loop() {
		blob.Combine(1, 2, 8<<20)
	}
}
