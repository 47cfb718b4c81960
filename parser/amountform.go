package parser

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// signStyle is how a file says that an amount is negative.
type signStyle byte

const (
	signLeads   signStyle = iota // -5.00
	signTrails                   // 5.00-
	signParens                   // (5.00)
	signLetters                  // 5.00 DR, and 5.00 CR for a positive one
	signColumns                  // -5.00 in the debit column, +5.00 or 5.00 in the credit column
)

// read is parse for an amount as the file writes it, marks and all.
func (f *amountForm) read(b []byte, negative bool) (minor int64, fault Reason) {
	if !f.marked {
		return f.parse(b, negative)
	}
	minor, _, fault = f.readMarked(b, negative)
	return minor, fault
}

// readMarked takes the marks off and reads what they leave. mark reports
// whether there was one: a currency, or a sign that is not a leading one.
func (f *amountForm) readMarked(b []byte, negative bool) (minor int64, mark bool, fault Reason) {
	var space [64]byte
	b, sign := f.cutSign(plainSpelling(space[:0], b))
	mark = f.currency != "" || f.style != signLeads && sign != 0
	b, ok := f.cutCurrency(b, &sign)
	if !ok || f.style == signLetters && sign == 0 {
		return 0, mark, BadAmount
	}
	if negative, ok = f.isNegative(sign, negative); !ok {
		return 0, mark, BadAmount
	}
	digits := *f
	digits.unsigned = true // a second sign is one too many
	minor, fault = digits.parse(b, negative)
	if f.style == signColumns && negative && sign == 0 && minor != 0 {
		return 0, mark, BadAmount
	}
	return minor, mark, fault
}

// isNegative puts the sign of the amount and that of its column together; ok
// is false where they contradict.
func (f *amountForm) isNegative(sign byte, column bool) (negative, ok bool) {
	switch {
	case f.style == signColumns:
		return column, sign == 0 || column == (sign == '-')
	case f.unsigned:
		return column, sign == 0
	case sign == 0:
		return column, true
	}
	return sign == '-', true
}

// cutSign takes the sign off that stands outside of all else.
func (f *amountForm) cutSign(b []byte) (rest []byte, sign byte) {
	n := len(b)
	switch {
	case n < 2:
	case f.style == signTrails && isSign(b[n-1]):
		return trim(b[:n-1]), b[n-1]
	case f.style == signParens && b[0] == '(' && b[n-1] == ')':
		return trim(b[1 : n-1]), '-'
	case f.style == signLetters && n > 2 && hasFold(b[n-2:], "CR"):
		return trim(b[:n-2]), '+'
	case f.style == signLetters && n > 2 && hasFold(b[n-2:], "DR"):
		return trim(b[:n-2]), '-'
	case (f.style == signLeads || f.style == signColumns) && isSign(b[0]):
		return b[1:], b[0]
	}
	return b, 0
}

// cutCurrency takes the currency off, before or after the digits, and a sign
// between the two; ok is false where the file's currency is missing.
func (f *amountForm) cutCurrency(b []byte, sign *byte) (rest []byte, ok bool) {
	if f.currency == "" {
		return b, true
	}
	if rest, ok = bytes.CutSuffix(b, []byte(f.currency)); ok {
		return trim(rest), true
	}
	if rest, ok = bytes.CutPrefix(b, []byte(f.currency)); !ok {
		return b, false
	}
	rest = trim(rest)
	if (f.style == signLeads || f.style == signColumns) && *sign == 0 && len(rest) > 0 && isSign(rest[0]) {
		*sign, rest = rest[0], rest[1:]
	}
	return rest, true
}

func isSign(c byte) bool { return c == '-' || c == '+' }

func hasFold(b []byte, upper string) bool { return bytes.EqualFold(b, []byte(upper)) }

// plainSpelling appends b with the minus, the spaces and the apostrophe that
// typographers prefer in the spelling of ASCII.
func plainSpelling(dst, b []byte) []byte {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		switch r {
		case '\u00a0', '\u2009', '\u202f': // no-break, thin, narrow no-break
			dst = append(dst, ' ')
		case '\u2019':
			dst = append(dst, '\'')
		case '\u2212':
			dst = append(dst, '-')
		default:
			dst = append(dst, b[:size]...)
		}
		b = b[size:]
	}
	return trim(dst)
}

// currencyOf finds the currency that an amount is written with: one sign of
// Unicode's, a code of three letters, or one of a few words.
func currencyOf(amount []byte) string {
	isMark := func(r rune) bool { return unicode.IsLetter(r) || unicode.Is(unicode.Sc, r) || r == '.' }
	text := bytes.Trim(plainSpelling(nil, amount), "+-() ")
	for _, word := range [...][]byte{
		text[:len(text)-len(bytes.TrimLeftFunc(text, isMark))],
		text[len(bytes.TrimRightFunc(text, isMark)):],
	} {
		if isCurrency(string(word)) {
			return string(word)
		}
	}
	return ""
}

func isCurrency(word string) bool {
	switch word {
	case "kr", "kr.", "Kč", "zł", "Ft", "lei", "Rs", "Rs.", "Fr.", "SFr.", "лв", "р.", "руб", "руб.", "TL",
		"R$", "S$", "A$", "C$", "US$", "CA$", "AU$", "NZ$", "HK$", "NT$":
		return true
	}
	if r, size := utf8.DecodeRuneInString(word); size == len(word) {
		return unicode.Is(unicode.Sc, r)
	}
	for i := range len(word) {
		if word[i] < 'A' || word[i] > 'Z' {
			return false
		}
	}
	return len(word) == 3
}

// String shows the form by an example, as "-1.234,56" or "€ 1,234.56 CR".
func (f *amountForm) String() string {
	number := "1234"
	if f.thousands != 0 {
		number = "1" + string(f.thousands) + "234"
	}
	if f.exponent > 0 {
		number += string(f.decimal) + "567890"[:f.exponent]
	}
	if f.currency != "" {
		number = fmt.Sprintf("%s %s", f.currency, number)
	}
	switch {
	case f.style == signTrails:
		return number + "-"
	case f.style == signParens:
		return "(" + number + ")"
	case f.style == signLetters:
		return number + " CR or DR"
	case f.style == signColumns:
		return "-" + number + " or +" + number
	case f.unsigned:
		return number
	}
	return "-" + number
}
