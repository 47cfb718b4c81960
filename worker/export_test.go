package worker

import "time"

// Timeouts are what River is told of each kind, and Rescue is when it takes a
// job for stuck.
func Timeouts() map[string]time.Duration {
	return map[string]time.Duration{
		"ingest":  (&ingest{}).Timeout(nil),
		"sweep":   (&sweep{}).Timeout(nil),
		"compose": (&compose{}).Timeout(nil),
		"deliver": (&deliver{}).Timeout(nil),
		"watch":   (&watch{}).Timeout(nil),
	}
}

// Rescue is when River takes a job for stuck.
const Rescue = rescueAfter

// Backoff is how long a job waits after that many attempts.
var Backoff = backoff
