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
	return acceptedJSON{g.linksTo(d.ID), lasting(size, g.rate(ctx, d.Tenant)), "The file is stored and waits for a worker."}
}

func (g *Gateway) linksTo(id string) jobLinks {
	base := g.jobURL(id)
	return jobLinks{JobID: id, StatusURL: base + "/status/", OffersURL: base + "/offers/", EventsURL: base + "/events/"}
}

func (g *Gateway) jobURL(id string) string { return g.cfg.PublicURL + "/api/jobs/" + id }

// rate is how fast the tenant's jobs were worked at lately, in bytes per second.
// It fails nothing: where it cannot be read it is the usual one.
func (g *Gateway) rate(ctx context.Context, tenant string) float64 {
	rate, err := g.cfg.Jobs.Throughput(ctx, tenant)
	if err != nil {
		g.log.WarnContext(ctx, "throughput not read", "err", err)
	}
	if rate <= 0 {
		return usualRate
	}
	return rate
}

// lasting says in words how long a job of that size will last. It rounds up, to
// seconds below two minutes, then to minutes.
func lasting(size int64, rate float64) string {
	d := time.Duration(float64(size) / rate * float64(time.Second))
	n, unit := math.Ceil(d.Seconds()), "second"
	if n >= 120 {
		n, unit = math.Ceil(d.Minutes()), "minute"
	}
	if n <= 1 {
		return "about 1 " + unit
	}
	return fmt.Sprintf("about %.0f %ss", n, unit)
}
