package parser

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// miss gathers why no header was found, to say the most helpful thing.
type miss struct {
	matcher *matcher

	names   []string // of the record that came nearest
	count   int      // its fields
	line    int64
	matched int
	missing []Column
	ended   *FileError // what ended the search before there was a record; nil = the limits
}

// consider takes a record that is not the header. The nearest is the one with
// the most known columns, then with the most fields, then the first.
func (m *miss) consider(names []string, count int, line int64, matched int, missing []Column) {
	if m.names == nil || matched > m.matched || matched == m.matched && len(names) > len(m.names) {
		m.names, m.count, m.line, m.matched, m.missing = names, count, line, matched, missing
	}
}

func (m *miss) explain(h *head) error {
	kind := looksLike(h.data)
	switch {
	case kind != "" && !isTextKind(kind):
		return fileErrorf(Binary, 0, "the file looks like %s, not like CSV", kind)
	case m.names == nil && m.ended != nil:
		return m.ended
	case m.names == nil && kind != "":
		return fileErrorf(MissingColumn, 0, "the file looks like %s, not like CSV", kind)
	case m.names == nil:
		return fileErrorf(MissingColumn, 0, "no header was found in the first %d records and %d bytes", headerRecords, headBytes)
	case m.count > maxFields:
		return fileErrorf(TooManyColumns, m.line, "line %d has %d columns; the limit is %d", m.line, m.count, maxFields)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "no column for %s; line %d has %s", listColumns(m.missing), m.line, listNames(m.names))
	unread := slices.DeleteFunc(slices.Clone(m.names), func(name string) bool { return len(m.matcher.meanings(name)) > 0 })
	for _, c := range m.missing {
		if near := cmp.Or(nearest(m.matcher.namesOf(c), unread), telling(c, unread)); near != "" {
			fmt.Fprintf(&b, "; nearest to %s is %q", c, near)
		}
	}
	if kind != "" {
		fmt.Fprintf(&b, "; the file looks like %s", kind)
	}
	if slices.ContainsFunc(m.names, func(name string) bool { return !utf8.ValidString(name) }) {
		b.WriteString("; this is not UTF-8, and encoding must say what it is")
	}
	return &FileError{Code: MissingColumn, Line: m.line, Detail: b.String()}
}

func listColumns(columns []Column) string {
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteString(" and ")
		}
		b.WriteString(string(c))
	}
	return b.String()
}

// listNames quotes the first of a header's names.
func listNames(names []string) string {
	const most = 20
	var b strings.Builder
	for i, name := range names {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(names)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", shown([]byte(name)))
	}
	return b.String()
}

// telling returns the first header name that has a word which begins as the column's
// own name does, such as TX_DATETIME for date; "" when there is none.
func telling(c Column, header []string) string {
	own, _, _ := strings.Cut(string(c), "_")
	for _, name := range header {
		if len(name) > maxShown {
			continue
		}
		for word := range strings.FieldsFuncSeq(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) }) {
			if strings.HasPrefix(word, own) {
				return name
			}
		}
	}
	return ""
}

// nearest returns the header name that is nearest to a known one; "" when none is
// near enough to be a slip of it. Known names come folded.
func nearest(known, header []string) string {
	best, least := "", 0
	slices.Sort(known)
	for _, name := range header {
		folded := []rune(foldName(name))
		if len(folded) == 0 || len(folded) > maxShown {
			continue
		}
		for _, k := range known {
			d := distance(folded, []rune(k))
			if d <= 1+len(k)/6 && 2*d < len(folded) && (best == "" || d < least) {
				best, least = name, d
			}
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			cost := diagonal
			if x != y {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
