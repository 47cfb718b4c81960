package credit

// Days are counted from 1970-01-01 and months from year 0, both in the
// proleptic Gregorian calendar. Inside, a year begins on 1 March, so that the
// leap day is its last (Howard Hinnant, "chrono-compatible low-level date
// algorithms").
const (
	daysPer400Years = 146097
	marchEpoch      = 719468 // days from 0000-03-01 to 1970-01-01
)

// monthOf returns 12*year + month - 1 of a day.
func monthOf(day int32) int64 {
	days := int64(day) + marchEpoch
	era := floorDiv(days, daysPer400Years)
	d := days - era*daysPer400Years
	year := (d - d/1460 + d/36524 - d/146096) / 365
	d -= 365*year + year/4 - year/100
	march := (5*d + 2) / 153 // months since March
	return 12*(400*era+year) + march + 2
}

// firstDay returns the first day of a month.
func firstDay(month int64) int64 {
	march := month - 2
	year := floorDiv(march, 12)
	era := floorDiv(year, 400)
	y := year - 400*era
	d := 365*y + y/4 - y/100 + (153*(march-12*year)+2)/5
	return era*daysPer400Years + d - marchEpoch
}

func floorDiv(a, b int64) int64 {
	if a < 0 {
		return -((b - 1 - a) / b)
	}
	return a / b
}
