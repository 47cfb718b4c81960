package worker

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/job"
)

// metrics counts attempts by their outcome: completed, failed, released,
// died, lost.
type metrics struct {
	seconds   *prometheus.HistogramVec
	rows      *prometheus.CounterVec
	rejects   *prometheus.CounterVec
	recovered prometheus.Counter
	orphans   prometheus.Counter
	retired   prometheus.Counter
	behind    prometheus.Gauge

	deliveries *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "sluice_job_attempt_duration_seconds",
			Help:    "Time from the claim of a job to the end of the attempt.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 9), // 10 ms to 11 min
		}, []string{"outcome"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_job_rows_total", Help: "Records read by attempts, by verdict.",
		}, []string{"verdict"}),
		rejects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_job_rejects_total", Help: "Records rejected by attempts, by reason: a word of the parser's, never of a file's.",
		}, []string{"reason"}),
		recovered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_jobs_recovered_total", Help: "Jobs put back into the queue that nobody worked on: their lease had run out, or their River job was lost.",
		}),
		orphans: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_job_orphans_total", Help: "Objects of lost attempts deleted.",
		}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_webhook_attempts_total", Help: "Attempts at telling a webhook, by what they came to.",
		}, []string{"outcome"}),
		retired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "sluice_jobs_retired_total", Help: "Ended jobs deleted because they were kept long enough.",
		}),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sluice_jobs_retention_behind", Help: "1 where the last housekeeping of this process left jobs past their retention to the next, else 0.",
		}),
	}
	for _, outcome := range []string{"completed", "failed", "released", "died", "lost"} { // rates begin at 0
		m.seconds.WithLabelValues(outcome)
	}
	for _, outcome := range []job.Outcome{job.Delivered, job.Again, job.GivenUp, job.Disabled} {
		m.deliveries.WithLabelValues(string(outcome))
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.seconds, m.rows, m.rejects, m.recovered, m.orphans, m.retired, m.behind, m.deliveries} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) ended(outcome string, a *attempt) {
	m.seconds.WithLabelValues(outcome).Observe(time.Since(a.began).Seconds())
	if a.result != nil {
		m.rows.WithLabelValues("accepted").Add(float64(a.result.Accepted))
		m.rows.WithLabelValues("rejected").Add(float64(a.result.Rejected))
		for reason, n := range a.result.ByReason {
			m.rejects.WithLabelValues(string(reason)).Add(float64(n))
		}
	}
}
