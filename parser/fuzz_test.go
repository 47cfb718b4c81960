package parser_test

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"sluice/parser"
)

// maxFuzzed bounds the bytes of a file that is made up: several strips of an index.
// Longer ones would cost many times more and tell nothing more.
const maxFuzzed = 16 << 10

// FuzzRead holds the Reader against the reference reader, on any bytes, at any
// block size, batch size, number of goroutines and manner of the source, with
// every kernel. Each execution takes one of each, which the input chooses.
func FuzzRead(f *testing.F) {
	for _, body := range []string{
		"", "\n", "\r\n \n", "a,2024-02-29,1.50,\nb,2024-01-01T10:00:00Z,-3,no\n",
		"a,2024-01-01,1,\r\n\"b\"\"c\",\"2024-01-01\",\"2\",\"y\"\r\n\"d\ne\",2024-01-01,3.10,", "a,2024-01-01,1,\"\r",
		"a\"b,2024-01-01,1,\nc,2024-01-01,1,\n", "\"a\"b,\"x\n", "\"a\r\n\",2023-02-29,1,1", "a,2024-01-01,92233720368547758.08,",
		"a,2024-01-01,-92233720368547758.08,\na,2024-01-01,1.500,\na,2024-01-01,1.505,\nx,2024-01-01,1,maybe",
		"\x00,2024-01-01,1,\n\xff,2024-01-01,1,\n\xef\xbb\xbf", "a,,\n,,,,\n", "a,2024-01-01 24:00,1,\na,2024-01-01 23:59:60.5 +02:00,1,\n",
		"1.234,50;x;1.2.2024;;a\n;;01.02.2024 10:00;5;a\n0,00;;1.1.2024;7,1;\"b\"\n1;;1.1.2024;1;b\n", ";;31.12.1969;12.34;a\n",
		"C\t5.00\t240229\tx\nD\t92233720368547758.08\t690101\tx\nX\t1\t700101\ty\r\nCR\t+1\t700101\ty",
	} {
		for i := range forms {
			f.Add([]byte(body), uint8(i), uint16(0), uint8(0))     // Read, blocks of 1 byte
			f.Add([]byte(body), uint8(i), uint16(33), uint8(13))   // Each by 3, of 7
			f.Add([]byte(body), uint8(i), uint16(257), uint8(254)) // Each by 2, of 52
			f.Add([]byte(body), uint8(i), uint16(500), uint8(255)) // Read, of 101
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, which uint8, block uint16, manner uint8) {
		if len(body) > maxFuzzed {
			return
		}
		form := &forms[int(which)%len(forms)]
		text := append([]byte(form.header), body...)
		workers, size := int(block)%5, 1+int(block)/5%(len(text)+1)
		want, open := reference(form, text)
		got, err := readAll(t, form, text, size, workers, manner)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers, blocks of %d: %q\n got %+v\nwant %+v", workers, size, text, got, want)
		}
		checkEnd(t, err, want, open)
	})
}

// fuzzedKernels are all, fuzzedNames their names; to ask for them takes time.
var (
	fuzzedKernels = parser.Kernels()
	fuzzedNames   = slices.Sorted(maps.Keys(fuzzedKernels))
)

// readAll reads text with the package under test: by Each, or by Read where
// workers is 0.
func readAll(t *testing.T, form *form, text []byte, block, workers int, manner uint8) ([]verdict, error) {
	t.Helper()
	cfg := form.config
	cfg.BlockBytes = block
	var src io.Reader = bytes.NewReader(text)
	switch manner % 4 {
	case 1:
		src = iotest.OneByteReader(src)
	case 2:
		src = iotest.HalfReader(src)
	case 3:
		src = iotest.DataErrReader(src)
	}
	r, err := parser.NewReader(src, cfg)
	if err != nil {
		return nil, err
	}
	r.UseKernel(fuzzedKernels[fuzzedNames[(block+int(manner))%len(fuzzedNames)]])
	var c collector
	r.OnReject = func(reject *parser.Reject) error { return c.reject(t, reject) }
	if workers == 0 {
		err = c.read(r, 1+int(manner/4))
	} else {
		err = c.each(t, r, workers, int(manner/4)%3)
	}
	// Within a batch rejects are handed over before the records are.
	slices.SortStableFunc(c.got, func(a, b verdict) int { return cmp.Compare(a.offset, b.offset) })
	s := r.Stats()
	if s.Accepted+s.Rejected != int64(len(c.got)) {
		t.Errorf("stats %+v of %d rows", s, len(c.got))
	}
	if errors.Is(err, io.EOF) && (s.Bytes != int64(len(text)) || s.Lines != int64(bytes.Count(text, []byte("\n")))) {
		t.Errorf("stats %+v of %d bytes, %q", s, len(text), text)
	}
	return c.got, err
}

// collector keeps what a Reader hands over.
type collector struct {
	mu     sync.Mutex
	got    []verdict
	offset int64 // of the last reject
}

func (c *collector) reject(t *testing.T, reject *parser.Reject) error {
	t.Helper()
	if !utf8.ValidString(reject.Value) || utf8.RuneCountInString(reject.Value) > 64 {
		t.Errorf("value %q is not fit to be shown", reject.Value)
	}
	v := verdict{line: reject.Line, offset: reject.Offset, reason: reject.Reason}
	for _, field := range reject.Fields {
		v.fields = append(v.fields, string(field))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.offset <= c.offset {
		t.Errorf("reject at %d after that at %d", v.offset, c.offset)
	}
	c.offset = v.offset
	c.got = append(c.got, v)
	return nil
}

func (c *collector) add(batch []parser.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, record := range batch {
		c.got = append(c.got, verdict{
			line: record.Line, offset: record.Offset, account: string(record.Account),
			day: record.Day, amount: record.Amount, revenue: record.Revenue,
		})
	}
}

func (c *collector) read(r *parser.Reader, batchLen int) (err error) {
	batch := make([]parser.Record, batchLen)
	for err == nil {
		var n int
		n, err = r.Read(batch)
		c.add(batch[:n])
	}
	return err
}

// each reads a few records and the rest by Each. The end is io.EOF, as that of
// Read.
func (c *collector) each(t *testing.T, r *parser.Reader, workers, first int) error {
	t.Helper()
	batch := make([]parser.Record, first)
	n, err := r.Read(batch)
	c.add(batch[:n])
	if err != nil {
		return err
	}
	last := make([]int64, workers)
	err = r.Each(workers, func(worker int, batch []parser.Record) error {
		if len(batch) == 0 || batch[0].Offset <= last[worker] {
			t.Errorf("a batch of %d out of order", len(batch))
		}
		last[worker] = batch[len(batch)-1].Offset
		c.add(batch)
		return nil
	})
	if err != nil {
		return err
	}
	_, err = r.Read(batch)
	return err
}

// checkEnd checks the error a file ended with.
func checkEnd(t *testing.T, err error, rows []verdict, open int64) {
	t.Helper()
	valid := slices.ContainsFunc(rows, func(v verdict) bool { return v.reason == "" })
	fault := new(parser.FileError)
	errors.As(err, &fault)
	switch {
	case open > 0:
		if fault.Code != parser.UnterminatedQuote || fault.Line != open {
			t.Errorf("got %v, want an open quote on line %d", err, open)
		}
	case len(rows) > 0 && !valid:
		if fault.Code != parser.NoValidRows {
			t.Errorf("got %v, want %s", err, parser.NoValidRows)
		}
	case !errors.Is(err, io.EOF):
		t.Errorf("got %v, want the end", err)
	}
}

// TestBlocks reads one file with everything in it at every block size.
func TestBlocks(t *testing.T) {
	t.Parallel()
	form := &forms[0]
	var body strings.Builder
	for i := range 12 {
		body.WriteString("acc,2024-01-0" + string(rune('1'+i%9)) + ",12.50,\r\n")
		body.WriteString("\"a \"\"quoted\"\" name,\nin two lines\",2024-01-01,-1,no\n\n")
		body.WriteString("bare\"quote,2024-01-01,1,\n" + strings.Repeat("x", i*23) + ",2024-13-01,1,\n")
	}
	text := []byte(form.header + body.String())
	want, _ := reference(form, text)
	for block := 1; block < 400; block++ {
		for _, workers := range []int{0, 1 + block%4} {
			got, err := readAll(t, form, text, block, workers, uint8(block))
			if !reflect.DeepEqual(got, want) || !errors.Is(err, io.EOF) {
				t.Fatalf("block of %d bytes, %d workers: %v, %d verdicts\n got %+v\nwant %+v", block, workers, err, len(got), got, want)
			}
		}
	}
}
