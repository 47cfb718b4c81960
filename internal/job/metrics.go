package job

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/internal/scope"
)

// gaugeTimeout bounds what a scrape waits for the database: Prometheus itself
// waits 10 s for the whole.
const gaugeTimeout = 5 * time.Second

// metrics counts the changes of state that this process makes, and tells how the
// queue stands. The queue is one for all processes: each of them shows the same
// figures, of which a dashboard takes the largest.
//
// Tenants are counted and never named: a label of theirs would grow without bound.
type metrics struct {
	steps *prometheus.CounterVec

	store                                                                          *Store
	up, unfinished, held, paused, age, overdue, tenants, busiestTenant, deliveries *prometheus.Desc
}

func newMetrics(s *Store) *metrics {
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_"+name, help, labels, nil)
	}
	m := &metrics{
		store: s,
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_job_steps_total", Help: "Jobs brought to a state by this process, OPEN at their creation.",
		}, []string{"state"}),
		up:            gauge("queue_up", "1 while the database answers what the other gauges of the queue ask, else 0, and they are missing."),
		unfinished:    gauge("jobs_unfinished", "Jobs that have not ended, by state; OPEN counts uploads, partial ones too.", "state"),
		held:          gauge("jobs_held", "Queued jobs that wait for others of their tenant, which has as many under way as it may."),
		paused:        gauge("queues_paused", "Queues of which workers take nothing, for an operator has paused them."),
		age:           gauge("queue_age_seconds", "How long ago the job was due that waits longest for a worker."),
		overdue:       gauge("lease_overdue_seconds", "How long ago the lease ran out of the job that waits longest to be recovered."),
		tenants:       gauge("tenants_unfinished", "Tenants with jobs that wait or run."),
		deliveries:    gauge("webhook_deliveries_waiting", "Events that are on their way to a webhook, or wait for their next attempt."),
		busiestTenant: gauge("tenant_unfinished_jobs_max", "Jobs that wait or run of the tenant that has most of them."),
	}
	for _, state := range States() { // rates begin at 0, not at their first 1
		m.steps.WithLabelValues(string(state))
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.steps, m} {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.up, m.unfinished, m.held, m.paused, m.age, m.overdue, m.tenants, m.busiestTenant, m.deliveries} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A database that does not answer takes
// away its own gauges, and not the whole scrape.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), gaugeTimeout) // a Collector is given none
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	now, err := m.store.as(scope.System).Gauges(ctx)
	if err != nil {
		m.store.log.WarnContext(ctx, "queue not measured", slog.Any("err", err))
		gauge(m.up, 0)
		return
	}
	gauge(m.up, 1)
	gauge(m.unfinished, float64(now.Open), string(Open))
	gauge(m.unfinished, float64(now.Queued), string(UploadComplete))
	gauge(m.unfinished, float64(now.Running), string(InProgress))
	gauge(m.held, float64(now.Held))
	gauge(m.paused, float64(now.Paused))
	gauge(m.age, max(0, now.QueueAge)) // below 0 where all that waits is due later
	gauge(m.overdue, max(0, now.LeaseOverdue))
	gauge(m.tenants, float64(now.Tenants))
	gauge(m.busiestTenant, float64(now.Busiest))
	gauge(m.deliveries, float64(now.Deliveries))
}
