package node

import (
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a node counts, in a registry of its own. Their names are part of the interface.
type metrics struct {
	registry *prometheus.Registry

	rounds            prometheus.Counter
	messages          prometheus.Counter
	applySeconds      prometheus.Histogram
	commitSeconds     prometheus.Histogram
	roundMessages     prometheus.Histogram
	roundBytes        prometheus.Histogram
	checkpointSeconds prometheus.Histogram
	checkpointBytes   prometheus.Gauge
	checkpointsFailed prometheus.Counter
	installed         prometheus.Counter
	restarts          prometheus.Counter
	forwarded         prometheus.Counter
	requests          *prometheus.CounterVec
	state             *prometheus.GaugeVec
	transferred       *prometheus.CounterVec

	// These are the counters above of the same meaning, as numbers for the status.
	checkpointsTaken, checkpointsNotTaken, checkpointsInstalled atomic.Uint64

	// transfers are the newest checkpoints on their way to and from the node.
	transfers *transfers
}

func newMetrics(node string, logger *slog.Logger) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.transfers = &transfers{logger: logger, metrics: m}
	to := prometheus.WrapRegistererWith(prometheus.Labels{"node": node}, m.registry)
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		to.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		to.MustRegister(h)
		return h
	}
	seconds := prometheus.ExponentialBuckets(0.00025, 2, 16)
	m.rounds = counter("lockstep_rounds_applied_total", "Rounds applied by the state machine since the node started, replayed ones included.")
	m.messages = counter("lockstep_messages_applied_total", "Messages in the applied rounds.")
	m.applySeconds = histogram("lockstep_round_apply_seconds", "Time to apply one round.", seconds)
	m.commitSeconds = histogram("lockstep_round_commit_seconds", "Time from proposing a round to its result, on the leader.", seconds)
	m.roundMessages = histogram("lockstep_round_messages", "Messages of a proposed round.", prometheus.ExponentialBuckets(1, 2, 17))
	m.roundBytes = histogram("lockstep_round_bytes", "Bytes of the messages of a proposed round.", prometheus.ExponentialBuckets(64, 4, 12))
	m.checkpointSeconds = histogram("lockstep_checkpoint_seconds", "Time to write one checkpoint.", prometheus.ExponentialBuckets(0.001, 2, 18))
	m.checkpointBytes = prometheus.NewGauge(prometheus.GaugeOpts{Name: "lockstep_checkpoint_bytes", Help: "Size of the newest checkpoint as it would be sent."})
	to.MustRegister(m.checkpointBytes)
	m.checkpointsFailed = counter("lockstep_checkpoints_failed_total", "Checkpoints that could not be written.")
	m.installed = counter("lockstep_checkpoints_installed_total", "Checkpoints installed from a leader.")
	m.restarts = counter("lockstep_replica_restarts_total", "Restarts of the replica inside the node: to cut a log that a leader's checkpoint contradicts, to leave behind what is damaged, to end a transfer of leadership.")
	m.forwarded = counter("lockstep_requests_forwarded_total", "Requests passed on to the leader.")
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lockstep_requests_total",
		Help: "Client requests by kind (update, query, install, session) and outcome (done, refused, unknown)."}, []string{"kind", "outcome"})
	m.state = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "lockstep_node_state", Help: "1 for the state that the node is in."}, []string{"state"})
	m.transferred = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "lockstep_checkpoint_transfer_bytes_total",
		Help: "Bytes that transfers of checkpoints took, in both directions, by direction (sending, receiving)."}, []string{"direction"})
	to.MustRegister(m.requests, m.state, m.transferred)
	return m
}

func (m *metrics) setState(s State) {
	for _, known := range states {
		value := 0.0
		if known == s {
			value = 1
		}
		m.state.WithLabelValues(known.String()).Set(value)
	}
}
