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
	spans  uint32 // number of its spans; once they are sorted, the place after its last
}

// partition holds the accounts of one range of hashes. Adders take turns at it.
type partition struct {
	mu   sync.Mutex
	seed seed

	ids      table
	accounts slabs[account]
	tails    arena
	sums     [sumsEach]sums // by account number
	days     daySet
	free     free

	share   int64 // bytes of memory past which the sums go to the file
	dir     string
	file    *runFile // nil until then
	spilled int64    // bytes written, over all
	err     error    // why the file could not be written; the sums are of no use then

	sorted  sorted // of the groups in memory, after finish
	counted size   // after finish

	_ [64]byte // the mutex of the next one is on another cache line
}

type size struct{ accounts, groups int }

// free is memory that was given back.
type free struct {
	accounts []*slab[account]
	spans    []*slab[span]
	groups   []*slab[group]
}

// accountBytes is what an account takes, beside its slots. maxShare keeps the
// numbers of groups well within 31 bits.
const (
	accountBytes = 32
	maxShare     = 32 << 30
)

const firstAccounts = 64 // slots of a new table

func (p *partition) init(s seed, share int64, dir string) {
	p.seed, p.share, p.dir = s, share, dir
	p.ids.init(firstAccounts)
	p.accounts.init(&p.free.accounts)
	p.accounts.at(0).size = math.MaxUint32 // no account has this length
}

// bytes is what the accounts and their sums take, but for what an empty partition
// does.
func (p *partition) bytes() int64 {
	n := int64(p.accounts.n)*accountBytes + p.ids.bytes() + p.tails.bytes
	for i := range p.sums {
		n += p.sums[i].bytes()
	}
	return n
}

// scratch is what book remembers of each row between its passes. It belongs to
// the Adder: one for all partitions stays in the first-level cache.
type scratch struct {
	hash    [batchRows]uint64
	found   [batchRows]uint32
	tail    [batchRows]uint32 // where the tail of the row's id begins in buffer.tails
	groups  groupScratch
	touched uint64 // keeps loads that are there for the cache alone from being left out
}

// book adds the rows of b. It goes over them several times, each pass asking
// memory for what the next needs: the cache misses of the rows overlap, where
// row by row each would be waited for.
func (p *partition) book(b *buffer, s *scratch) error {
	if b.n+len(b.streaks) == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if p.accounts.n > 0 && p.bytes() > p.share {
		if err := p.spill(&s.groups); err != nil {
			return err
		}
	}
	p.ids.reserve(p.accounts.n, uint32(b.n+len(b.streaks)), p.hashOf)
	p.findAccounts(b, s)
	p.bookStreaks(b.streaks, &s.groups)
	return nil
}

// findAccounts finds the account of each row and hands the row to its sums.
func (p *partition) findAccounts(b *buffer, s *scratch) {
	rows := b.rows[:b.n]
	end := uint32(0)
	for i := range rows {
		r := &rows[i]
		s.tail[i] = end
		if r.idLen() > prefixLen {
			end += r.idLen() - prefixLen
			s.hash[i] = p.seed.id(r.hi, r.lo, r.idLen(), b.tails[s.tail[i]:end])
		} else {
			s.hash[i] = p.seed.short(r.hi, r.lo, r.idLen())
		}
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
		p.wait(number, r, &s.groups)
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
