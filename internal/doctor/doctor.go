// Package doctor looks for what would keep Sluice from working, by doing what it
// would do: it asks the database, uses the bucket, compares clocks, and says of
// each thing that is wrong what to do about it.
//
// It changes nothing but objects of its own, which it deletes. It does not know
// jobs, uploads or HTTP.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sluice/internal/blob"
)

// Status is what a check came to.
type Status string

// The statuses, from good to bad.
const (
	OK   Status = "ok"
	Skip Status = "skip" // what it needs is not there
	Warn Status = "warn" // it works, and someone should look
	Fail Status = "fail"
)

// Finding is one check and what it came to.
type Finding struct {
	Check  string `json:"check"` // such as "bucket: put"
	Status Status `json:"status"`
	Detail string `json:"detail"`        // what was seen
	Fix    string `json:"fix,omitempty"` // what to do, where something is wrong
}

// Config is what a look needs; Pool and Bucket are required and stay the caller's.
type Config struct {
	Pool   *pgxpool.Pool
	Bucket *blob.Bucket
	// Keep is how long objects are needed at least: what a lifecycle rule deletes
	// earlier is lost. 0: for ever.
	Keep time.Duration
	// Watched returns where partners write, for the events of their buckets to be
	// tried. Nil: no events are taken.
	Watched func(context.Context) ([]Place, error)
	// Heard is the channel of Postgres on which gateways repeat of which probes they
	// were told, each as bucket/key.
	Heard string
	// EventWait is what an event gets to arrive. 0: 10 s.
	EventWait time.Duration
}

// Place is where a partner writes. Probe is a key there that becomes no job.
type Place struct{ Bucket, Prefix, Probe string }

// checkTimeout bounds each group of checks.
const checkTimeout = 30 * time.Second

// maxSkew is what clocks may differ by. S3 refuses at 15 minutes, receivers of
// webhooks at 5; what differs by more than this is not kept in step by anything.
const maxSkew = 30 * time.Second

// Look makes every check and returns what each came to, in their order.
func Look(ctx context.Context, cfg Config) ([]Finding, error) {
	if cfg.Pool == nil || cfg.Bucket == nil {
		return nil, errors.New("doctor: Pool and Bucket are required")
	}
	cfg.EventWait = cmp.Or(cfg.EventWait, 10*time.Second)
	l := &look{cfg: cfg}
	for _, group := range []func(context.Context){l.database, l.bucket} {
		bounded, cancel := context.WithTimeout(ctx, checkTimeout)
		group(bounded)
		cancel()
	}
	l.hook(ctx) // which bounds each place by itself
	return l.found, nil
}

// look collects findings.
type look struct {
	cfg   Config
	found []Finding
}

func (l *look) add(check string, s Status, detail, fix string) {
	l.found = append(l.found, Finding{Check: check, Status: s, Detail: detail, Fix: fix})
}

// skip says that checks could not be made.
func (l *look) skip(why string, checks ...string) {
	for _, c := range checks {
		l.add(c, Skip, why, "")
	}
}

// skew judges the difference between a server's clock and this machine's.
func (l *look) skew(check, server string, ahead time.Duration, err error) {
	switch {
	case err != nil:
		l.add(check, Fail, err.Error(), "see the check before it")
	case ahead.Abs() > maxSkew:
		l.add(check, Fail, fmt.Sprintf("the clock of %s is %s ahead of this machine's", server, ahead.Round(time.Second)),
			"keep both machines in step by NTP: S3 refuses requests at 15m, receivers of webhooks at 5m")
	default:
		l.add(check, OK, fmt.Sprintf("%s apart", ahead.Abs().Round(time.Millisecond)), "")
	}
}
