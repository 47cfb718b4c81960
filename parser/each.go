package parser

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
)

// batchRecords is how many records Each hands over at a time, at most.
const batchRecords = 512

// Each reads the rest of the file with so many goroutines, the caller's among
// them, and hands every record to sink. It returns nil at the end of the file,
// else what Read would have returned, or the error of sink as it is: the first
// one in the order of the file.
//
// sink is called by all goroutines at the same time, with the number of the one
// that calls, from 0. A batch is never empty, belongs to sink until it returns,
// and is in the order of the file, as are the batches of one goroutine; between
// those of two there is no order, and records behind an error may have been
// handed over when it is found. OnReject is called as from Read, for one reject
// at a time and in the order of the file, by whichever goroutine has come to
// it. The source too is read by one goroutine at a time. Stats may be called
// from sink and OnReject: they are of the file up to some place in it.
//
// Each costs about 0.5 MiB of memory for each goroutine.
func (r *Reader) Each(workers int, sink func(worker int, batch []Record) error) error {
	if r.err == nil && workers < 2 {
		r.eachAlone(sink)
	}
	if r.err == nil {
		r.err = newRelay(r, sink).run(workers)
	}
	if r.whole {
		return nil
	}
	return r.err
}

func (r *Reader) eachAlone(sink func(worker int, batch []Record) error) {
	batch := make([]Record, batchRecords)
	for r.err == nil {
		n, _ := r.Read(batch)
		if n == 0 {
			continue
		}
		if err := sink(0, batch[:n]); err != nil {
			r.err, r.whole = err, false
		}
	}
}

// relay passes a file from goroutine to goroutine, block by block. Each block
// is read in its turn, indexed at any time, joined to the one before in its
// turn, booked at any time and counted in its turn. So all that depends on the
// order of the file is done in it, and the work is done side by side.
type relay struct {
	reader *Reader
	sink   func(worker int, batch []Record) error

	reading sync.Mutex // guards what is below
	src     io.Reader
	ended   error // how src ended
	next    int64 // number of the block that is read next

	mu      sync.Mutex // guards what is below
	moved   *sync.Cond // one of these changed
	joined  int64      // number of the block whose turn it is to be joined; it alone may touch seam
	counted int64      // number of the block whose turn it is to be counted
	waiting map[int64]tally
	stopped error // why to stop: the end, or an error

	seam  seam
	block atomic.Int64 // bytes to be read at a time
}

// seam is where one block ends and the next begins.
type seam struct {
	tail          []byte // of the block, without an end of a record
	offset, lines int64  // before the tail
	skip          skipper
}

// tally is what a block adds to Stats.
type tally struct{ accepted, bytes, lines int64 }

// newRelay takes over from r's scanner.
func newRelay(r *Reader, sink func(worker int, batch []Record) error) *relay {
	s := r.scan
	src := []io.Reader{bytes.NewReader(s.buf[s.pos:s.end]), failed{s.err}}
	if s.err == nil {
		src[1] = s.src
	}
	e := &relay{
		reader: r, sink: sink, src: io.MultiReader(src...), waiting: map[int64]tally{},
		seam: seam{offset: s.offset(), lines: s.lines, skip: s.skip},
	}
	e.block.Store(int64(r.cfg.BlockBytes))
	e.moved = sync.NewCond(&e.mu)
	return e
}

// failed is a source that ended before.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// run returns why it stopped: io.EOF at the end.
func (e *relay) run(workers int) error {
	var wg sync.WaitGroup
	for worker := 1; worker < workers; worker++ {
		wg.Go(newLane(e, worker).run)
	}
	newLane(e, 0).run()
	wg.Wait()
	return e.stopped
}

// read gets the next block for l; false when there is none.
func (e *relay) read(l *lane) bool {
	e.reading.Lock()
	defer e.reading.Unlock()
	if e.ended != nil || e.hasStopped() {
		return false
	}
	l.read(e.src, int(e.block.Load()))
	e.ended = l.scan.err
	l.number = e.next
	e.next++
	return true
}

// join has l begin where the block before ended. A block in which quotes break
// the rules or a record a limit is booked at once: only then is it known where
// it ends.
func (e *relay) join(l *lane) bool {
	if !e.await(&e.joined, l.number) {
		return false
	}
	if l.join(&e.seam) {
		l.leaveEarly(&e.seam)
	} else {
		l.book()
		l.leave(&e.seam)
	}
	e.block.Store(int64(e.reader.cfg.blockFor(len(e.seam.tail))))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.joined++
	e.moved.Broadcast()
	return true
}

// blockFor is how much to read behind a tail. Long ones double it, so that a
// record is copied only as often as it doubles.
func (c *Config) blockFor(tail int) int {
	if tail < stripBytes {
		return c.BlockBytes
	}
	return max(c.BlockBytes, tail)
}

// count adds l's block to Stats and hands over its rejects. One that has none
// need not wait for those before it.
func (e *relay) count(l *lane) bool {
	if l.mustWait() {
		if !e.await(&e.counted, l.number) {
			return false
		}
		if err := l.settle(); err != nil {
			e.stop(err)
			return false
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.waiting[l.number] = l.tally()
	for {
		t, ok := e.waiting[e.counted]
		if !ok {
			break
		}
		e.reader.add(t)
		delete(e.waiting, e.counted)
		e.counted++
	}
	e.moved.Broadcast()
	return e.stopped == nil
}

// await waits for a turn; false when there will be none.
func (e *relay) await(turn *int64, number int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for *turn != number && e.stopped == nil {
		e.moved.Wait()
	}
	return e.stopped == nil
}

func (e *relay) stop(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = err
	e.moved.Broadcast()
}

func (e *relay) hasStopped() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopped != nil
}
