package parser

import (
	"iter"
	"slices"
)

// sampled is an amount as the file writes it, and whether its column makes it
// negative.
type sampled struct {
	text  string
	debit bool
}

// sniffAmountForm returns the form the configuration gives, or the plain one,
// if it reads any amount of the sample. Else it is the one form that reads
// every one; where none does, or two do and disagree, it is plain again: its
// rejects then say what the amounts look like, and d has a hint.
func sniffAmountForm(h *head, cfg *Config, d *dialect) amountForm {
	plain := amountForm{
		decimal: orElse(cfg.DecimalSeparator, '.'), thousands: cfg.ThousandsSeparator, exponent: cfg.CurrencyExponent,
		unsigned: d.columns[direction].position > 0 || d.columns[Amount].position == 0,
	}
	plain.marked = plain.thousands == ' ' || plain.thousands == '\''
	var amounts []sampled
	for a := range h.sampleAmounts(d) {
		if plain.reads(a) {
			return plain
		}
		amounts = append(amounts, a)
	}
	if len(amounts) == 0 || plain.nearlyReads(amounts) {
		return plain
	}
	var found []amountForm
	for _, f := range amountForms(cfg, plain, currencyOf([]byte(amounts[0].text))) {
		if !slices.ContainsFunc(amounts, func(a sampled) bool { return !f.fits(a) }) {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		d.hint("no one form reads every amount of the first rows; decimal_separator and thousands_separator can give it")
		return plain
	}
	for _, f := range found[1:] {
		if !f.agrees(&found[0], amounts) {
			d.hint("the amounts can be read with either decimal separator; decimal_separator must say which")
			return plain
		}
	}
	return found[0].unmarkedIfSo(amounts)
}

// sampleAmounts yields the amounts of the sample, empty ones left out.
func (h *head) sampleAmounts(d *dialect) iter.Seq[sampled] {
	return func(yield func(sampled) bool) {
		for f := range h.sample(d) {
			for _, c := range [...]Column{Amount, Debit, Credit} {
				p, ok := d.columns[c]
				if !ok {
					continue
				}
				text := trim(f.value(p.position - 1))
				if len(text) > 0 && !yield(sampled{text: string(text), debit: c == Debit}) {
					return
				}
			}
		}
	}
}

// amountForms are those a file can be found to have, the ones a file should
// have first: of forms that read the same, a group of thousands is better
// known than not, as it may come later.
func amountForms(cfg *Config, plain amountForm, currency string) []amountForm {
	separators := []string{".,", ". ", ".'", ".\x00", ",.", ", ", ",'", ",\x00"}
	if cfg.DecimalSeparator != 0 || cfg.ThousandsSeparator != 0 {
		separators = []string{string([]byte{plain.decimal, plain.thousands})}
	}
	styles := []signStyle{signLeads, signParens, signTrails, signLetters}
	if plain.unsigned {
		styles = []signStyle{signLeads, signColumns}
	}
	var forms []amountForm
	for _, style := range styles {
		for _, pair := range separators {
			f := plain
			f.decimal, f.thousands, f.style, f.currency, f.marked = pair[0], pair[1], style, currency, true
			forms = append(forms, f)
		}
	}
	return forms
}

func (f *amountForm) reads(a sampled) bool {
	_, fault := f.read([]byte(a.text), a.debit)
	return fault == "" || fault == OutOfRange
}

// nearlyReads reports whether f reads every amount but for its decimals, of
// which there are more than the currency has: those are bad amounts, and the
// point in them groups no thousands.
func (f amountForm) nearlyReads(amounts []sampled) bool {
	f.exponent = maxExponent
	return !slices.ContainsFunc(amounts, func(a sampled) bool { return !f.reads(a) })
}

// agrees reports whether f reads what another form does.
func (f *amountForm) agrees(other *amountForm, amounts []sampled) bool {
	for _, a := range amounts {
		x, _ := f.read([]byte(a.text), a.debit)
		y, _ := other.read([]byte(a.text), a.debit)
		if x != y {
			return false
		}
	}
	return true
}

// fits is reads for a form that was not given: every amount must show its mark.
func (f *amountForm) fits(a sampled) bool {
	minor, mark, fault := f.readMarked([]byte(a.text), a.debit)
	if fault != "" && fault != OutOfRange {
		return false
	}
	return mark || f.style == signLeads || f.style == signColumns && (minor == 0 || !a.debit)
}

// unmarkedIfSo spares a file of ASCII digits and separators the search for
// marks in every row.
func (f amountForm) unmarkedIfSo(amounts []sampled) amountForm {
	f.marked = f.style != signLeads || f.currency != "" || f.thousands == ' ' || f.thousands == '\'' ||
		slices.ContainsFunc(amounts, func(a sampled) bool {
			return slices.ContainsFunc([]byte(a.text), func(c byte) bool { return c >= 0x80 })
		})
	return f
}
