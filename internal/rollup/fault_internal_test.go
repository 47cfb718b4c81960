package rollup

import (
	"errors"
	"os"
	"strconv"
	"testing"
)

// The others go on for a moment when one Adder cannot write to a file. They are told
// of it too, and so is who finishes: sums that were about to be written are half sorted.
func TestFileThatFails(t *testing.T) {
	t.Parallel()
	r := New(Config{MemoryBytes: 1, TempDir: t.TempDir()})
	n := 0
	add := func() (err error) {
		a := r.Adder()
		for range 20_000 {
			n++
			err = errors.Join(err, a.Add([]byte("ACC"+strconv.Itoa(n)), int32(n%700), 1, false))
		}
		return errors.Join(err, a.Flush())
	}
	if err := add(); err != nil {
		t.Fatal(err)
	}
	for i := range r.partitions {
		if file := r.partitions[i].file; file != nil {
			_ = file.f.Close()
		}
	}
	for range 2 {
		if err := add(); !errors.Is(err, os.ErrClosed) {
			t.Fatalf("add: %v", err)
		}
	}
	if err := r.Finish(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("finish: %v", err)
	}
}
