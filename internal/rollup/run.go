package rollup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"sluice/internal/money"
)

// A run is accounts in ascending order: the length of the id and its bytes, the
// number of days, and the days, ascending. A day is the distance to the one
// before it (or to the least int32) with four bits below that say what follows:
// the total, then as need be the revenue and the count. Numbers are varints,
// signed ones in zigzag; wide sums are 16 bytes of money.Int. Most days of one
// row take 5 bytes.
const (
	flagOne          = 1 << iota // the count is 1, and left out
	flagRevenueIsAll             // the revenue is the total, and left out
	flagRevenue                  // the revenue follows; without either flag it is 0
	flagWide                     // the sums that follow are wide
	flagBits         = iota
)

// maxDayBytes is what a day takes at most: 36 bits, two wide sums, a count.
const maxDayBytes = 6 + 2*16 + binary.MaxVarintLen64

// runBuffer is the size of a buffer to read or write a run with.
const runBuffer = 32 << 10

type runWriter struct {
	f   io.WriterAt
	at  int64
	buf []byte
}

func newRunWriter(f io.WriterAt, at int64) *runWriter {
	return &runWriter{f: f, at: at, buf: make([]byte, 0, runBuffer+maxDayBytes)}
}

func (w *runWriter) write(id []byte, days []Day) error {
	w.buf = binary.AppendUvarint(w.buf, uint64(len(id)))
	w.buf = append(w.buf, id...)
	w.buf = binary.AppendUvarint(w.buf, uint64(len(days)))
	last := int64(math.MinInt32)
	for i := range days {
		d := &days[i]
		w.buf = appendDay(w.buf, d, uint64(int64(d.Day)-last))
		last = int64(d.Day)
		if len(w.buf) >= runBuffer {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func appendDay(b []byte, d *Day, distance uint64) []byte {
	flags := uint64(0)
	if d.Count == 1 {
		flags |= flagOne
	}
	switch d.Revenue {
	case money.Int{}:
	case d.Total:
		flags |= flagRevenueIsAll
	default:
		flags |= flagRevenue
	}
	total, narrow := d.Total.Int64()
	revenue, alsoNarrow := d.Revenue.Int64()
	if !narrow || !alsoNarrow {
		flags |= flagWide
	}
	b = binary.AppendUvarint(b, distance<<flagBits|flags)
	if flags&flagWide != 0 {
		t, r := d.Total.Bytes(), d.Revenue.Bytes()
		b = append(append(b, t[:]...), r[:]...)
	} else {
		b = binary.AppendVarint(b, total)
		if flags&flagRevenue != 0 {
			b = binary.AppendVarint(b, revenue)
		}
	}
	if flags&flagOne == 0 {
		b = binary.AppendUvarint(b, uint64(d.Count))
	}
	return b
}

func (w *runWriter) flush() error {
	n, err := w.f.WriteAt(w.buf, w.at)
	w.at, w.buf = w.at+int64(n), w.buf[:0]
	if err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	return nil
}

// runReader is the source of a run.
type runReader struct {
	f      io.ReaderAt
	at, to int64 // what is not in buf yet
	buf    []byte
	data   []byte // of buf, what is not read yet
	name   []byte
}

func newRunReader(f io.ReaderAt, r run) *runReader {
	return &runReader{f: f, at: r.from, to: r.to, buf: make([]byte, runBuffer)}
}

// fill brings at least n bytes into data, or all that are left.
func (r *runReader) fill(n int) error {
	if len(r.data) >= n || r.at == r.to {
		return nil
	}
	if n > len(r.buf) {
		r.buf = append(make([]byte, 0, n), r.data...)[:n]
	} else {
		copy(r.buf, r.data)
	}
	have := len(r.data)
	more := r.buf[have:min(int64(len(r.buf)), int64(have)+r.to-r.at)]
	if _, err := r.f.ReadAt(more, r.at); err != nil {
		return fmt.Errorf("read temporary file: %w", err)
	}
	r.at += int64(len(more))
	r.data = r.buf[:have+len(more)]
	return nil
}

var errCutShort = errors.New("read temporary file: a sum is cut short")

func (r *runReader) uvarint() (uint64, error) {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		return 0, errCutShort
	}
	r.data = r.data[n:]
	return v, nil
}

func (r *runReader) next() (bool, error) {
	if err := r.fill(binary.MaxVarintLen64); err != nil || len(r.data) == 0 {
		return false, err
	}
	size, err := r.uvarint()
	if err != nil {
		return false, err
	}
	if err := r.fill(int(size)); err != nil {
		return false, err
	}
	if uint64(len(r.data)) < size {
		return false, errCutShort
	}
	r.name = append(r.name[:0], r.data[:size]...)
	r.data = r.data[size:]
	return true, nil
}

func (r *runReader) id() []byte { return r.name }

func (r *runReader) days(dst []Day) ([]Day, error) {
	if err := r.fill(binary.MaxVarintLen64); err != nil {
		return dst, err
	}
	n, err := r.uvarint()
	last := int64(math.MinInt32)
	for ; n > 0 && err == nil; n-- {
		if len(r.data) < maxDayBytes {
			if err := r.fill(maxDayBytes); err != nil {
				return dst, err
			}
		}
		var d Day
		if d, err = r.day(last); err == nil {
			dst = append(dst, d)
			last = int64(d.Day)
		}
	}
	return dst, err
}

// day reads a day of which all bytes are in data.
func (r *runReader) day(last int64) (d Day, err error) {
	head, err := r.uvarint()
	if err != nil {
		return d, err
	}
	d.Day = int32(last + int64(head>>flagBits))
	switch {
	case head&flagWide != 0 && len(r.data) < 2*16:
		return d, errCutShort
	case head&flagWide != 0:
		d.Total, d.Revenue = money.FromBytes([16]byte(r.data)), money.FromBytes([16]byte(r.data[16:]))
		r.data = r.data[2*16:]
	default:
		total, n := binary.Varint(r.data)
		if n <= 0 {
			return d, errCutShort
		}
		r.data = r.data[n:]
		d.Total = money.FromInt64(total)
		if head&flagRevenueIsAll != 0 {
			d.Revenue = d.Total
		}
		if head&flagRevenue != 0 {
			revenue, n := binary.Varint(r.data)
			if n <= 0 {
				return d, errCutShort
			}
			r.data = r.data[n:]
			d.Revenue = money.FromInt64(revenue)
		}
	}
	d.Count = 1
	if head&flagOne == 0 {
		count, err := r.uvarint()
		d.Count = int64(count)
		return d, err
	}
	return d, nil
}
