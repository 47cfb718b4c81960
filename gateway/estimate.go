package gateway

import (
	"context"
	"fmt"
	"math"
	"time"

	"sluice/internal/job"
)

// usualRate is what is reckoned with before a tenant's first job has ended, in
// bytes per second.
const usualRate = 20 << 20

// accepted is what is told of a job whose file has come.
func (g *Gateway) accepted(ctx context.Context, d job.Draft, size int64) acceptedJSON {
	base := g.jobURL(d.ID)
	return acceptedJSON{
		JobID: d.ID, StatusURL: base + "/status/", OffersURL: base + "/offers/", EventsURL: base + "/events/",
		Estimated: g.estimate(ctx, d.Tenant, size), Message: "The file is stored and waits for a worker.",
	}
}

func (g *Gateway) jobURL(id string) string { return g.cfg.PublicURL + "/api/jobs/" + id }

// estimate says in words how long a job of that size will last, by those that
// ended lately. It fails nothing: without a rate it takes the usual one.
func (g *Gateway) estimate(ctx context.Context, tenant string, size int64) string {
	rate, err := g.cfg.Jobs.Throughput(ctx, tenant)
	if err != nil {
		g.log.WarnContext(ctx, "throughput not read", "err", err)
	}
	if rate <= 0 {
		rate = usualRate
	}
	return inWords(time.Duration(float64(size) / rate * float64(time.Second)))
}

// inWords rounds up, to seconds below two minutes, then to minutes.
func inWords(d time.Duration) string {
	n, unit := math.Ceil(d.Seconds()), "second"
	if n >= 120 {
		n, unit = math.Ceil(d.Minutes()), "minute"
	}
	if n <= 1 {
		return "about 1 " + unit
	}
	return fmt.Sprintf("about %.0f %ss", n, unit)
}
