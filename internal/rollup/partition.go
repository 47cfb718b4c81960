package rollup

import (
	"bytes"
	"math"
	"sync"
)

// account is an account of a partition.
type account struct {
	hi, lo uint64 // prefix of the id
	tail   uint64 // place of the rest in partition.tails, if it is longer
	size   uint32 // length of the id
	groups uint32 // number of its groups; once they are sorted, place of the first in partition.order
}

// group is the sums of one account on one day. Sums wrap at 64 bits; what was
// lost by it is in partition.wide.
type group struct {
	key            uint64 // account number << 32 | day
	total, revenue int64
	count          int64
}

func (g *group) day() int32 { return int32(uint32(g.key)) }

// carry is what belongs above the 64 bits of a group's sums.
type carry struct{ total, revenue int64 }

// partition holds the accounts of one range of hashes. Adders take turns at it.
type partition struct {
	mu   sync.Mutex
	seed seed

	ids      table
	accounts slabs[account]
	tails    arena
	sums     table
	groups   slabs[group]
	wide     map[uint32]carry // by group number; sums rarely leave 64 bits
	days     daySet

	share   int64 // bytes of memory past which the sums go to the file
	dir     string
	file    *runFile // nil until then
	spilled int64    // bytes written, over all

	sorted  sorted // of the groups in memory, after finish
	counted size   // after finish

	_ [64]byte // the mutex of the next one is on another cache line
}

type size struct{ accounts, groups int }

// Bytes that an item takes, with its slots in a table that is between three
// eighths and three quarters full. maxShare keeps the numbers of groups well
// within 31 bits.
const (
	groupBytes   = 32 + 11
	accountBytes = 32 + 11
	wideBytes    = 64
	maxShare     = 32 << 30
)

const (
	firstAccounts = 64 // slots of new tables
	firstGroups   = 512
)

func (p *partition) init(s seed, share int64, dir string) {
	p.seed, p.share, p.dir = s, share, dir
	p.ids.init(firstAccounts)
	p.sums.init(firstGroups)
	p.accounts.blocks = []*[slabLen]account{new([slabLen]account)}
	p.groups.blocks = []*[slabLen]group{new([slabLen]group)}
	// No account has this length, and no group account number 0.
	p.accounts.at(0).size = math.MaxUint32
}

// bytes is what the sums take.
func (p *partition) bytes() int64 {
	return int64(p.accounts.n)*accountBytes + int64(p.groups.n)*groupBytes + p.tails.bytes + int64(len(p.wide))*wideBytes
}

// scratch is what book remembers of each row between its passes. It belongs to
// the Adder: one for all partitions stays in the first-level cache.
type scratch struct {
	hash    [batchRows]uint64
	key     [batchRows]uint64
	found   [batchRows]uint32
	tail    [batchRows]uint32 // where the tail of the row's id begins in buffer.tails
	touched uint64            // keeps loads that are there for the cache alone from being left out
}

// book adds the rows of b. It goes over them several times, each pass asking
// memory for what the next needs: the cache misses of the rows overlap, where
// row by row each would be waited for.
func (p *partition) book(b *buffer, s *scratch) error {
	if b.n == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.groups.n > 0 && p.bytes() > p.share {
		if err := p.spill(); err != nil {
			return err
		}
	}
	p.ids.reserve(p.accounts.n, uint32(b.n), p.hashOf)
	p.sums.reserve(p.groups.n, uint32(b.n), func(n uint32) uint64 { return p.seed.key(p.groups.at(n).key) })
	p.findAccounts(b, s)
	p.findGroups(b.rows[:b.n], s)
	p.add(b.rows[:b.n], s)
	return nil
}

// findAccounts leaves the number of each row's account in s.key.
func (p *partition) findAccounts(b *buffer, s *scratch) {
	rows := b.rows[:b.n]
	end := uint32(0)
	for i := range rows {
		r := &rows[i]
		s.tail[i] = end
		if r.idLen() > prefixLen {
			end += r.idLen() - prefixLen
		}
		s.hash[i] = p.seed.id(r.hi, r.lo, r.idLen(), b.tails[s.tail[i]:end])
		s.found[i] = p.ids.first(s.hash[i])
	}
	touched := s.touched
	for i := range rows {
		s.found[i] = p.ids.candidate(s.hash[i], s.found[i])
		touched += p.accounts.at(s.found[i]).hi
	}
	s.touched = touched
	for i := range rows {
		r := &rows[i]
		number := s.found[i]
		if a := p.accounts.at(number); a.hi != r.hi || a.lo != r.lo || a.size != r.idLen() || a.size > prefixLen {
			tail := b.tails[s.tail[i]:]
			if r.idLen() > prefixLen {
				tail = tail[:r.idLen()-prefixLen]
			}
			number = p.account(r, s.hash[i], tail)
		}
		s.key[i] = uint64(number)<<32 | uint64(uint32(r.day))
	}
}

// account returns the number of the account with this id, made if it is new.
func (p *partition) account(r *row, hash uint64, tail []byte) uint32 {
	number, empty := p.ids.search(hash, func(number uint32) bool {
		a := p.accounts.at(number)
		return a.hi == r.hi && a.lo == r.lo && a.size == r.idLen() && (a.size <= prefixLen || bytes.Equal(p.tailOf(a), tail))
	})
	if number == 0 {
		number = p.accounts.add()
		p.ids.put(empty, hash, number)
		a := p.accounts.at(number)
		*a = account{hi: r.hi, lo: r.lo, size: r.idLen()}
		if a.size > prefixLen {
			a.tail = p.tails.add(tail)
		}
	}
	return number
}

func (p *partition) tailOf(a *account) []byte {
	if a.size <= prefixLen {
		return nil
	}
	return p.tails.at(a.tail, int(a.size-prefixLen))
}

func (p *partition) hashOf(number uint32) uint64 {
	a := p.accounts.at(number)
	return p.seed.id(a.hi, a.lo, a.size, p.tailOf(a))
}

// findGroups leaves in s.found the number of what is probably each row's group.
func (p *partition) findGroups(rows []row, s *scratch) {
	for i := range rows {
		s.hash[i] = p.seed.key(s.key[i])
		s.found[i] = p.sums.first(s.hash[i])
	}
	touched := s.touched
	for i := range rows {
		s.found[i] = p.sums.candidate(s.hash[i], s.found[i])
		touched += p.groups.at(s.found[i]).key
	}
	s.touched = touched
}

func (p *partition) add(rows []row, s *scratch) {
	for i := range rows {
		r, number := &rows[i], s.found[i]
		g := p.groups.at(number)
		if g.key != s.key[i] {
			number = p.group(s.key[i], s.hash[i])
			g = p.groups.at(number)
		}
		total, revenue := g.total+r.amount, g.revenue+r.revenue()
		if (g.total^total)&(r.amount^total)|(g.revenue^revenue)&(r.revenue()^revenue) < 0 {
			p.carry(number, r, total, revenue)
		}
		g.total, g.revenue = total, revenue
		g.count++
	}
}

// carry notes which sums of a group r made wrap.
func (p *partition) carry(number uint32, r *row, total, revenue int64) {
	g, c := p.groups.at(number), p.wide[number]
	c.total += wrapped(g.total, r.amount, total)
	c.revenue += wrapped(g.revenue, r.revenue(), revenue)
	if p.wide == nil {
		p.wide = make(map[uint32]carry)
	}
	p.wide[number] = c
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

// group returns the number of the group with this key, made if it is new.
func (p *partition) group(key, hash uint64) uint32 {
	number, empty := p.sums.search(hash, func(number uint32) bool { return p.groups.at(number).key == key })
	if number == 0 {
		number = p.groups.add()
		p.sums.put(empty, hash, number)
		g := p.groups.at(number)
		*g = group{key: key}
		p.accounts.at(uint32(key>>32)).groups++
		p.days.add(g.day())
	}
	return number
}
