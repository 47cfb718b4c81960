package rollup

import "bytes"

// source gives accounts in ascending order of their ids.
type source interface {
	// next moves to the next account; false is the end.
	next() (bool, error)
	// id is that of the account, until next is called.
	id() []byte
	// days appends the account's days, ascending. It is called once for each
	// account.
	days(dst []Day) ([]Day, error)
}

// merger makes one sequence of several sources; the sums of an account that
// more than one of them has are added up.
type merger struct {
	heap []head // the source with the least id is the first
	id   []byte // of the account, until next is called
	days []Day  // of the account, likewise

	ends  []int // of the lists of the sources in days
	other []Day
}

// head is a source and the id of the account it has come to.
type head struct {
	id     []byte
	source source
}

func newMerger(sources []source) (*merger, error) {
	m := &merger{}
	for _, s := range sources {
		ok, err := s.next()
		if err != nil {
			return nil, err
		}
		if ok {
			m.heap = append(m.heap, head{s.id(), s})
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m, nil
}

// next moves to the next account; false is the end.
func (m *merger) next() (bool, error) {
	if len(m.heap) == 0 {
		return false, nil
	}
	m.id = append(m.id[:0], m.heap[0].id...)
	m.days, m.ends = m.days[:0], m.ends[:0]
	for len(m.heap) > 0 && bytes.Equal(m.heap[0].id, m.id) {
		var err error
		if m.days, err = m.heap[0].source.days(m.days); err != nil {
			return false, err
		}
		m.ends = append(m.ends, len(m.days))
		if err := m.advance(); err != nil {
			return false, err
		}
	}
	for len(m.ends) > 1 {
		m.addPairs()
	}
	return true, nil
}

// advance moves the first source on, and finds the one that is first now.
func (m *merger) advance() error {
	ok, err := m.heap[0].source.next()
	switch last := len(m.heap) - 1; {
	case err != nil:
		return err
	case ok:
		m.heap[0].id = m.heap[0].source.id()
	default:
		m.heap[0] = m.heap[last]
		m.heap = m.heap[:last]
	}
	m.down(0)
	return nil
}

// down restores the order of the heap below i.
func (m *merger) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m.heap); child++ {
			if bytes.Compare(m.heap[child].id, m.heap[least].id) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}

// addPairs halves the number of lists in days.
func (m *merger) addPairs() {
	dst, ends, from := m.other[:0], m.ends[:0], 0
	for i := 0; i < len(m.ends); i += 2 {
		middle, end := m.ends[i], m.ends[min(i+1, len(m.ends)-1)]
		dst = addLists(dst, m.days[from:middle], m.days[middle:end])
		ends, from = append(ends, len(dst)), end
	}
	m.days, m.other, m.ends = dst, m.days, ends
}

// addLists appends the sums of two lists, each ascending by day.
func addLists(dst, a, b []Day) []Day {
	for len(a) > 0 && len(b) > 0 {
		switch x, y := &a[0], &b[0]; {
		case x.Day < y.Day:
			dst, a = append(dst, *x), a[1:]
		case x.Day > y.Day:
			dst, b = append(dst, *y), b[1:]
		default:
			dst = append(dst, Day{x.Day, x.Total.Add(y.Total), x.Revenue.Add(y.Revenue), x.Count + y.Count})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(dst, a...), b...)
}
