// Package rollup sums a file's rows per account and day, exactly.
//
// Sums are 128-bit integers of minor units, so the result depends neither on
// the order of the rows nor on how the file was cut into batches. The package
// knows nothing of files, currencies, credit or where the sums go.
package rollup

import (
	"cmp"
	"errors"
	"iter"
	"math"
	"slices"
	"strings"

	"sluice/internal/money"
)

// ErrFull is returned by Add for a row that would begin one group more than
// Config.MaxGroups.
var ErrFull = errors.New("too many accounts and days")

// Config of a Rollup. The zero value is ready for use.
type Config struct {
	// MaxGroups is the greatest number of (account, day) pairs, each of which
	// costs about 90 bytes of memory. 0, and anything above it, is 2^32-2.
	MaxGroups int
}

// none ends an account's chain of groups.
const none = math.MaxUint32

// slabLen is the number of groups allocated at a time: slabs never move, so
// growth copies nothing and the peak stays at what is in use.
const slabLen = 1 << 12

// Rollup holds one sum per (account, day). It is for one goroutine at a time.
type Rollup struct {
	maxGroups int
	index     map[string]uint32 // account id → its place in accounts
	accounts  []account
	last      uint32 // place of the account of the last row

	groupOf map[uint64]uint32 // account place << 32 | day → its place in slabs
	slabs   [][]group
	groups  int

	sorted []uint32 // places of accounts by id; nil after a new account
}

// account is an id and the newest of its groups, which chain through older.
type account struct {
	id     string
	newest uint32
}

type group struct {
	Day
	older uint32
}

// Day is what one account did on one day.
type Day struct {
	Day     int32     // days since 1970-01-01
	Total   money.Int // sum of all amounts, minor units
	Revenue money.Int // sum of the amounts that are revenue, minor units
	Count   int64     // rows
}

// Account is one account and its days.
type Account struct {
	ID   string
	Days []Day // ascending, at least one; owned by the iterator
}

// New returns an empty Rollup.
func New(cfg Config) *Rollup {
	if cfg.MaxGroups <= 0 || cfg.MaxGroups > none-1 {
		cfg.MaxGroups = none - 1
	}
	return &Rollup{
		maxGroups: cfg.MaxGroups,
		index:     make(map[string]uint32),
		groupOf:   make(map[uint64]uint32),
	}
}

// Add books one row: amount in minor units on day (days since 1970-01-01),
// counted as revenue too when revenue is set. It copies account. The only
// error is ErrFull, and then nothing was booked.
func (r *Rollup) Add(account []byte, day int32, amount int64, revenue bool) error {
	g, err := r.group(account, day)
	if err != nil {
		return err
	}
	g.Total = g.Total.AddInt64(amount)
	if revenue {
		g.Revenue = g.Revenue.AddInt64(amount)
	}
	g.Count++
	return nil
}

// group returns the group of (id, day), made if it is new. Files are mostly
// ordered by account or by day, so the account of the last row and the newest
// day of an account are tried before the maps.
func (r *Rollup) group(id []byte, day int32) (*group, error) {
	place, known := r.last, r.groups > 0 && r.accounts[r.last].id == string(id)
	if !known {
		place, known = r.index[string(id)]
	}
	key := uint64(place)<<32 | uint64(uint32(day))
	if known {
		r.last = place
		if g := r.at(r.accounts[place].newest); g.Day.Day == day {
			return g, nil
		}
		if n, ok := r.groupOf[key]; ok {
			return r.at(n), nil
		}
	}
	if r.groups >= r.maxGroups {
		return nil, ErrFull
	}
	if !known {
		place = r.addAccount(string(id))
		key = uint64(place)<<32 | uint64(uint32(day))
	}
	return r.addGroup(place, key, day), nil
}

func (r *Rollup) addAccount(id string) uint32 {
	place := uint32(len(r.accounts))
	r.accounts = append(r.accounts, account{id: id, newest: none})
	r.index[id] = place
	r.last, r.sorted = place, nil
	return place
}

func (r *Rollup) addGroup(place uint32, key uint64, day int32) *group {
	if r.groups%slabLen == 0 {
		r.slabs = append(r.slabs, make([]group, slabLen))
	}
	n := uint32(r.groups)
	r.groups++
	r.groupOf[key] = n
	g := r.at(n)
	*g = group{Day: Day{Day: day}, older: r.accounts[place].newest}
	r.accounts[place].newest = n
	return g
}

func (r *Rollup) at(n uint32) *group { return &r.slabs[n/slabLen][n%slabLen] }

// Accounts yields every account by the bytes of its id, ascending. Account and
// its Days are overwritten by the next step, and the iterator may be run again.
// No error can occur while everything is held in memory.
func (r *Rollup) Accounts() iter.Seq2[*Account, error] {
	return func(yield func(*Account, error) bool) {
		var out Account
		for _, place := range r.order() {
			out.ID = r.accounts[place].id
			out.Days = r.days(out.Days[:0], place)
			if !yield(&out, nil) {
				return
			}
		}
	}
}

func (r *Rollup) order() []uint32 {
	if r.sorted == nil {
		r.sorted = make([]uint32, len(r.accounts))
		for i := range r.sorted {
			r.sorted[i] = uint32(i)
		}
		slices.SortFunc(r.sorted, func(a, b uint32) int {
			return strings.Compare(r.accounts[a].id, r.accounts[b].id)
		})
	}
	return r.sorted
}

// days appends the days of an account, ascending. The chain runs from the
// newest back, so turned round it is in order already in most files.
func (r *Rollup) days(dst []Day, place uint32) []Day {
	for n := r.accounts[place].newest; n != none; {
		g := r.at(n)
		dst, n = append(dst, g.Day), g.older
	}
	slices.Reverse(dst)
	slices.SortFunc(dst, func(a, b Day) int { return cmp.Compare(a.Day, b.Day) })
	return dst
}

// MaxDay returns the greatest day that is not after limit; ok is false when
// there is none.
func (r *Rollup) MaxDay(limit int32) (day int32, ok bool) {
	for n := range r.groups {
		if d := r.at(uint32(n)).Day.Day; d <= limit && (!ok || d > day) {
			day, ok = d, true
		}
	}
	return day, ok
}

// Len returns the number of accounts and of (account, day) groups.
func (r *Rollup) Len() (accounts, groups int) { return len(r.accounts), r.groups }
