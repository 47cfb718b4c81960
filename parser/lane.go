package parser

import (
	"io"
	"slices"
)

const (
	leadBytes = 16 << 10 // room before a block for the tail of the one before; it grows
	leadEnds  = 1024     // room before its ends for those of that tail
)

// lane is one goroutine of a relay, and the block that it is at.
type lane struct {
	relay  *relay
	worker int
	scan   *scanner // of the tail and the block; it never fills its buffer by itself
	values values
	batch  []Record

	number   int64 // of the block, from 0
	from     int   // where the block begins in scan.buf; the tail is before it
	to       int   // where it ends, with the line feed that the last one may lack
	clean    int   // how far it is indexed
	lead     index // of the tail
	booked   bool
	accepted int64 // rows, but those before a reject
	rejects  []rejected
	err      error // of the block, behind the rejects
}

func newLane(e *relay, worker int) *lane {
	r := e.reader
	block := r.cfg.BlockBytes // holds at most half as many records, of which the last may be whole only with the tail
	from := min(leadBytes, block)
	l := &lane{
		relay: e, worker: worker, values: r.values, batch: make([]Record, min(batchRecords, block/2+1)), from: from,
		scan: newScanner(nil, r.dialect.delimiter, from+block, 0, 0),
	}
	l.scan.index.kernel, l.scan.fields.guarded = r.scan.index.kernel, r.dialect.guarded
	l.lead = l.scan.index
	return l
}

func (l *lane) run() {
	for l.relay.read(l) {
		l.index(atRecord())
		if !l.relay.join(l) {
			return
		}
		if !l.booked {
			l.book()
		}
		if !l.relay.count(l) {
			return
		}
	}
}

// read makes a block of the next bytes of src.
func (l *lane) read(src io.Reader, bytes int) {
	s := l.scan
	if n := l.from + bytes + slack; n > len(s.buf) {
		s.buf = make([]byte, n)
	}
	s.end, s.err = readFull(src, s.buf[:l.from+bytes], l.from)
	s.eof = s.err == io.EOF //nolint:errorlint // as in scanner.fill
	l.booked, l.accepted, l.rejects, l.err = false, 0, l.rejects[:0], nil
}

// index indexes the block, which begins in the given state: that of most blocks
// at first, that which the tail ends in when it turns out to be another.
func (l *lane) index(begin quoting) {
	s := l.scan
	s.pos = l.from
	s.index.reset()
	s.index.ends = append(s.index.ends, make([]uint32, leadEnds)...)
	s.index.quotes = begin
	l.to = s.terminated()
	l.clean = s.index.add(s.buf, l.from, l.to)
}

// join puts the tail of the block before in front of the block. It reports
// false when where the block ends is known only once it is booked.
func (l *lane) join(before *seam) bool {
	s := l.scan
	fits := l.prepend(before.tail)
	s.base, s.lines, s.skip = before.offset-int64(s.pos), before.lines, before.skip
	s.fields.forget()
	if fits && !s.skip.on && l.stitch() {
		if tail := s.end - l.tailFrom(); tail == 0 || tail < longRecord && !s.eof {
			return true
		}
	}
	s.ends, s.indexFrom = nil, 0
	return false
}

// prepend copies tail; false when the block had to be moved for it.
func (l *lane) prepend(tail []byte) (fits bool) {
	s := l.scan
	if fits = len(tail) <= l.from; !fits {
		from := 2 * len(tail)
		buf := make([]byte, from+len(s.buf)-l.from)
		copy(buf[from:], s.buf[l.from:])
		s.buf, s.end, l.from = buf, s.end-l.from+from, from
	}
	s.pos = l.from - len(tail)
	copy(s.buf[s.pos:], tail)
	return fits
}

// stitch indexes the tail and puts its index in front of the block's, which is
// made anew if it began in the wrong state. It reports whether quotes keep to
// the rules throughout.
func (l *lane) stitch() bool {
	s, lead := l.scan, &l.lead
	lead.reset()
	if lead.add(s.buf, s.pos, l.from) != l.from {
		return false
	}
	if lead.quotes.inside != 0 {
		pos, begin := s.pos, lead.quotes
		begin.lines = 0
		l.index(begin)
		s.pos = pos
	}
	if l.clean != l.to || !l.beginsWell(lead.quotes) {
		return false
	}
	ends, n := s.index.ends, len(lead.ends)
	if n <= leadEnds {
		ends = ends[leadEnds-n:]
		copy(ends, lead.ends)
	} else {
		ends = slices.Concat(lead.ends, ends[leadEnds:])
	}
	s.index.inner = slices.Insert(s.index.inner, 0, lead.inner...)
	s.useIndex(ends, s.end)
	return true
}

// beginsWell looks once more at the first bytes of the block, which was indexed
// without knowing that it begins in the given state.
func (l *lane) beginsWell(begin quoting) bool {
	var block [blockLen]byte
	n := copy(block[:], l.scan.buf[l.from:l.to])
	if n > 0 {
		begin.step(marksOf(&block, l.lead.delimiter), n)
	}
	return begin.broken == 0
}

// tailFrom is where the tail begins that the block leaves.
func (l *lane) tailFrom() int {
	s := l.scan
	if n := len(s.ends); n > 0 {
		return min(int(s.ends[n-1]>>1)+1, s.end)
	}
	return s.pos
}

// leaveEarly sets where the block ends, before it is booked.
func (l *lane) leaveEarly(after *seam) {
	s, from := l.scan, l.tailFrom()
	lines := s.lines + int64(l.lead.quotes.lines+s.index.quotes.lines)
	for n := len(s.inner); n > 0 && int(s.inner[n-1]) >= from; n-- {
		lines--
	}
	*after = seam{tail: append(after.tail[:0], s.buf[from:s.end]...), offset: s.base + int64(from), lines: lines}
}

// leave sets where the block ends, once it is booked.
func (l *lane) leave(after *seam) {
	s := l.scan
	*after = seam{tail: append(after.tail[:0], s.buf[s.pos:s.end]...), offset: s.offset(), lines: s.lines, skip: s.skip}
}

// book hands over the block's records.
func (l *lane) book() {
	l.booked = true
	n := 0
	for l.err == nil {
		quick := l.values.quick(l.scan, &l.relay.reader.dialect, l.batch[n:])
		l.accepted += int64(quick)
		if n += quick; n == len(l.batch) {
			l.err = l.relay.sink(l.worker, l.batch)
			n = 0
			continue
		}
		ok, err := l.scan.next()
		if err != nil {
			l.err = unterminated(l.scan)
		}
		if !ok {
			break
		}
		fault, at := l.values.book(l.scan, &l.relay.reader.dialect, &l.batch[n])
		if fault != "" {
			l.rejects = append(l.rejects, newRejected(l.scan, fault, at, l.tally()))
			l.accepted = 0
			continue
		}
		l.accepted++
		if n++; n == len(l.batch) {
			l.err = l.relay.sink(l.worker, l.batch)
			n = 0
		}
	}
	if n > 0 {
		if err := l.relay.sink(l.worker, l.batch[:n]); err != nil {
			l.err = err
		}
	}
}

// tally is what was booked since the last reject.
func (l *lane) tally() tally { return tally{l.accepted, l.scan.offset(), l.scan.lines} }

// mustWait reports whether the block has more to tell than its tally.
func (l *lane) mustWait() bool {
	return len(l.rejects) > 0 || l.err != nil || l.scan.err != nil
}

// settle does in the order of the file what depends on it. The error is that
// of the block, or how the file ends.
func (l *lane) settle() error {
	r := l.relay.reader
	for _, row := range l.rejects {
		r.add(row.tally)
		if err := r.rejectRow(l.scan.buf, row); err != nil {
			return err
		}
	}
	if l.err == nil && l.scan.err == nil {
		return nil
	}
	r.add(l.tally())
	if l.err != nil {
		return l.err
	}
	return r.ending(l.scan)
}
