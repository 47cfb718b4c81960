package rollup

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"sluice/internal/money"
)

// sorted is the accounts of a partition by id. They lie where their table was,
// which nobody needs any more, as do the numbers of the spans of each sums, with
// those of an account together.
type sorted []uint32

// sort puts the sums in order; the tables are of no use after it.
func (p *partition) sort() sorted {
	s := sorted(p.ids.slots[:p.accounts.n])
	var first [sumsEach]uint32
	for i := range s {
		number := uint32(i) + 1
		s[i] = number
		a, next := p.accounts.at(number), &first[number%sumsEach]
		a.spans, *next = *next, *next+a.spans
	}
	slices.SortFunc(s, func(x, y uint32) int { return p.compare(p.accounts.at(x), p.accounts.at(y)) })
	for i := range p.sums {
		sums := &p.sums[i]
		for number := uint32(1); number <= sums.spans.n; number++ {
			a := p.accounts.at(uint32(sums.spans.at(number).key >> 32))
			sums.table.slots[a.spans] = number
			a.spans++ // ends as the place after the last
		}
	}
	return s
}

// spansOf returns the numbers of an account's spans, and the sums that they are
// in; sort was called.
func (p *partition) spansOf(account uint32) (*sums, []uint32) {
	s, from := &p.sums[account%sumsEach], uint32(0)
	if account > sumsEach {
		from = p.accounts.at(account - sumsEach).spans
	}
	return s, s.table.slots[from:p.accounts.at(account).spans]
}

// compare orders accounts by the bytes of their ids. Where the prefixes are
// equal and one id is no longer than its own, it begins the other.
func (p *partition) compare(a, b *account) int {
	if c := cmp.Or(cmp.Compare(a.hi, b.hi), cmp.Compare(a.lo, b.lo)); c != 0 {
		return c
	}
	if a.size > prefixLen && b.size > prefixLen {
		return bytes.Compare(p.tailOf(a), p.tailOf(b))
	}
	return cmp.Compare(a.size, b.size)
}

// memory is the source of sums that are in memory.
type memory struct {
	p    *partition
	s    sorted
	at   int // accounts given so far
	name []byte

	order   []uint64   // first day and number of the spans of one account
	groups  []dayGroup // of one account
	touched int64      // as in scratch
}

// dayGroup is a day and the number of its group.
type dayGroup struct {
	day    int32
	number uint32
}

func (m *memory) next() (bool, error) {
	if m.at == len(m.s) {
		return false, nil
	}
	a := m.p.accounts.at(m.s[m.at])
	m.name = append(appendPrefix(m.name[:0], a.hi, a.lo, a.size), m.p.tailOf(a)...)
	m.at++
	return true, nil
}

func (m *memory) id() []byte { return m.name }

// days looks at the sums only once it has their numbers, in order: one after the
// other and without a branch, so that the cache misses overlap.
func (m *memory) days(dst []Day) ([]Day, error) {
	const negative = 1 << 31 // turned round, days order as unsigned numbers do
	sums, numbers := m.p.spansOf(m.s[m.at-1])
	m.order = m.order[:0]
	for _, n := range numbers {
		m.order = append(m.order, uint64(uint32(sums.spans.at(n).firstDay())^negative)<<32|uint64(n))
	}
	slices.Sort(m.order)
	m.groups = slices.Grow(m.groups[:0], len(numbers)*spanDays)[:len(numbers)*spanDays]
	k := 0
	for _, o := range m.order {
		s := sums.spans.at(uint32(o))
		for i, n := range s.groups {
			m.groups[k] = dayGroup{s.firstDay() + int32(i), n}
			k += int((n | -n) >> 31) // 1 unless n is 0
		}
	}
	for _, g := range m.groups[:k] {
		m.touched += sums.groups.at(g.number).count
	}
	for _, g := range m.groups[:k] {
		dst = append(dst, sums.day(g.day, g.number))
	}
	return dst, nil
}

func (s *sums) day(day int32, number uint32) Day {
	g := s.groups.at(number)
	d := Day{Day: day, Total: money.FromInt64(g.total), Revenue: money.FromInt64(g.revenue), Count: g.count}
	if len(s.wide) > 0 {
		c := s.wide[number]
		d.Total, d.Revenue = d.Total.Add(above64(c.total)), d.Revenue.Add(above64(c.revenue))
	}
	return d
}

// above64 returns n * 2^64.
func above64(n int64) money.Int {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(n))
	return money.FromBytes(b)
}
