package dispatch

import (
	"time"

	"omnirelay/relay"
)

// breaker is a destination's circuit breaker. Closed, requests flow. After enough endpoint
// faults in a row it opens: nothing is sent until openUntil, then one probe at a time, each
// failure putting the next one further off. The first success closes it.
type breaker struct {
	threshold int // consecutive endpoint faults that open it
	maxWait   time.Duration

	faults    int // consecutive
	open      bool
	openUntil time.Time
	probes    int // failed since it opened
}

// success reports whether it closed the breaker.
func (b *breaker) success() (closed bool) {
	closed = b.open
	b.faults, b.probes, b.open = 0, 0, false
	return closed
}

// fault counts an endpoint fault; probe says that it was the probe's. The next probe waits
// for as long as the endpoint asked for, up to maxWait. It reports whether the breaker was
// opened.
func (b *breaker) fault(now time.Time, probe bool, retryAfter time.Duration) (opened bool) {
	b.faults++
	switch {
	case b.open && !probe:
		return false // one that was in flight when the breaker opened
	case b.open:
		b.putOff(now, retryAfter)
		return false
	case b.faults < b.threshold:
		return false
	}
	b.open = true
	b.openUntil = now.Add(max(b.wait(), min(retryAfter, b.maxWait)))
	return true
}

// putOff has the next probe wait longer than the one that failed now.
func (b *breaker) putOff(now time.Time, retryAfter time.Duration) {
	b.probes++
	b.openUntil = now.Add(max(b.wait(), min(retryAfter, b.maxWait)))
}

// wait is the time to the next probe: at least half a second, on average doubling from one
// second on, and at most maxWait.
func (b *breaker) wait() time.Duration {
	p := relay.RetryPolicy{Initial: relay.Duration(time.Second), Max: relay.Duration(b.maxWait)}
	return min(time.Second/2+p.Wait(b.probes+1), b.maxWait)
}
