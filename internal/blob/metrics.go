package blob

import (
	"fmt"
	"strconv"
	"time"

	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	seconds *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil
	}
	m := &metrics{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sluice_s3_request_duration_seconds",
		Help:    "Time of S3 requests to the response's header, each attempt on its own, by operation and status (0: no response).",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 8), // 1 ms to 16 s
	}, []string{"operation", "status"})}
	if err := r.Register(m.seconds); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}

func (m *metrics) attempt(operation string, took time.Duration, response any) {
	status := 0
	if r, ok := response.(*smithyhttp.Response); ok && r != nil && r.Response != nil {
		status = r.StatusCode
	}
	m.seconds.WithLabelValues(operation, strconv.Itoa(status)).Observe(took.Seconds())
}
