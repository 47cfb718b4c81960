package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics times requests. Labels are bounded: the route's pattern and never
// the path, the method only where a route takes it, and the status.
type metrics struct{ requests *prometheus.HistogramVec }

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "sluice_http_request_duration_seconds",
		Help:    "Time from the request's header to the end of its answer.",
		Buckets: []float64{.001, .005, .025, .1, .5, 2.5, 10, 60},
	}, []string{"route", "method", "status"})}
	if r != nil {
		r.MustRegister(m.requests)
	}
	return m
}

// observe is the outermost middleware: it has the answer written for an
// error, so that the status is known.
func (m *metrics) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		route, method, status := c.Path(), c.Request().Method, c.Response().Status
		if status == http.StatusNotFound || status == http.StatusMethodNotAllowed { // path or method may be the client's invention
			method = "any"
		}
		m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(time.Since(start).Seconds())
		return nil
	}
}
