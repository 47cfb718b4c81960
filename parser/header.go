package parser

import (
	"slices"
	"sync"
)

// rank says how sure a header name is. A name the configuration gives and a
// column's own name (account_id) come before what banks call it (account), and
// that comes before what serves where there is nothing better (the value date):
// so a file that has two of them is not ambiguous.
type rank int

const (
	exact rank = iota
	synonym
	makeshift
)

// matcher finds the columns of a file in its header.
type matcher struct {
	wanted   []Column // in the order of columns
	required map[Column]bool
	named    map[string][]meaning // by folded name, those the configuration gives
	known    map[Column]bool      // columns that have all their known names
	fixed    map[Column]int       // 1-based positions the configuration gives
}

type meaning struct {
	column Column
	rank   rank
}

// place is where a column was found.
type place struct {
	position int // 1-based; 0 = nowhere
	again    int // a second position of the same rank; 0 = none
	rank     rank
}

// columns are all there are, in the order in which a missing one is named.
var columns = [...]Column{AccountID, Date, Amount, Debit, Credit, direction, IsRevenue, Description}

func newMatcher(cfg *Config) *matcher {
	m := &matcher{required: map[Column]bool{}, named: map[string][]meaning{}, known: map[Column]bool{}, fixed: map[Column]int{}}
	for _, c := range columns {
		ref, named := cfg.Columns[c]
		if c == direction && cfg.Direction != nil {
			ref, named = cfg.Direction.Column, true
		}
		if !cfg.looksFor(c, named) {
			continue
		}
		m.wanted = append(m.wanted, c)
		m.required[c] = named || c == AccountID || c == Date
		switch {
		case named && ref.Name == "":
			m.fixed[c] = ref.Position
		case named:
			learn(m.named, c, exact, ref.Name)
		default:
			m.known[c] = true
		}
	}
	return m
}

// known is what each folded name means that Sluice knows. It is made once: to
// fold a thousand names takes longer than to read a small file.
var known = sync.OnceValue(func() map[string][]meaning {
	all := map[string][]meaning{}
	for _, c := range columns {
		learn(all, c, exact, string(c))
		learn(all, c, synonym, synonyms(c)...)
		learn(all, c, makeshift, makeshifts(c)...)
	}
	return all
})

func learn(all map[string][]meaning, c Column, r rank, names ...string) {
	for _, name := range names {
		folded := foldName(name)
		all[folded] = append(all[folded], meaning{column: c, rank: r})
	}
}

// looksFor reports whether c has a place to be found; named says that the
// configuration gives it one.
func (c *Config) looksFor(column Column, named bool) bool {
	_, amount := c.Columns[Amount]
	switch column {
	case AccountID:
		return !c.NoAccount && c.AccountID == ""
	case direction:
		return named || !c.splitAmount() && c.hasHeader()
	case Amount:
		return !c.splitAmount()
	case Debit, Credit:
		return named || !amount && !c.splitAmount() && c.Direction == nil && c.hasHeader()
	case IsRevenue, Description:
		return named || c.hasHeader()
	}
	return true
}

// match returns where each wanted column is in the header, and which needed
// ones are nowhere. Of an amount and of debit and credit, only those that are
// to be read are left.
func (m *matcher) match(header []string) (found map[Column]place, missing []Column) {
	found = make(map[Column]place, len(m.wanted))
	for c, position := range m.fixed {
		if position <= len(header) {
			found[c] = place{position: position}
		}
	}
	for i, name := range header {
		for _, meaning := range m.meanings(name) {
			p, ok := found[meaning.column]
			switch {
			case !ok || meaning.rank < p.rank:
				found[meaning.column] = place{position: i + 1, rank: meaning.rank}
			case meaning.rank == p.rank && p.again == 0:
				p.again = i + 1
				found[meaning.column] = p
			}
		}
	}
	m.chooseAmount(found)
	for _, c := range m.wanted {
		if _, ok := found[c]; !ok && m.needs(c, found) {
			missing = append(missing, c)
		}
	}
	return found, missing
}

// meanings are what a header name may mean. A currency in parentheses after it
// says nothing about that.
func (m *matcher) meanings(name string) []meaning {
	found := m.meaningsOf(foldName(name))
	if n := len(name) - len("(EUR)"); len(found) == 0 && n > 0 && name[n] == '(' && name[len(name)-1] == ')' && isCurrency(name[n+1:len(name)-1]) {
		return m.meaningsOf(foldName(name[:n]))
	}
	return found
}

func (m *matcher) meaningsOf(folded string) []meaning {
	found := slices.Clone(m.named[folded])
	for _, meaning := range known()[folded] {
		if m.known[meaning.column] {
			found = append(found, meaning)
		}
	}
	return found
}

// chooseAmount drops what is less sure: the amount, or debit and credit. These
// must both be there to be surer, as one of them alone is not all.
func (m *matcher) chooseAmount(found map[Column]place) {
	amount, ok := found[Amount]
	if !ok {
		return
	}
	debit, debits := found[Debit]
	credit, credits := found[Credit]
	if debits && credits && max(debit.rank, credit.rank) < amount.rank {
		delete(found, Amount)
		return
	}
	delete(found, Debit)
	delete(found, Credit)
}

func (m *matcher) needs(c Column, found map[Column]place) bool {
	if c != Amount {
		return m.required[c]
	}
	_, debit := found[Debit]
	_, credit := found[Credit]
	return !debit && !credit
}

// duplicate names a column that is read and found twice.
func (m *matcher) duplicate(found map[Column]place) (Column, place) {
	for _, c := range m.wanted {
		if p := found[c]; p.again != 0 && c != Description && (c != direction || m.required[c]) {
			return c, p
		}
	}
	return "", place{}
}

// namesOf returns the names, folded, under which c would have been found.
func (m *matcher) namesOf(c Column) []string {
	from := m.named
	if m.known[c] {
		from = known()
	}
	var names []string
	for name, meanings := range from {
		if slices.ContainsFunc(meanings, func(of meaning) bool { return of.column == c }) {
			names = append(names, name)
		}
	}
	return names
}
