package rollup

import "math/bits"

const (
	pageDays  = 1 << 12
	pageWords = pageDays / 64
)

// daySet is a set of days. Files hold few of them, close together, so a page of
// eleven years is mostly the last one that was asked for.
type daySet struct {
	pages  map[int32]*[pageWords]uint64 // by day / pageDays, rounded down
	last   *[pageWords]uint64
	number int32 // of last
}

func (s *daySet) add(day int32) {
	if number := day >> 12; s.last == nil || s.number != number {
		if s.pages == nil {
			s.pages = make(map[int32]*[pageWords]uint64)
		}
		if s.pages[number] == nil {
			s.pages[number] = new([pageWords]uint64)
		}
		s.last, s.number = s.pages[number], number
	}
	bit := uint32(day) % pageDays
	s.last[bit/64] |= 1 << (bit % 64)
}

// max returns the greatest day that is not after limit.
func (s *daySet) max(limit int32) (day int32, ok bool) {
	for number, page := range s.pages {
		for w := pageWords - 1; w >= 0; w-- {
			first := number<<12 + int32(w)*64 // day of the word's lowest bit
			word := page[w]
			if first > limit || word == 0 {
				continue
			}
			if above := int64(limit) - int64(first); above < 63 {
				word &= 1<<(above+1) - 1
			}
			if word == 0 {
				continue
			}
			if d := first + int32(bits.Len64(word)) - 1; !ok || d > day {
				day, ok = d, true
			}
			break
		}
	}
	return day, ok
}
