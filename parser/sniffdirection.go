package parser

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// directionWords are the pairs, credit first, by which banks say in which
// direction an unsigned amount went.
var directionWords = [...][2]string{
	{"credit", "debit"},
	{"credit", "debet"},
	{"kredit", "debit"},
	{"kredit", "debet"},
	{"crédit", "débit"},
	{"crédito", "débito"},
	{"credito", "debito"},
	{"abono", "cargo"},
	{"haben", "soll"},
	{"gutschrift", "lastschrift"},
	{"bij", "af"},
	{"in", "out"},
	{"приход", "расход"},
	{"crdt", "dbit"},
	{"cr", "dr"},
	{"c", "d"},
	{"k", "d"},
	{"h", "s"},
	{"+", "-"},
}

// sniffDirection makes a column of a known name the direction of the amounts
// where it says so: the amounts of the sample are without a sign, and every
// word in the column is one for credit or debit. It then returns them, as they
// may be spelled; else the column is nothing to d any more. A configured
// direction is returned as it is.
func sniffDirection(h *head, cfg *Config, d *dialect) *Direction {
	place, ok := d.columns[direction]
	if cfg.Direction != nil || !ok {
		return cfg.Direction
	}
	words, unsigned := map[string]bool{}, place.again == 0 && d.columns[Amount].position > 0
	for f := range h.sample(d) {
		if unsigned = unsigned && !isSigned(trim(f.value(d.columns[Amount].position-1))); !unsigned {
			break
		}
		words[strings.ToLower(string(trim(f.value(place.position-1))))] = true
	}
	found := &Direction{Column: Ref{Position: place.position}}
	known := map[string]bool{}
	for _, pair := range directionWords {
		if words[pair[0]] || words[pair[1]] {
			found.Credit = appendSpellings(found.Credit, pair[0])
			found.Debit = appendSpellings(found.Debit, pair[1])
			known[pair[0]], known[pair[1]] = true, true
		}
	}
	for word := range words {
		unsigned = unsigned && known[word]
	}
	if !unsigned || len(words) == 0 {
		delete(d.columns, direction)
		return nil
	}
	return found
}

// isSigned reports whether an amount says of itself that it is negative, or
// that it is positive.
func isSigned(amount []byte) bool {
	text := string(amount)
	upper := strings.ToUpper(text)
	return strings.ContainsAny(text, "+-(\u2212") || strings.HasSuffix(upper, "CR") || strings.HasSuffix(upper, "DR")
}

// appendSpellings appends the ways in which a lower-case word is written, but
// for those that list has.
func appendSpellings(list []string, word string) []string {
	_, first := utf8.DecodeRuneInString(word)
	for _, w := range [...]string{word, strings.ToUpper(word[:first]) + word[first:], strings.ToUpper(word)} {
		if !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}
