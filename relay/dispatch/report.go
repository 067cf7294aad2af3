package dispatch

import (
	"context"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"omnirelay/relay"
)

// logAttempt writes the one line of an attempt. Its level says whether somebody should look:
// a first-try success and the repetition of a known failure are debug, a success after
// retries and a new failure are info, a dead letter is a warning.
func (w *Owner) logAttempt(a *relay.Attempt, e *relay.Entry) {
	level := zerolog.DebugLevel
	switch {
	case a.Outcome == relay.Dead && e.Kind != relay.KindEvent:
		level = zerolog.WarnLevel
	case a.Outcome == relay.Delivered && a.Number > 1, a.Outcome == relay.Retry && a.Number <= 1:
		level = zerolog.InfoLevel
	}
	ev := w.log.WithLevel(level)
	if w.log.GetLevel() > level || ev == nil {
		return
	}
	ev.Str("id", string(a.MessageID)).
		Str("destination", string(a.Destination)).
		Int64("channel", a.ChannelID).
		Str("conversation", a.Conversation).
		Uint64("position", a.Position).
		Int("attempt", a.Number).
		Str("outcome", string(a.Outcome)).
		Str("reason", string(a.Reason)).
		Int("status", a.Status).
		Dur("duration", time.Duration(a.Duration)).
		Dur("age", a.StartedAt.Sub(e.AcceptedAt))
	if !a.NextAt.IsZero() {
		ev.Time("next", a.NextAt)
	}
	if a.Error != "" {
		ev.Str("error", a.Error)
	}
	if a.By != "" {
		ev.Str("by", a.By)
	}
	ev.Msg("attempt")
}

// breakerChanged tells people and metrics that a destination went down or came back.
func (w *Owner) breakerChanged(d *destination, reason relay.Reason) {
	if d.breaker.open {
		w.o.Metrics.breakerOpened(1)
		w.log.Warn().Str("destination", string(d.name)).Str("reason", string(reason)).
			Time("probe", d.breaker.openUntil).Msg("endpoint is down; its messages wait, others flow")
		return
	}
	w.o.Metrics.breakerOpened(-1)
	w.log.Info().Str("destination", string(d.name)).Uint64("backlog", w.state.Open(d.name)).
		Msg("endpoint is back; catching up")
}

// holdGone pauses a destination that answered 410: it asked for no more.
func (d *destination) holdGone() {
	d.held = true
	d.empty()
	d.w.background(func() func() {
		ctx, cancel := context.WithTimeout(d.w.work, 10*time.Second)
		defer cancel()
		if err := d.w.o.Holds.Hold(ctx, d.name, "relay", "the endpoint answered 410 Gone"); err != nil {
			d.w.log.Error().Err(err).Str("destination", string(d.name)).Msg("the hold after a 410 was not stored; it ends with a restart")
		}
		return func() {}
	})
}

func (m *Metrics) attempt(a *relay.Attempt) {
	if m == nil {
		return
	}
	m.attempts.WithLabelValues(string(a.Outcome), string(a.Reason)).Inc()
	if a.Duration > 0 {
		m.seconds.Observe(time.Duration(a.Duration).Seconds())
	}
}

func (m *Metrics) breakerOpened(n float64) {
	if m != nil {
		m.breakers.Add(n)
	}
}

func (m *Metrics) requestsUnderWay(n float64) {
	if m != nil {
		m.requests.Add(n)
	}
}

func (m *Metrics) requestsWaiting(n float64) {
	if m != nil {
		m.waiting.Add(n)
	}
}

func (m *Metrics) setOpen(shard int, n uint64) {
	if m != nil {
		m.open.WithLabelValues(strconv.Itoa(shard)).Set(float64(n))
	}
}
