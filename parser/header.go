package parser

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
	wanted   []Column // in the order in which a missing one is named
	required map[Column]bool
	names    map[string][]meaning // by folded name
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

func newMatcher(cfg *Config) *matcher {
	m := &matcher{required: map[Column]bool{}, names: map[string][]meaning{}, fixed: map[Column]int{}}
	for _, c := range []Column{AccountID, Date, Amount, Debit, Credit, direction, IsRevenue, Description} {
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
			m.learn(ref.Name, c, exact)
		default:
			m.learn(string(c), c, exact)
			for _, name := range synonyms(c) {
				m.learn(name, c, synonym)
			}
			for _, name := range makeshifts(c) {
				m.learn(name, c, makeshift)
			}
		}
	}
	return m
}

func (m *matcher) learn(name string, c Column, r rank) {
	folded := foldName(name)
	m.names[folded] = append(m.names[folded], meaning{column: c, rank: r})
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
	known, ok := m.names[foldName(name)]
	if n := len(name) - len("(EUR)"); !ok && n > 0 && name[n] == '(' && name[len(name)-1] == ')' && isCurrency(name[n+1:len(name)-1]) {
		return m.names[foldName(name[:n])]
	}
	return known
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

// known returns the names under which c would have been found.
func (m *matcher) known(c Column) []string {
	var names []string
	for name, meanings := range m.names {
		for _, meaning := range meanings {
			if meaning.column == c {
				names = append(names, name)
			}
		}
	}
	return names
}
