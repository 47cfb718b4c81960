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
// memory.
func (p *partition) spill() (err error) {
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
	clear(p.sums.slots)
	clear(p.wide)
	p.accounts.n, p.groups.n = 0, 0
	p.tails.reset()
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
	if p.file == nil {
		p.sorted = p.sort()
		p.counted = size{int(p.accounts.n), int(p.groups.n)}
		return nil
	}
	if p.groups.n > 0 {
		if err := p.spill(); err != nil {
			return err
		}
	}
	p.ids, p.sums, p.tails = table{}, table{}, arena{}
	p.accounts, p.groups = slabs[account]{}, slabs[group]{}
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
