package upload

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	stored, parts, merges, takeovers, fenced, orphans prometheus.Counter
}

func newMetrics(r prometheus.Registerer, mem *memory) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_upload_" + name, Help: help})
	}
	m := &metrics{
		stored:    counter("stored_bytes_total", "Bytes acknowledged."),
		parts:     counter("parts_total", "Parts recorded."),
		merges:    counter("merges_total", "Parts that took the place of a remainder."),
		takeovers: counter("takeovers_total", "Locks taken from a holder that did not let go in time."),
		fenced:    counter("fenced_total", "Writers that found the upload taken over."),
		orphans:   counter("orphans_total", "Objects deleted that no manifest named."),
	}
	if r == nil {
		return m, nil
	}
	buffered := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sluice_upload_buffer_bytes", Help: "Memory held by bytes on their way to S3.",
	}, func() float64 { return float64(mem.used.Load()) })
	for _, c := range []prometheus.Collector{m.stored, m.parts, m.merges, m.takeovers, m.fenced, m.orphans, buffered} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
