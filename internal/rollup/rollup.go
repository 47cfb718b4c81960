// Package rollup sums a file's rows per account and day, exactly, in bounded
// memory.
//
// Sums are 128-bit integers of minor units, so the result depends neither on
// the order of the rows nor on how they were shared out among goroutines. Rows
// are parted by a hash of their account: a partition holds whole accounts, so
// nothing has to be merged however many goroutines add. Past its budget a
// partition writes its sums to a local file, sorted, and begins anew; at the end
// they are aggregated partition by partition.
//
// The package knows nothing of files of rows, currencies, credit or where the
// sums go.
package rollup

import (
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"runtime"

	"golang.org/x/sync/errgroup"

	"sluice/internal/money"
)

// Config of a Rollup. The zero value is ready for use.
type Config struct {
	// MemoryBytes is what the sums may take in memory before they are written
	// to temporary files. Beside it an empty Rollup takes 3 to 11 MiB, by the
	// number of CPUs, each Adder 150 to 600 KiB, and reading back about 1 MiB per
	// CPU. 0 or less: no limit; a group, that is an (account, day) pair, takes
	// about 45 bytes, or up to 100 where accounts have few days close together.
	MemoryBytes int64
	// TempDir is where temporary files go; "" is os.TempDir(). They have no
	// name, so nothing of them is left whatever dies. On a file system in memory
	// they defeat the budget.
	TempDir string
}

// Rollup holds one sum per (account, day). Its Adders fill it, each in its own
// goroutine; after Finish it is for one goroutine at a time.
type Rollup struct {
	seed       seed
	shift      int // of a hash, leaves the number of its partition
	partitions []partition
	finished   bool
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

// Partitions are four to a CPU, so that two Adders seldom want the same one;
// more than 64 would push an Adder's buffers out of the second-level cache.
const (
	minPartitions = 16
	maxPartitions = 64
)

// New returns an empty Rollup. Close it.
func New(cfg Config) *Rollup {
	want := min(max(4*runtime.GOMAXPROCS(0), minPartitions), maxPartitions)
	n := 1 << bits.Len(uint(want-1))
	r := &Rollup{seed: newSeed(), shift: 64 - bits.Len(uint(n-1)), partitions: make([]partition, n)}
	share := int64(maxShare)
	if cfg.MemoryBytes > 0 {
		share = min(share, cfg.MemoryBytes/int64(n))
	}
	for i := range r.partitions {
		r.partitions[i].init(r.seed, share, cfg.TempDir)
	}
	return r
}

// finishers bounds the partitions that are read back at the same time, each
// with its buffers.
const finishers = 4

// Finish ends the adding: every Adder has been flushed, and none is used again.
// What was written to files is aggregated, partition by partition. An error is
// that of a temporary file.
func (r *Rollup) Finish() error {
	var g errgroup.Group
	g.SetLimit(min(runtime.GOMAXPROCS(0), finishers))
	for i := range r.partitions {
		g.Go(r.partitions[i].finish)
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("aggregate: %w", err)
	}
	r.finished = true
	return nil
}

// errUnfinished says that the rows of some Adder may be missing.
var errUnfinished = errors.New("sums are read before Finish")

// Accounts yields every account by the bytes of its id, ascending. Account and
// its Days are overwritten by the next step; the ID may be kept. The iterator
// may be run again. An error, of a temporary file or for want of Finish, ends
// it. Memory does not grow with the sums.
func (r *Rollup) Accounts() iter.Seq2[*Account, error] {
	return func(yield func(*Account, error) bool) {
		if !r.finished {
			yield(nil, errUnfinished)
			return
		}
		sources := make([]source, len(r.partitions))
		for i := range r.partitions {
			sources[i] = r.partitions[i].source()
		}
		if err := each(sources, yield); err != nil {
			yield(nil, err)
		}
	}
}

// each yields the accounts of all sources until yield has enough.
func each(sources []source, yield func(*Account, error) bool) error {
	m, err := newMerger(sources)
	if err != nil {
		return err
	}
	var out Account
	for {
		ok, err := m.next()
		if err != nil || !ok {
			return err
		}
		out.ID, out.Days = string(m.id), m.days
		if !yield(&out, nil) {
			return nil
		}
	}
}

// MaxDay returns the greatest day that is not after limit; ok is false when
// there is none.
func (r *Rollup) MaxDay(limit int32) (day int32, ok bool) {
	for i := range r.partitions {
		if d, found := r.partitions[i].days.max(limit); found && (!ok || d > day) {
			day, ok = d, true
		}
	}
	return day, ok
}

// Len returns the number of accounts and of (account, day) groups; both are 0
// before Finish.
func (r *Rollup) Len() (accounts, groups int) {
	for i := range r.partitions {
		accounts += r.partitions[i].counted.accounts
		groups += r.partitions[i].counted.groups
	}
	return accounts, groups
}

// Spilled returns the bytes that were written to temporary files.
func (r *Rollup) Spilled() (n int64) {
	for i := range r.partitions {
		n += r.partitions[i].spilled
	}
	return n
}

// Close gives the temporary files back; it may be called twice.
func (r *Rollup) Close() error {
	var errs []error
	for i := range r.partitions {
		errs = append(errs, r.partitions[i].close())
	}
	return errors.Join(errs...)
}
