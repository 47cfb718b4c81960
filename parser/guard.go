package parser

import (
	"strings"
	"unicode/utf8"
)

// rejectsColumns begin the header of a file of rejects. In such a file an apostrophe
// stands before what a spreadsheet would run, which is none of the cell.
var rejectsColumns = [...]string{"line", "reason", "detail"}

// RejectsColumns are the names of the columns that a file of rejects has before the
// rows' own. By them it is known when it is sent again.
func RejectsColumns() []string { return rejectsColumns[:] }

func isRejects(header []string) bool {
	return len(header) > len(rejectsColumns) && [len(rejectsColumns)]string(header) == rejectsColumns
}

// Guarded tells whether a cell has an apostrophe put before it in a file of rejects: a
// formula, and one that has apostrophes before it as it came, so that each is told from
// the other when the apostrophe is taken away again.
func Guarded[T string | []byte](cell T) bool {
	own := 0
	for own < len(cell) && cell[own] == '\'' {
		own++
	}
	return Formula(cell[own:])
}

// unguard takes the apostrophe away.
func unguard[T string | []byte](cell T) T {
	if len(cell) > 0 && cell[0] == '\'' && Guarded(cell) {
		return cell[1:]
	}
	return cell
}

// Formula tells whether a spreadsheet would take the cell of a CSV for a formula,
// and run it: by what OWASP's "CSV Injection" lists, full-width forms included. A
// signed number it would not, and an amount is to stay one.
func Formula[T string | []byte](cell T) bool {
	if len(cell) == 0 {
		return false
	}
	switch cell[0] {
	case '=', '@', '\t', '\r', '\n':
		return true
	case '+', '-':
		return !number(cell[1:])
	case "\uFF1D"[0]:
		first, _ := utf8.DecodeRuneInString(string(cell[:min(len(cell), utf8.UTFMax)]))
		return strings.ContainsRune("\uFF1D\uFF0B\uFF0D\uFF20", first)
	}
	return false
}

// number tells whether the text has digits and their separators alone.
func number[T string | []byte](text T) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && c != '.' && c != ',' {
			return false
		}
	}
	return len(text) > 0
}
