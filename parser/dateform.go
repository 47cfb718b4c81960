package parser

import (
	"bytes"
	"strings"
)

// isoDate is the form that needs no setting.
const isoDate = "YYYY-MM-DD"

// dateForm is a compiled date_format. Its zero value reads nothing.
type dateForm struct {
	text  string // as given
	parts []datePart
	fixed int // bytes of every date in this form; 0 where they vary
}

// datePart is a number of the date, or a byte between two.
type datePart struct {
	what     byte // 'Y', 'M', 'D', or 0 for literal
	literal  byte
	min, max int  // digits
	named    bool // of a month: the first three letters of its English name
}

// compileDateForm reads a date_format, "" being ISO; a time of day at its end
// says nothing new, as any date may be followed by one. The error is a
// *ConfigError for date_format.
func compileDateForm(format string) (dateForm, error) {
	if format == "" {
		format = isoDate
	}
	f := dateForm{text: format}
	seen := ""
	for rest := trimTime(format); rest != ""; {
		part, n := nextDatePart(rest)
		switch {
		case n == 0:
			return f, configErrorf("date_format", "unknown token at %q; want YYYY, YY, MMM, MM, M, DD, D and separators", rest)
		case part.what != 0 && strings.IndexByte(seen, part.what) >= 0:
			return f, configErrorf("date_format", "%q is given twice", rest[:n])
		case part.what != 0:
			seen += string(part.what)
		}
		f.parts = append(f.parts, part)
		rest = rest[n:]
	}
	if len(seen) != 3 {
		return f, configErrorf("date_format", "want a year, a month and a day")
	}
	return f, f.measure()
}

// measure finds the form's fixed length, and a number whose end nothing marks.
func (f *dateForm) measure() error {
	varies := false
	for i, p := range f.parts {
		if p.what == 0 {
			f.fixed++
			continue
		}
		f.fixed += p.max
		if p.min != p.max {
			varies = true
			if i+1 < len(f.parts) && f.parts[i+1].what != 0 {
				return configErrorf("date_format", "M and D need a separator after them")
			}
		}
	}
	if varies {
		f.fixed = 0
	}
	return nil
}

// nextDatePart reads the part that format begins with; n = 0 says that it is
// none.
func nextDatePart(format string) (part datePart, n int) {
	c := format[0]
	for n < len(format) && format[n] == c {
		n++
	}
	switch {
	case c == 'Y' && (n == 2 || n == 4):
		return datePart{what: c, min: n, max: n}, n
	case c == 'M' && n == 3:
		return datePart{what: c, min: n, max: n, named: true}, n
	case (c == 'M' || c == 'D') && n <= 2:
		return datePart{what: c, min: n, max: 2}, n
	case isAlphanumeric(c):
		return datePart{}, 0
	}
	return datePart{literal: c}, 1
}

// trimTime cuts a time of day off a date_format.
func trimTime(format string) string {
	for _, suffix := range []string{"HH:MM:SS", "HH:MM"} {
		if s, ok := strings.CutSuffix(format, suffix); ok && s != "" {
			if last := s[len(s)-1]; last == ' ' || last == 'T' {
				return s[:len(s)-1]
			}
		}
	}
	return format
}

// parse reads a date; what follows it must be a time of day or nothing.
func (f *dateForm) parse(b []byte) (day int32, ok bool) {
	var year, month, dayOfMonth int
	for _, p := range f.parts {
		if p.what == 0 {
			if len(b) == 0 || b[0] != p.literal {
				return 0, false
			}
			b = b[1:]
			continue
		}
		value, n := p.read(b)
		if n < p.min {
			return 0, false
		}
		b = b[n:]
		switch p.what {
		case 'Y':
			year = value
			if p.max == 2 {
				year = fullYear(value)
			}
		case 'M':
			month = value
		default:
			dayOfMonth = value
		}
	}
	if len(b) > 0 && !isTimeSuffix(b) {
		return 0, false
	}
	return dayNumber(year, month, dayOfMonth)
}

// read reads the part's number, of n bytes; n < p.min says that it is none.
func (p *datePart) read(b []byte) (value, n int) {
	if p.named {
		return monthOf(b)
	}
	for n < p.max && n < len(b) && isDigit(b[n]) {
		value = value*10 + int(b[n]-'0')
		n++
	}
	return value, n
}

// monthOf reads the first three letters of an English month, in any case.
func monthOf(b []byte) (month, n int) {
	const names, letters = "janfebmaraprmayjunjulaugsepoctnovdec", 3
	if len(b) < letters {
		return 0, 0
	}
	for at := 0; at < len(names); at += letters {
		if bytes.EqualFold(b[:letters], []byte(names[at:at+letters])) {
			return at/letters + 1, letters
		}
	}
	return 0, 0
}

// fullYear puts YY into 1970–2069 (PARSING.md).
func fullYear(yy int) int {
	if yy >= 70 {
		return 1900 + yy
	}
	return 2000 + yy
}
