package rollup

import "math"

// sumsEach is the number of sums to a partition. More of them would stay in the
// second-level cache with more groups, and take longer to fill up.
const sumsEach = 16

// sums is the groups of some accounts of a partition. Their rows wait until they
// are so many that it is worth bringing the groups into the second-level cache,
// where they then are for all of these rows.
//
// Groups are found by spans: there are several times fewer of these, so their
// table is small, and the days of one are in order by themselves.
type sums struct {
	table   table
	spans   slabs[span]
	groups  slabs[group]
	wide    map[uint32]carry // by group number; sums rarely leave 64 bits
	waiting []entry
}

// spanDays is the number of days in a span. More of them would cost accounts
// that have a row now and then more memory, and gain the others little.
const (
	spanDays = 1 << spanBits
	spanBits = 3
)

// span is some days in a row of one account.
type span struct {
	key    uint64           // account number << 32 | number of the span; no account has number 0
	groups [spanDays]uint32 // numbers; 0 = no row on that day
}

// firstDay is that of the span.
func (s *span) firstDay() int32 { return int32(uint32(s.key)) << spanBits }

// group is the sums of one account on one day. Sums wrap at 64 bits; what was
// lost by it is in sums.wide.
type group struct {
	total, revenue int64
	count          int64
}

// carry is what belongs above the 64 bits of a group's sums.
type carry struct{ total, revenue int64 }

// entry is a row whose account is known.
type entry struct {
	key    uint64 // account number << 32 | day, and isRevenue
	amount int64
}

// isRevenue is above all account numbers.
const isRevenue = 1 << 63

func (e *entry) day() int32 { return int32(uint32(e.key)) }

// span is the key of the entry's.
func (e *entry) span() uint64 {
	return e.key&^(isRevenue|math.MaxUint32) | uint64(uint32(e.day()>>spanBits))
}

// revenue returns the amount where it is revenue, else 0.
func (e *entry) revenue() int64 { return e.amount & (int64(e.key) >> 63) }

// Bytes that an item takes, beside the slots of the table.
const (
	spanBytes  = 8 + 4*spanDays
	groupBytes = 24
	wideBytes  = 64
	entryBytes = 16
)

const (
	firstSpans = 256 // slots of a new table

	// Up to as many rows as there are groups wait, within these bounds.
	minWaiting = 1 << 7
	maxWaiting = 1 << 13
)

func (s *sums) init(free *free) {
	s.table.init(firstSpans)
	s.spans.init(&free.spans)
	s.groups.init(&free.groups)
	s.waiting = make([]entry, 0, minWaiting)
}

// bytes is what they take, but for what init made.
func (s *sums) bytes() int64 {
	if s.waiting == nil {
		return 0
	}
	return int64(s.spans.n)*spanBytes + int64(s.groups.n)*groupBytes + int64(len(s.wide))*wideBytes +
		s.table.bytes() - 4*firstSpans + int64(cap(s.waiting)-minWaiting)*entryBytes
}

// sumsOf returns the sums of an account.
func (p *partition) sumsOf(account uint32) *sums {
	s := &p.sums[account%sumsEach]
	if s.waiting == nil {
		s.init(&p.free)
	}
	return s
}

// wait hands a row to the sums of its account.
func (p *partition) wait(account uint32, r *row, scratch *groupScratch) {
	s := p.sumsOf(account)
	s.waiting = append(s.waiting, entry{uint64(r.size)<<63 | uint64(account)<<32 | uint64(uint32(r.day)), r.amount})
	if len(s.waiting) == cap(s.waiting) {
		p.add(s, scratch)
	}
}

// groupScratch is what add remembers of each entry between its passes.
type groupScratch struct {
	hash    [batchRows]uint64
	found   [batchRows]uint32
	touched uint64 // as in scratch
}

// add books the rows that wait, in batches, as book does.
func (p *partition) add(s *sums, scratch *groupScratch) {
	s.warm(scratch)
	for rest := s.waiting; len(rest) > 0; {
		batch := rest[:min(batchRows, len(rest))]
		rest = rest[len(batch):]
		p.find(s, batch, scratch)
		for i := range batch {
			s.book(scratch.found[i], batch[i].amount, batch[i].revenue(), 1)
		}
	}
	s.waiting = s.waiting[:0]
	if n := 2 * cap(s.waiting); n <= min(maxWaiting, int(s.groups.n)) {
		s.waiting = make([]entry, 0, n)
	}
}

// warm brings the sums into the cache, one after the other: where rows come to most
// of them, that takes a fraction of what it takes to fetch each as its row comes.
func (s *sums) warm(scratch *groupScratch) {
	if int(s.groups.n) > 2*len(s.waiting) {
		return
	}
	touched := scratch.touched
	for _, b := range s.groups.blocks {
		for i := 0; i < slabLen; i += 8 { // 3 cache lines of 64 bytes
			touched += uint64(b[i].total) + uint64(b[i+2].count) + uint64(b[i+5].revenue)
		}
	}
	for _, b := range s.spans.blocks {
		for i := 0; i < slabLen; i += 8 { // 5 cache lines
			touched += b[i].key + b[i+2].key + b[i+4].key + b[i+5].key + b[i+7].key
		}
	}
	scratch.touched = touched
}

// addAll books all rows that wait.
func (p *partition) addAll(scratch *groupScratch) {
	for i := range p.sums {
		if s := &p.sums[i]; len(s.waiting) > 0 {
			p.add(s, scratch)
		}
	}
}

// find leaves in scratch.found the number of each row's group, made if it is new.
func (p *partition) find(s *sums, batch []entry, scratch *groupScratch) {
	s.table.reserve(s.spans.n, uint32(len(batch)), func(n uint32) uint64 { return p.seed.key(s.spans.at(n).key) })
	p.findSpans(s, batch, scratch)
	p.findGroups(s, batch, scratch)
}

// findSpans leaves in scratch.found the number of what is probably each row's
// span.
func (p *partition) findSpans(s *sums, batch []entry, scratch *groupScratch) {
	for i := range batch {
		scratch.hash[i] = p.seed.key(batch[i].span())
		scratch.found[i] = s.table.first(scratch.hash[i])
	}
	touched := scratch.touched
	for i := range batch {
		scratch.found[i] = s.table.candidate(scratch.hash[i], scratch.found[i])
		touched += s.spans.at(scratch.found[i]).key
	}
	scratch.touched = touched
}

// findGroups leaves in scratch.found the number of each row's group, made if it
// is new. Whether it is cannot be foreseen, so the groups are touched apart.
func (p *partition) findGroups(s *sums, batch []entry, scratch *groupScratch) {
	number, last := uint32(0), uint64(0) // span of the row before: many files have the rows of an account together
	for i := range batch {
		e := &batch[i]
		if key := e.span(); key != last {
			number, last = scratch.found[i], key
			if s.spans.at(number).key != key {
				number = p.span(s, key, scratch.hash[i])
			}
		}
		group := &s.spans.at(number).groups[uint32(e.key)%spanDays]
		if *group == 0 {
			*group = s.groups.add()
			p.days.add(e.day())
		}
		scratch.found[i] = *group
	}
	touched := scratch.touched
	for i := range batch {
		touched += uint64(s.groups.at(scratch.found[i]).count)
	}
	scratch.touched = touched
}

// span returns the number of the span with this key, made if it is new.
func (p *partition) span(s *sums, key, hash uint64) uint32 {
	number, empty := s.table.search(hash, func(number uint32) bool { return s.spans.at(number).key == key })
	if number == 0 {
		number = s.spans.add()
		s.table.put(empty, hash, number)
		s.spans.at(number).key = key
		p.accounts.at(uint32(key>>32)).spans++
	}
	return number
}

// book adds to a group.
func (s *sums) book(number uint32, amount, revenue, count int64) {
	g := s.groups.at(number)
	t, r := g.total+amount, g.revenue+revenue
	if (g.total^t)&(amount^t)|(g.revenue^r)&(revenue^r) < 0 {
		s.carry(number, wrapped(g.total, amount, t), wrapped(g.revenue, revenue, r))
	}
	g.total, g.revenue, g.count = t, r, g.count+count
}

// carry notes what sums of a group lost.
func (s *sums) carry(number uint32, total, revenue int64) {
	if s.wide == nil {
		s.wide = make(map[uint32]carry)
	}
	c := s.wide[number]
	s.wide[number] = carry{c.total + total, c.revenue + revenue}
}

// wrapped returns what x + y has above the 64 bits of sum, in units of 2^64.
func wrapped(x, y, sum int64) int64 {
	switch {
	case (x^sum)&(y^sum) >= 0:
		return 0
	case y > 0:
		return 1
	}
	return -1
}

// clear forgets all groups and gives their memory back.
func (s *sums) clear() {
	if s.waiting == nil {
		return
	}
	clear(s.table.slots)
	clear(s.wide)
	s.spans.clear()
	s.groups.clear()
}
