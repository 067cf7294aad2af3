package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"

	"omnirelay/relay"
)

// Metrics counts what owners do.
type Metrics struct {
	attempts *prometheus.CounterVec // outcome, reason
	seconds  prometheus.Histogram
	breakers prometheus.Gauge
	requests prometheus.Gauge
	waiting  prometheus.Gauge
	open     *prometheus.GaugeVec // shard
}

// NewMetrics registers the metrics; every label combination starts at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "omnirelay_attempts_total", Help: "Attempts that ended, by outcome and reason.",
		}, []string{"outcome", "reason"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "omnirelay_attempt_seconds", Help: "Duration of delivery requests.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}),
		breakers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "omnirelay_breakers_open", Help: "Destinations whose circuit breaker is open.",
		}),
		requests: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "omnirelay_requests_under_way", Help: "Delivery requests that have not ended yet.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "omnirelay_destinations_waiting", Help: "Destinations that wait because delivery.total_concurrency is reached.",
		}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "omnirelay_open_messages", Help: "Accepted messages that are not settled yet, by shard.",
		}, []string{"shard"}),
	}
	for _, outcome := range []relay.Outcome{relay.Delivered, relay.Retry, relay.Dead} {
		for _, reason := range relay.Reasons() {
			m.attempts.WithLabelValues(string(outcome), string(reason))
		}
	}
	reg.MustRegister(m.attempts, m.seconds, m.breakers, m.requests, m.waiting, m.open)
	return m
}
