package credit

// point is a corner of a curve: x in millionths, y in ppm.
type point struct{ x, y int64 }

// curve is a line through at least two points, x strictly rising and y not
// falling, flat before the first and after the last.
type curve []point

// at returns y, in ppm, at x = num/den millionths. The ratio is never rounded
// to get there: an average that lies on a corner is on the corner exactly.
func (c curve) at(num, den nat) int64 {
	for i, p := range c {
		if beyond(num, p.x, den) {
			continue
		}
		if i == 0 {
			return p.y
		}
		from := c[i-1]
		rise := past(num, from.x, den).mul(natOf(p.y - from.y))
		run := natOf(p.x - from.x).mul(den)
		return from.y + halfUp(rise, run).int64()
	}
	return c[len(c)-1].y
}

// beyond reports whether num/den > x. Averages are never negative; a corner of
// a curve may be.
func beyond(num nat, x int64, den nat) bool {
	return x < 0 || natOf(x).mul(den).less(num)
}

// past returns num - x*den, where num/den >= x.
func past(num nat, x int64, den nat) nat {
	if x < 0 {
		return num.add(natOf(-x).mul(den))
	}
	return num.sub(natOf(x).mul(den))
}
