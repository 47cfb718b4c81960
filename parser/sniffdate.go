package parser

import (
	"slices"
	"strings"
)

// sampleRecords is how many records decide on the form of the dates
// (PARSING.md), as far as the head holds them.
const sampleRecords = 1_000

// dateForms are the forms that a file can be found to have. M and D read
// padded numbers too, so no two forms differ only in that.
func dateForms() []dateForm {
	var forms []dateForm
	for _, format := range []string{
		"D.M.YYYY", "M.D.YYYY", "YYYY.M.D", "D.M.YY", "M.D.YY",
		"D/M/YYYY", "M/D/YYYY", "YYYY/M/D", "D/M/YY", "M/D/YY",
		"D-M-YYYY", "M-D-YYYY", "YYYY-M-D", "D-M-YY", "M-D-YY",
		"YYYYMMDD", "DDMMYYYY", "MMDDYYYY", "YYMMDD", "DDMMYY", "MMDDYY",
	} {
		f, _ := compileDateForm(format) // a test compiles them all
		forms = append(forms, f)
	}
	return forms
}

// sniffDateForm returns the form the configuration gives; else the one form
// that reads every date of the sample while ISO reads none; else ISO, whose
// rejects then say what the dates look like. Two such forms are an error.
func sniffDateForm(h *head, cfg *Config, d *dialect) (dateForm, error) {
	iso, err := compileDateForm(cfg.DateFormat)
	if cfg.DateFormat != "" || err != nil {
		return iso, err
	}
	s := h.scan(d.delimiter, d.offset, d.lines)
	forms, seen := dateForms(), false
	for range sampleRecords {
		ok, err := s.advance()
		if err != nil || !ok || h.cutShort(s) {
			break
		}
		if s.record.fault != "" || s.fields.count != d.width {
			continue
		}
		date := trim(s.fields.value(d.columns[Date].position - 1))
		if len(date) == 0 {
			continue
		}
		seen = true
		if _, ok := iso.parse(date); ok {
			return iso, nil
		}
		forms = slices.DeleteFunc(forms, func(f dateForm) bool {
			_, ok := f.parse(date)
			return !ok
		})
	}
	switch {
	case !seen || len(forms) == 0:
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
