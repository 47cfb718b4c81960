package parser_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"sluice/parser"
)

// medley makes a file of everything at once: rows of all lengths, quotes where
// none may be, rows past the limits.
func medley(rng *rand.Rand, bytes int) []byte {
	var b strings.Builder
	b.WriteString(forms[0].header)
	for b.Len() < bytes {
		switch rng.IntN(2000) {
		case 0:
			b.WriteString("a\"b,2024-01-01,1.00,\n")
		case 1:
			fmt.Fprintf(&b, "\"%s\",2024-01-01,1.00,\n", strings.Repeat("x,\"\"\n", rng.IntN(60_000)))
		case 2:
			fmt.Fprintf(&b, "a,2024-01-01,1.00%s\n", strings.Repeat(",", rng.IntN(20_000)))
		case 3:
			if rng.IntN(10) == 0 {
				b.WriteString(strings.Repeat([]string{"x", "\"\",", "\"a\n\"\"\"\n", "a,"}[rng.IntN(4)], 1<<19+rng.IntN(1<<20)) + "\n")
			}
		case 4:
			b.WriteString("a,2024-13-01,1.00,\n,,,\n\n \r\n")
		case 5:
			b.WriteString("\"a\"\"b\r\n\",\"2024-01-01\",\"1.00\",\"no\"\r\n")
		default:
			fmt.Fprintf(&b, "ACC%07d,2024-%02d-%02d,%d.%02d,\n", rng.IntN(1e6), 1+rng.IntN(12), 1+rng.IntN(28), rng.IntN(2e5)-1e5, rng.IntN(100))
		}
	}
	if rng.IntN(4) == 0 {
		b.WriteString("\"open,\n")
	}
	return []byte(b.String())
}

// TestEach holds Each against Read, in files of many blocks.
func TestEach(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range 4 {
		text := medley(rng, 2<<20)
		want, end := readAll(t, &forms[0], text, 0, 0, 255)
		for _, block := range []int{5_000, 64 << 10, 0} {
			workers := 2 + rng.IntN(3)
			got, err := readAll(t, &forms[0], text, block, workers, uint8(4*rng.IntN(64)))
			if fmt.Sprint(err) != fmt.Sprint(end) {
				t.Errorf("round %d, %d workers, blocks of %d: %v, want %v", round, workers, block, err, end)
			}
			for i := range min(len(got), len(want)) {
				if !reflect.DeepEqual(got[i], want[i]) {
					t.Fatalf("round %d, %d workers, blocks of %d: row %d\n got %.300v\nwant %.300v", round, workers, block, i, fmt.Sprint(got[i]), fmt.Sprint(want[i]))
				}
			}
			if len(got) != len(want) {
				t.Errorf("round %d, %d workers, blocks of %d: %d rows, want %d", round, workers, block, len(got), len(want))
			}
		}
	}
}

// TestEachStops ends in the middle: the error is the first of the file, and
// the counts are those up to it.
func TestEachStops(t *testing.T) {
	t.Parallel()
	torn := errors.New("torn")
	rows := strings.Repeat("a,2024-01-01,1,\n", 50_000)
	text := header + rows + ",,,\n" + rows + ",,,\n" + rows
	for workers := 1; workers < 5; workers++ {
		for name, test := range map[string]struct {
			config string
			reject error // of OnReject, at the second
			sink   int64 // row that sink refuses
			want   parser.Stats
		}{
			"policy": {config: `{"on_error":{"max_rows":1}}`, want: parser.Stats{Accepted: 100_000, Rejected: 2}},
			"reject": {reject: torn, want: parser.Stats{Accepted: 100_000, Rejected: 2}},
			"sink":   {sink: 75_000},
		} {
			r, err := parser.NewReader(strings.NewReader(text), config(t, test.config))
			if err != nil {
				t.Fatal(err)
			}
			rejects := 0
			r.OnReject = func(*parser.Reject) error {
				if rejects++; rejects == 2 {
					return test.reject
				}
				return nil
			}
			err = r.Each(workers, func(_ int, batch []parser.Record) error {
				if test.sink > 0 && batch[len(batch)-1].Line > test.sink {
					return torn
				}
				return nil
			})
			if test.config == "" && !errors.Is(err, torn) || test.config != "" && code(err) != parser.TooManyRejects {
				t.Errorf("%s, %d workers: %v", name, workers, err)
			}
			if again := r.Each(workers, nil); again != err { //nolint:errorlint // the same one
				t.Errorf("%s, %d workers: %v, and again %v", name, workers, err, again)
			}
			s := r.Stats()
			if test.sink == 0 && (s.Accepted != test.want.Accepted || s.Rejected != test.want.Rejected) ||
				test.sink > 0 && (s.Accepted < 50_000 || s.Accepted > 80_000 || s.Rejected != 1) {
				t.Errorf("%s, %d workers: %+v", name, workers, s)
			}
		}
	}
}

// TestEnds takes no error for the end of the file that only wraps it.
func TestEnds(t *testing.T) {
	t.Parallel()
	cut := fmt.Errorf("cut off: %w", io.EOF)
	for workers := 1; workers < 3; workers++ {
		for name, test := range map[string]struct{ source, reject, sink error }{
			"source": {source: cut}, "reject": {reject: io.EOF}, "sink": {sink: io.EOF},
		} {
			src := io.Reader(strings.NewReader(header + "a,2024-01-01,1,\n,,,\n"))
			if test.source != nil {
				src = io.MultiReader(src, strings.NewReader(strings.Repeat("a,2024-01-01,1,\n", 100_000)), iotest.ErrReader(test.source))
			}
			open := func() *parser.Reader {
				r, err := parser.NewReader(src, config(t, ""))
				if err != nil {
					t.Fatal(err)
				}
				r.OnReject = func(*parser.Reject) error { return test.reject }
				return r
			}
			err := open().Each(workers, func(int, []parser.Record) error { return test.sink })
			if err == nil || !errors.Is(err, io.EOF) {
				t.Errorf("%s, %d workers: %v", name, workers, err)
			}
		}
	}
	r, err := parser.NewReader(io.MultiReader(strings.NewReader(header+strings.Repeat("a,2024-01-01,1,\n", 100_000)), iotest.ErrReader(cut)), config(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, last := range r.All() {
		err = last
	}
	if !errors.Is(err, cut) {
		t.Errorf("all: %v", err)
	}
}

func BenchmarkEach(b *testing.B) {
	text := transactions(200_000)
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := parser.NewReader(strings.NewReader(string(text)), config(b, ""))
				if err != nil {
					b.Fatal(err)
				}
				if err := r.Each(workers, func(int, []parser.Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
