package rollup

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"sluice/internal/money"
)

// sorted is the sums of a partition in their order: numbers of accounts by id,
// and numbers of groups with those of an account together. Both lie where the
// tables were, which nobody needs any more.
type sorted struct{ accounts, groups []uint32 }

// sort puts the sums in order; the tables are of no use after it.
func (p *partition) sort() sorted {
	s := sorted{accounts: p.ids.slots[:p.accounts.n], groups: p.sums.slots[:p.groups.n]}
	first := uint32(0)
	for i := range s.accounts {
		number := uint32(i) + 1
		s.accounts[i] = number
		a := p.accounts.at(number)
		a.groups, first = first, first+a.groups
	}
	slices.SortFunc(s.accounts, func(x, y uint32) int { return p.compare(p.accounts.at(x), p.accounts.at(y)) })
	for number := uint32(1); number <= p.groups.n; number++ {
		a := p.accounts.at(uint32(p.groups.at(number).key >> 32))
		s.groups[a.groups] = number
		a.groups++ // ends as the place after the last
	}
	return s
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
	p     *partition
	s     sorted
	at    int // accounts given so far
	name  []byte
	order []uint64 // day and number of the groups of one account
}

func (m *memory) next() (bool, error) {
	if m.at == len(m.s.accounts) {
		return false, nil
	}
	a := m.p.accounts.at(m.s.accounts[m.at])
	m.name = append(appendPrefix(m.name[:0], a.hi, a.lo, a.size), m.p.tailOf(a)...)
	m.at++
	return true, nil
}

func (m *memory) id() []byte { return m.name }

// days sorts numbers beside their days, and looks at the sums only afterwards,
// when the first loop has brought them into the cache.
func (m *memory) days(dst []Day) ([]Day, error) {
	const negative = 1 << 31 // turned round, days order as unsigned numbers do
	number := m.s.accounts[m.at-1]
	m.order = m.order[:0]
	for _, n := range m.s.groups[m.p.accounts.at(number-1).groups:m.p.accounts.at(number).groups] {
		day := uint32(m.p.groups.at(n).key) ^ negative
		m.order = append(m.order, uint64(day)<<32|uint64(n))
	}
	slices.Sort(m.order)
	for _, o := range m.order {
		dst = append(dst, m.p.day(uint32(o)))
	}
	return dst, nil
}

func (p *partition) day(number uint32) Day {
	g := p.groups.at(number)
	d := Day{Day: g.day(), Total: money.FromInt64(g.total), Revenue: money.FromInt64(g.revenue), Count: g.count}
	if len(p.wide) > 0 {
		c := p.wide[number]
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
