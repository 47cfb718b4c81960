package rollup

import (
	"errors"
	"fmt"
	"os"
)

// maxRuns bounds the runs of a file, and so the buffers by which they are read
// at the same time.
const maxRuns = 64

// runFile is the temporary file of a partition.
type runFile struct {
	f    *os.File
	end  int64
	runs []run
}

// run is a sorted part of a file. An account is in it once.
type run struct {
	from, to int64
	size     size
}

func newRunFile(dir string) (*runFile, error) {
	f, err := tempFile(dir)
	if err != nil {
		return nil, fmt.Errorf("create temporary file: %w", err)
	}
	return &runFile{f: f}, nil
}

// append writes what m yields as one more run.
func (f *runFile) append(m *merger) error {
	w := newRunWriter(f.f, f.end)
	r := run{from: f.end}
	for {
		ok, err := m.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		r.size.accounts++
		r.size.groups += len(m.days)
		if err := w.write(m.id, m.days); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	r.to = w.at
	f.end, f.runs = r.to, append(f.runs, r)
	return nil
}

func (f *runFile) sources() []source {
	all := make([]source, len(f.runs))
	for i, r := range f.runs {
		all[i] = newRunReader(f.f, r)
	}
	return all
}

// spill writes the sums to the file as a run, and begins anew in the same
// memory. Tables and lists that leave too little room for what comes now are given
// up. Behind an error nothing can be added.
func (p *partition) spill(scratch *groupScratch) (err error) {
	defer func() { p.err = err }()
	p.addAll(scratch)
	switch {
	case p.file == nil:
		p.file, err = newRunFile(p.dir)
	case len(p.file.runs) >= maxRuns:
		err = p.compact()
	}
	if err != nil {
		return err
	}
	if err := p.write(p.file, []source{&memory{p: p, s: p.sort()}}); err != nil {
		return err
	}
	clear(p.ids.slots)
	for i := range p.sums {
		p.sums[i].clear()
	}
	p.accounts.clear()
	p.tails.reset()
	if p.bytes() > p.share/2 {
		p.sums = [sumsEach]sums{}
	}
	return nil
}

func (p *partition) write(f *runFile, sources []source) error {
	m, err := newMerger(sources)
	if err != nil {
		return err
	}
	from := f.end
	err = f.append(m)
	p.spilled += f.end - from
	return err
}

// compact makes one run of all, in a file that takes the place of the first.
func (p *partition) compact() error {
	f, err := newRunFile(p.dir)
	if err != nil {
		return err
	}
	if err := p.write(f, p.file.sources()); err != nil {
		return errors.Join(err, f.f.Close())
	}
	old := p.file
	p.file = f
	if err := old.f.Close(); err != nil {
		return fmt.Errorf("close temporary file: %w", err)
	}
	return nil
}

// finish leaves the sums sorted in memory or, where some are in the file, all of
// them there in one run.
func (p *partition) finish() error {
	if p.err != nil {
		return p.err
	}
	scratch := new(groupScratch)
	if p.file == nil {
		p.addAll(scratch)
		p.sorted = p.sort()
		p.counted.accounts = int(p.accounts.n)
		for i := range p.sums {
			p.counted.groups += int(p.sums[i].groups.n)
		}
		return nil
	}
	if p.accounts.n > 0 {
		if err := p.spill(scratch); err != nil {
			return err
		}
	}
	p.ids, p.sums, p.tails = table{}, [sumsEach]sums{}, arena{}
	p.accounts, p.free = slabs[account]{}, free{}
	if len(p.file.runs) > 1 {
		if err := p.compact(); err != nil {
			return err
		}
	}
	p.counted = p.file.runs[0].size
	return nil
}

// source gives the sums of a finished partition.
func (p *partition) source() source {
	if p.file == nil {
		return &memory{p: p, s: p.sorted}
	}
	return newRunReader(p.file.f, p.file.runs[0])
}

func (p *partition) close() error {
	if p.file == nil {
		return nil
	}
	if err := p.file.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close temporary file: %w", err)
	}
	return nil
}
