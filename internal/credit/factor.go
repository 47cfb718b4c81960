package credit

// factors are steps 4 to 7: each 0 to PPM, but for cv.
type factors struct {
	volume, ratio, consistency int64
	cv                         int64 // -1: not computed
	composite                  int64
}

// rate weighs what a window shows.
func (c *Config) rate(w *window) (f factors) {
	f.volume = c.volume(w)
	f.ratio = c.ratio(w)
	f.consistency, f.cv = c.consistency(w)
	k := c.weights
	points := k.volume*f.volume + k.ratio*f.ratio + k.consistency*f.consistency
	f.composite = halfUpInt(points, k.volume+k.ratio+k.consistency)
	return f
}

// volume is step 4: the monthly averages of revenue and of rows.
func (c *Config) volume(w *window) int64 {
	var revenue nat
	if w.revenue.Sign() > 0 {
		revenue = magnitude(w.revenue)
	}
	months := natOf(w.months)
	amount := c.volumeAmountCurve.at(revenue.mul(natOf(c.minorUnit)), months)
	count := c.volumeCountCurve.at(natOf(w.count).mul(natOf(PPM)), months)
	return halfUpInt(amount*(PPM-c.volumeCountShare)+count*c.volumeCountShare, PPM)
}

// ratio is step 5: revenue beside the net of everything else.
func (c *Config) ratio(w *window) int64 {
	if w.revenue.Sign() <= 0 {
		return 0
	}
	revenue := magnitude(w.revenue)
	flows := revenue.add(magnitude(w.total.Sub(w.revenue)))
	return c.ratioCurve.at(revenue.mul(natOf(PPM)), flows)
}

// consistency is step 6: the less monthly revenue varies, the better. The
// square under the root is at most (n-1)*10^12, since SP^2 >= Q.
func (c *Config) consistency(w *window) (factor, cv int64) {
	if w.peaks.isZero() {
		return 0, -1
	}
	if w.months < c.consistencyMinMonths {
		return c.consistencyDefault, -1
	}
	mean := w.peaks.mul(w.peaks)
	spread := natOf(w.months).mul(w.squares).sub(mean)
	cv = isqrt(spread.mul(natOf(PPM * PPM)).quo(mean).lo)
	return max(0, PPM-halfUpInt(cv*PPM, c.consistencyMaxCV)), cv
}

// halfUpInt is halfUp where 2a+b is below 2^63: a is at most 3*10^18, from
// three weights of a million wholes, in every use.
func halfUpInt(a, b int64) int64 { return (2*a + b) / (2 * b) }
