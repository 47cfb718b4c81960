package credit

// followRisk lowers the other two thresholds under a risk_threshold that was
// given without them.
func (c *Config) followRisk(given map[string]bool) {
	if given["risk_threshold"] && !given["medium_threshold"] && !given["decline_threshold"] {
		c.mediumThreshold = min(c.mediumThreshold, c.riskThreshold)
		c.declineThreshold = min(c.declineThreshold, c.mediumThreshold)
	}
}

// check refuses settings that contradict each other.
func (c *Config) check() error {
	switch {
	case c.mediumThreshold < c.declineThreshold:
		return refuse("medium_threshold", "must not be below decline_threshold, %s", appendDecimal(nil, c.declineThreshold))
	case c.riskThreshold < c.mediumThreshold:
		return refuse("risk_threshold", "must not be below medium_threshold, %s", appendDecimal(nil, c.mediumThreshold))
	case c.maxAmount < c.minAmount:
		return refuse("max_amount", "must not be below min_amount, %s", appendDecimal(nil, c.minAmount))
	case c.scoreMax <= c.scoreMin:
		return refuse("score_max", "must be above score_min, %d", c.scoreMin)
	}
	for _, amount := range []struct {
		key   string
		value int64
	}{{"amount_step", c.amountStep}, {"min_amount", c.minAmount}, {"max_amount", c.maxAmount}} {
		if amount.value%c.minorUnit != 0 {
			return refuse(amount.key, "must have no more decimals than currency_exponent, %d", c.currencyExponent)
		}
	}
	return nil
}

// minorUnit returns 10^-exponent in millionths.
func minorUnit(exponent int64) int64 {
	unit := int64(PPM)
	for range exponent {
		unit /= 10
	}
	return unit
}
