package dispatch

import (
	"time"

	"omnirelay/relay"
)

// trial is everything that decides what an attempt's result means for the message.
type trial struct {
	entry     *relay.Entry
	policy    relay.Policy
	attempts  int           // that counted before this one
	stumbles  int           // failures in a row, just before, that the relay itself is to blame for
	born      time.Time     // when its age began: acceptance, or the replay that opened it again
	probe     bool          // the breaker was open: uses up no attempt
	probeNext time.Time     // when the next probe may go; zero when the breaker is closed
	held      time.Duration // how long the message's destination was on hold since born
	startedAt time.Time
	now       time.Time
}

// maxRetryAfter bounds how far a receiver's Retry-After can put off the next attempt, beyond
// the policy's own longest wait.
const maxRetryAfter = time.Hour

// attempt decides what a result means: it fills in the record for the attempt log. Pure.
func (t *trial) attempt(r relay.Result) relay.Attempt {
	a := t.record()
	a.Reason, a.Status, a.Duration = r.Reason, r.Status, relay.Duration(r.Duration)
	a.Response, a.Error, a.TicketID, a.By = r.Response, r.Error, r.TicketID, r.By

	fault := r.Reason.Fault()
	if fault != relay.ServiceFault && !(t.probe && fault == relay.EndpointFault) {
		a.Number++
	}
	switch {
	case fault == relay.NoFault:
		a.Outcome = relay.Delivered
	case fault == relay.FinalFault, r.Final, t.entry.Kind == relay.KindEvent:
		a.Outcome = relay.Dead
	case fault == relay.MessageFault && a.Number >= min(relay.FinalAnswerAttempts, t.policy.MaxAttempts):
		a.Outcome = relay.Dead
	case a.Number >= t.policy.MaxAttempts && !t.probe:
		a.Outcome, a.Reason = relay.Dead, relay.ReasonExhausted
	default:
		a.Outcome, a.NextAt = relay.Retry, t.next(r, a.Number)
		if t.expiredAt(a.NextAt) {
			a.Outcome, a.Reason, a.NextAt = relay.Dead, relay.ReasonExpired, time.Time{}
		}
	}
	return a
}

func (t *trial) next(r relay.Result, failures int) time.Time {
	if !t.probeNext.IsZero() {
		return t.probeNext
	}
	wait := t.policy.Wait(max(failures+t.stumbles, 1))
	if r.RetryAfter > 0 {
		wait = max(wait, min(r.RetryAfter, max(maxRetryAfter, time.Duration(t.policy.Max))))
	}
	return t.now.Add(wait)
}

// settled is the record of a message that ends without an attempt.
func (t *trial) settled(reason relay.Reason) relay.Attempt {
	a := t.record()
	a.Outcome, a.Reason = relay.Dead, reason
	return a
}

func (t *trial) record() relay.Attempt {
	return relay.Attempt{
		MessageID:    t.entry.ID,
		Shard:        t.entry.Shard,
		Position:     t.entry.Position,
		Destination:  t.entry.Destination,
		Conversation: t.entry.Conversation,
		ChannelID:    t.entry.ChannelID,
		Number:       t.attempts,
		StartedAt:    t.startedAt.UTC().Truncate(time.Microsecond),
	}
}

// expiredAt reports whether the message is too old to be sent at a time.
func (t *trial) expiredAt(at time.Time) bool {
	return at.Sub(t.born)-t.held > t.maxAge()
}

func (t *trial) maxAge() time.Duration {
	if t.entry.Kind == relay.KindEvent {
		return relay.EventMaxAge
	}
	return time.Duration(t.policy.MaxAge)
}
