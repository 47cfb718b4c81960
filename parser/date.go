package parser

import (
	"encoding/binary"
	"math/bits"
)

// dates reads the dates of one file. Files repeat their days, so it remembers
// the last ones; it is for one goroutine.
type dates struct {
	form  dateForm
	cache [512]dateEntry
}

// dateEntry is a date text of 4 to 16 bytes, as its first and last eight (or
// four): with its length, that is all of it.
type dateEntry struct {
	head, tail uint64
	length     int32 // 0 = empty
	day        int32
}

// parse returns the day that b gives, alone or followed by a time of day.
func (d *dates) parse(b []byte) (day int32, ok bool) {
	if d.form.fixed > 0 && len(b) > d.form.fixed {
		if !isTimeSuffix(b[d.form.fixed:]) {
			return 0, false
		}
		b = b[:d.form.fixed]
	}
	key, cached := dateKey(b)
	if !cached {
		return d.form.parse(b)
	}
	const mix = 0x9e3779b97f4a7c15 // 2^64 / golden ratio
	e := &d.cache[(bits.RotateLeft64(key.head, 29)^key.tail)*mix>>(64-9)]
	if e.head == key.head && e.tail == key.tail && e.length == key.length {
		return e.day, true
	}
	if key.day, ok = d.form.parse(b); ok {
		*e = key
	}
	return key.day, ok
}

func dateKey(b []byte) (dateEntry, bool) {
	n := len(b)
	switch {
	case n >= 8 && n <= 16:
		return dateEntry{
			head: binary.LittleEndian.Uint64(b), tail: binary.LittleEndian.Uint64(b[n-8:]), length: int32(n),
		}, true
	case n >= 4 && n < 8:
		return dateEntry{
			head: uint64(binary.LittleEndian.Uint32(b)), tail: uint64(binary.LittleEndian.Uint32(b[n-4:])), length: int32(n),
		}, true
	}
	return dateEntry{}, false
}

// dayNumber returns the days from 1970-01-01 to a date of the proleptic
// Gregorian calendar; ok is false when there is no such day.
func dayNumber(year, month, day int) (n int32, ok bool) {
	if year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	// Years begin in March, so that the leap day is their last.
	if month <= 2 {
		year, month = year-1, month+12
	}
	const epoch = 719_469 // 0000-03-01 to 1970-01-01, and one for counting days from 1
	return int32(365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - epoch), true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// isTimeSuffix reports whether b is "T" or a space and a valid time of day:
// H[H]:MM[:SS[.fraction]], a second of 60 too, and possibly a zone.
func isTimeSuffix(b []byte) bool {
	if len(b) < len("TH:MM") || b[0] != 'T' && b[0] != ' ' {
		return false
	}
	if b = b[1:]; b[1] != ':' { // some banks write the hours before ten with one digit
		if !twoDigits(b, 23) {
			return false
		}
		b = b[1:]
	}
	if !isDigit(b[0]) || b[1] != ':' || !twoDigits(b[2:], 59) {
		return false
	}
	b = b[4:]
	if len(b) > 0 && b[0] == ':' {
		if !twoDigits(b[1:], 60) {
			return false
		}
		b = skipFraction(b[3:])
	}
	return isZone(b)
}

// skipFraction removes a point or comma and the digits that must follow it;
// where none do it removes nothing, and what is left is no zone.
func skipFraction(b []byte) []byte {
	if len(b) < 2 || b[0] != '.' && b[0] != ',' {
		return b
	}
	i := 1
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == 1 {
		return b
	}
	return b[i:]
}

// isZone reports whether b is empty, Z, UTC, ±HH, ±HHMM or ±HH:MM, after at
// most one space.
func isZone(b []byte) bool {
	if len(b) > 1 && b[0] == ' ' {
		b = b[1:]
	}
	switch {
	case len(b) == 0 || string(b) == "Z" || string(b) == "UTC":
		return true
	case b[0] != '+' && b[0] != '-' || !twoDigits(b[1:], 23):
		return false
	}
	b = b[3:]
	if len(b) > 0 && b[0] == ':' {
		b = b[1:]
		return len(b) == 2 && twoDigits(b, 59)
	}
	return len(b) == 0 || len(b) == 2 && twoDigits(b, 59)
}

// twoDigits reports whether b begins with two digits of at most limit.
func twoDigits(b []byte, limit int) bool {
	return len(b) >= 2 && isDigit(b[0]) && isDigit(b[1]) && int(b[0]-'0')*10+int(b[1]-'0') <= limit
}

func isDigit(c byte) bool { return c-'0' <= 9 }
