package rollup

import (
	"errors"
	"math"
)

// batchRows is the number of rows that go to a partition at a time: enough for
// their cache misses to overlap, few enough for all buffers of an Adder to stay
// in the second-level cache.
const batchRows = 256

// maxTails bounds the bytes of ids beyond their prefix in one buffer.
const maxTails = 64 << 10

// row is one row on its way to its partition.
type row struct {
	hi, lo uint64 // prefix of the account id
	amount int64
	day    int32
	size   uint32 // length of the id, twice; 1 more when the amount is revenue
}

func (r *row) idLen() uint32 { return r.size >> 1 }

// buffer collects the rows of one partition. The tails of long ids lie one
// after the other, in the order of their rows.
type buffer struct {
	n       int
	rows    [batchRows]row
	tails   []byte
	streaks []streak // at most batchStreaks
}

// Adder books rows for one goroutine. Any number of them may fill a Rollup at
// the same time.
type Adder struct {
	rollup  *Rollup
	seed    seed
	shift   int
	buffers []buffer
	streak  streak // of the last row
	scratch scratch
}

// Adder returns a new Adder. Rows are in the sums only after its Flush.
func (r *Rollup) Adder() *Adder {
	return &Adder{rollup: r, seed: r.seed, shift: r.shift, buffers: make([]buffer, len(r.partitions)), streak: noStreak}
}

// maxID is the longest account id.
const maxID = math.MaxInt32

var errLongID = errors.New("account id is over 2 GiB")

// Add books one row: amount in minor units on day (days since 1970-01-01),
// counted as revenue too when revenue is set. It copies account. An error is
// that of a temporary file, or of an id over 2 GiB; the sums then are of no use.
func (a *Adder) Add(account []byte, day int32, amount int64, revenue bool) error {
	if len(account) > prefixLen {
		return a.addLong(account, day, amount, revenue)
	}
	hi, lo := prefix(account)
	size := uint32(len(account))
	k := &a.streak
	if hi == k.hi && lo == k.lo && day == k.day && size == k.size && a.goOn(amount, revenue) {
		return nil
	}
	if k.count > 0 {
		if err := a.endStreak(); err != nil {
			return err
		}
	}
	i := a.seed.short(hi, lo, size) >> a.shift
	k.hi, k.lo, k.day, k.size, k.buffer = hi, lo, day, size, uint32(i)
	b := &a.buffers[i]
	b.rows[b.n&(batchRows-1)] = row{hi: hi, lo: lo, amount: amount, day: day, size: size<<1 | bit(revenue)}
	b.n++
	if b.n < batchRows {
		return nil
	}
	return a.flush(int(i))
}

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

func (a *Adder) addLong(account []byte, day int32, amount int64, revenue bool) error {
	if len(account) > maxID {
		return errLongID
	}
	if err := a.endStreak(); err != nil {
		return err
	}
	hi, lo := prefix(account)
	size, tail := uint32(len(account)), account[prefixLen:]
	i := a.seed.id(hi, lo, size, tail) >> a.shift
	b := &a.buffers[i]
	b.rows[b.n] = row{hi: hi, lo: lo, amount: amount, day: day, size: size<<1 | bit(revenue)}
	b.n++
	b.tails = append(b.tails, tail...)
	if b.n == batchRows || len(b.tails) > maxTails {
		return a.flush(int(i))
	}
	return nil
}

// Flush hands over what is still held. The Adder may be used again.
func (a *Adder) Flush() error {
	if err := a.endStreak(); err != nil {
		return err
	}
	for i := range a.buffers {
		if err := a.flush(i); err != nil {
			return err
		}
	}
	return nil
}

func (a *Adder) flush(i int) error {
	b := &a.buffers[i]
	err := a.rollup.partitions[i].book(b, &a.scratch)
	b.n, b.tails, b.streaks = 0, b.tails[:0], b.streaks[:0]
	if cap(b.tails) > 2*maxTails {
		b.tails = nil // one huge id is not held on to
	}
	return err
}
