package idempotency

// StopRenewing is what the death of its process does to a claim.
func StopRenewing(c *Claim) { c.stop() }
