package rollup

import "math"

// batchStreaks is the number of streaks that go to a partition at a time.
const batchStreaks = 32

// streak is rows of one account on one day that follow each other, as in a
// sorted file: summed on their way, all of them are the work of one.
type streak struct {
	hi, lo         uint64 // prefix of the account id, which is no longer
	day            int32
	size           uint32 // length of the id
	total, revenue int64
	count          int64  // 0 while there is but one row, which is the last of its buffer unless that was flushed
	buffer         uint32 // its number
}

// noStreak goes on with no row: no id has this length.
var noStreak = streak{size: math.MaxUint32}

// goOn takes one row more of the account and the day; false when it must be a
// row by itself.
func (a *Adder) goOn(amount int64, revenue bool) bool {
	k := &a.streak
	if k.count == 0 {
		b := &a.buffers[k.buffer]
		if b.n == 0 {
			return false
		}
		b.n--
		r := &b.rows[b.n]
		k.total, k.revenue, k.count = r.amount, r.amount*int64(r.size&1), 1
	}
	return k.add(amount, amount*int64(bit(revenue)))
}

// endStreak hands over the streak.
func (a *Adder) endStreak() error {
	k := a.streak
	a.streak = noStreak
	if k.count == 0 {
		return nil
	}
	b := &a.buffers[k.buffer]
	if b.streaks = append(b.streaks, k); len(b.streaks) < batchStreaks {
		return nil
	}
	return a.flush(int(k.buffer))
}

// add takes one row more; false, and nothing is changed, when a sum would wrap.
func (k *streak) add(amount, revenue int64) bool {
	t, r := k.total+amount, k.revenue+revenue
	if (k.total^t)&(amount^t)|(k.revenue^r)&(revenue^r) < 0 {
		return false
	}
	k.total, k.revenue, k.count = t, r, k.count+1
	return true
}

// ofAccount returns how many streaks are of the account of the first.
func ofAccount(streaks []streak) (n int) {
	first := &streaks[0]
	for n < len(streaks) && streaks[n].hi == first.hi && streaks[n].lo == first.lo && streaks[n].size == first.size {
		n++
	}
	return n
}

// bookStreaks adds streaks. Those of an account are together, so their groups
// are looked for as those of rows that waited are.
func (p *partition) bookStreaks(streaks []streak, scratch *groupScratch) {
	var entries [batchStreaks]entry
	for len(streaks) > 0 {
		n := ofAccount(streaks)
		first := &streaks[0]
		r := row{hi: first.hi, lo: first.lo, size: first.size << 1}
		account := p.account(&r, p.seed.short(r.hi, r.lo, r.idLen()), nil)
		s, batch := p.sumsOf(account), entries[:n]
		for i := range batch {
			batch[i].key = uint64(account)<<32 | uint64(uint32(streaks[i].day))
		}
		p.find(s, batch, scratch)
		for i := range batch {
			s.book(scratch.found[i], streaks[i].total, streaks[i].revenue, streaks[i].count)
		}
		streaks = streaks[n:]
	}
}
