package parser

import (
	"iter"
	"slices"
	"strings"
)

// sampleRecords is how many records decide on the forms of dates and amounts
// (PARSING.md), as far as the head holds them.
const sampleRecords = 1_000

// sample yields the fields of the first rows that are whole. They are valid
// until the next.
func (h *head) sample(d *dialect) iter.Seq[*fields] {
	return func(yield func(*fields) bool) {
		s := h.scan(d.delimiter, d.offset, d.lines)
		s.fields.guarded = d.guarded
		for range sampleRecords {
			ok, err := s.advance()
			if err != nil || !ok || h.cutShort(s) {
				return
			}
			if s.record.fault == "" && d.holds(s.fields.count) && !yield(&s.fields) {
				return
			}
		}
	}
}

// dateForms are the forms that a file can be found to have. M and D read
// padded numbers too, so no two forms differ only in that.
func dateForms() []dateForm {
	var forms []dateForm
	for _, format := range []string{
		"D.M.YYYY", "M.D.YYYY", "YYYY.M.D", "D.M.YY", "M.D.YY",
		"D/M/YYYY", "M/D/YYYY", "YYYY/M/D", "D/M/YY", "M/D/YY",
		"D-M-YYYY", "M-D-YYYY", "YYYY-M-D", "D-M-YY", "M-D-YY",
		"YYYYMMDD", "DDMMYYYY", "MMDDYYYY", "YYMMDD", "DDMMYY", "MMDDYY",
		"D MMM YYYY", "D MMM YY", "D-MMM-YYYY", "D-MMM-YY", "D/MMM/YYYY", "D MMM, YYYY", "MMM D, YYYY",
	} {
		f, _ := compileDateForm(format) // a test compiles them all
		forms = append(forms, f)
	}
	return forms
}

// dayOf1900 is 1900-01-01. A day before that, in digits alone with the year
// last, is the year, month and day of our time: 20121115 is not of the year 1115.
const dayOf1900 = -25_567

// endsInYear tells of DDMMYYYY and MMDDYYYY.
func (f *dateForm) endsInYear() bool {
	return len(f.parts) == 3 && f.parts[2].what == 'Y' && f.parts[2].max == 4
}

// sniffDateForm returns the form the configuration gives; else the one form
// that reads every date of the sample while ISO reads none; else ISO, whose
// rejects then say what the dates look like. Two such forms are an error.
func sniffDateForm(h *head, cfg *Config, d *dialect) (dateForm, error) {
	iso, err := compileDateForm(cfg.DateFormat)
	if cfg.DateFormat != "" || err != nil {
		return iso, err
	}
	forms, seen := dateForms(), false
	for f := range h.sample(d) {
		date := trim(f.value(d.columns[Date].position - 1))
		if len(date) == 0 {
			continue
		}
		seen = true
		if _, ok := iso.parse(date); ok {
			return iso, nil
		}
		forms = slices.DeleteFunc(forms, func(f dateForm) bool {
			day, ok := f.parse(date)
			return !ok || f.endsInYear() && day < dayOf1900
		})
	}
	switch {
	case !seen:
		return iso, nil
	case len(forms) == 0:
		d.hint("no one form reads every date of the first rows; date_format can give it")
		return iso, nil
	case len(forms) == 1:
		return forms[0], nil
	}
	names := make([]string, len(forms))
	for i, f := range forms {
		names[i] = f.text
	}
	return iso, fileErrorf(AmbiguousDate, d.lines+1, "the dates can be read as %s; date_format must say which", strings.Join(names, " or as "))
}
