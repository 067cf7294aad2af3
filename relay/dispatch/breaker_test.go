package dispatch_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
)

// attemptTimes are the times of all attempts, of whatever message.
func (r *receiver) attemptTimes() (list []time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.attempts {
		list = append(list, a.at)
	}
	return list
}

func TestTheBreakerOpensByEndpointFaultsOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		result relay.Result
		open   bool
	}{
		"5xx":        {relay.Result{Reason: relay.ReasonStatus5xx, Status: 502}, true},
		"timeout":    {relay.Result{Reason: relay.ReasonTimeout}, true},
		"429":        {relay.Result{Reason: relay.ReasonRateLimited, Status: 429}, true},
		"redirect":   {relay.Result{Reason: relay.ReasonRedirect, Status: 302}, true},
		"4xx":        {relay.Result{Reason: relay.ReasonStatus4xx, Status: 404}, false},
		"unresolved": {relay.Result{Reason: relay.ReasonUnresolved}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.inbox.set(answering(c.result))
				for i := range 4 {
					r.send(1001, fmt.Sprint("ticket:", i), "m")
				}
				synctest.Wait()
				require.Len(t, r.inbox.attemptTimes(), 4)
				require.False(t, r.d.View(channel1).BreakerOpen, "four faults are not enough")
				r.send(1001, "ticket:4", "m")
				synctest.Wait()
				require.Equal(t, c.open, r.d.View(channel1).BreakerOpen)
				r.stop()
			})
		})
	}
}

func TestASuccessInBetweenKeepsTheBreakerClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		for i := range 40 {
			if i%5 == 4 {
				r.inbox.set(ok)
			} else {
				r.inbox.set(failing)
			}
			r.send(1001, fmt.Sprint("ticket:", i), "m")
			synctest.Wait()
			require.False(t, r.d.View(channel1).BreakerOpen)
		}
		r.stop()
	})
}

// Open, the breaker lets one probe go at a time, at waits that grow to five minutes; none of
// it uses up attempts.
func TestProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(failing)
		for i := range 50 {
			r.send(1001, fmt.Sprint("ticket:", i), "m")
		}
		settle(time.Second)
		first := len(r.inbox.attemptTimes())
		r.inbox.mu.Lock()
		r.inbox.peak[channel1] = 0
		r.inbox.mu.Unlock()
		r.inbox.set(answering(relay.Result{Reason: relay.ReasonTimeout, Duration: 15 * time.Second}))
		settle(3 * time.Hour)
		require.Equal(t, 1, r.inbox.peak[channel1])
		probes := r.inbox.attemptTimes()[first:]
		require.Greater(t, len(probes), 3*60/6)
		require.Less(t, len(probes), 3*60/2+10)
		for i := 20; i < len(probes); i++ {
			require.LessOrEqual(t, probes[i].Sub(probes[i-1]), 5*time.Minute+16*time.Second)
		}
		for _, a := range r.records() {
			require.LessOrEqual(t, a.Number, 1)
		}
		v := r.d.View(channel1)
		require.LessOrEqual(t, v.Bytes, int64(8<<10+256*v.Inflight), "of a backlog that waits only what is probed with is in memory")
		require.EqualValues(t, 50, v.Open)
		r.stop()
	})
}

// A receiver that says when to come back is not probed before.
func TestAProbeHonoursRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(answering(relay.Result{Reason: relay.ReasonStatus5xx, Status: 503, RetryAfter: 2 * time.Minute}))
		for i := range 5 {
			r.send(1001, fmt.Sprint("ticket:", i), "m")
		}
		settle(time.Hour)
		times := r.inbox.attemptTimes()[5:]
		require.NotEmpty(t, times)
		for i := 1; i < len(times); i++ {
			require.GreaterOrEqual(t, times[i].Sub(times[i-1]), 2*time.Minute)
		}
		r.stop()
	})
}

// The relay's own fault says nothing about the endpoint, and neither closes the breaker nor
// makes the probes a burst.
func TestAProbeThatCouldNotBeMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(failing)
		for i := range 5 {
			r.send(1001, fmt.Sprint("ticket:", i), "m")
		}
		synctest.Wait()
		r.inbox.set(answering(relay.Result{Reason: relay.ReasonUnresolved}))
		settle(time.Hour)
		require.True(t, r.d.View(channel1).BreakerOpen)
		require.Less(t, len(r.inbox.attemptTimes()), 60)
		r.inbox.set(ok)
		settle(6 * time.Minute)
		require.Len(t, r.inbox.texts(), 5)
		r.stop()
	})
}

// A refusal closes the breaker, for the endpoint answers again; the refused message goes on
// with its own schedule.
func TestAProbeThatIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.catalog.set(channel1, func(p *relay.Policy) { // hardly a retry while this test looks
			p.Initial, p.Max, p.MaxAge = relay.Duration(1000*time.Hour), relay.Duration(1000*time.Hour), relay.Duration(9999*time.Hour)
		})
		r.inbox.set(failing)
		var ids []relay.ID
		for i := range 5 {
			ids = append(ids, r.send(1001, fmt.Sprint("ticket:", i), fmt.Sprint(i)))
		}
		synctest.Wait()
		r.inbox.set(answering(relay.Result{Reason: relay.ReasonStatus4xx, Status: 400}))
		settle(time.Minute)
		require.False(t, r.d.View(channel1).BreakerOpen)
		for _, id := range ids {
			require.Len(t, r.inbox.times(id), 2, "refused once, and then it waits")
			require.Equal(t, relay.Retry, r.lastRecord(id).Outcome)
		}
		r.stop()
	})
}

// When an endpoint is back, what its trouble held up goes at once, but not in a burst.
func TestClosingFreesWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.catalog.set(channel1, func(p *relay.Policy) {
			p.Concurrency, p.Initial, p.Max = 64, relay.Duration(4*time.Hour), relay.Duration(4*time.Hour)
		})
		r.inbox.set(failing)
		for i := range 200 {
			r.send(1001, fmt.Sprint("ticket:", i), "m")
		}
		settle(30 * time.Second)
		r.inbox.mu.Lock()
		r.inbox.peak[channel1] = 0
		r.inbox.mu.Unlock()
		r.inbox.set(taking(100 * time.Millisecond))
		began := time.Now()
		for r.d.View(channel1).BreakerOpen {
			settle(10 * time.Millisecond)
			require.Less(t, time.Since(began), 6*time.Minute)
		}
		require.Equal(t, 1, r.inbox.peak[channel1])
		require.Equal(t, 1, r.d.View(channel1).Window)
		settle(5 * time.Second)
		require.Len(t, r.inbox.texts(), 200, "nobody waits out a schedule of hours")
		r.stop()
	})
}

// An endpoint that hangs does not have its backlog read, though all conversations in sight wait:
// it is searched for another one, which may fare better, but within bounds.
func TestADoubtfulEndpointsBacklogStaysInTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 20_000
		r := newRig(t, quiet)
		r.hold()
		for i := range n {
			r.send(1001, fmt.Sprint("ticket:", i%2), "m")
		}
		r.inbox.set(answering(relay.Result{Reason: relay.ReasonTimeout, Duration: 15 * time.Second}))
		r.resume()
		settle(10 * time.Minute)
		v := r.d.View(channel1)
		require.True(t, v.BreakerOpen)
		require.Greater(t, v.Backlog, uint64(n/2))
		r.inbox.set(ok)
		settle(10 * time.Minute)
		require.Zero(t, r.d.View(channel1).Open)
		r.stop()
	})
}

// A breaker that was open before a restart is open after it: one probe, no burst.
func TestARestartBeginsWithOneProbe(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig){"stop": (*rig).stop, "crash": (*rig).crash} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.inbox.set(failing)
				for i := range 100 {
					r.send(1001, fmt.Sprint("ticket:", i), "m")
				}
				settle(10 * time.Minute)
				end(r)
				before := len(r.inbox.attemptTimes())
				r.start()
				synctest.Wait()
				require.Len(t, r.inbox.attemptTimes(), before+1)
				require.True(t, r.d.View(channel1).BreakerOpen)
				r.inbox.set(ok)
				settle(6 * time.Minute)
				require.Len(t, r.inbox.texts(), 100)
				r.stop()
			})
		})
	}
}

// Only age ends what waits behind an open breaker.
func TestExpiryUnderAnOpenBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.catalog.set(channel1, func(p *relay.Policy) { p.MaxAge = relay.Duration(2 * time.Hour) })
		r.inbox.set(failing)
		for i := range 600 {
			r.send(1001, fmt.Sprint("ticket:", i%10), "m")
		}
		settle(time.Hour)
		young := r.send(1001, "ticket:young", "young")
		settle(80 * time.Minute)
		require.EqualValues(t, 1, r.d.View(channel1).Open)
		expired := 0
		for _, a := range r.records() {
			if a.Outcome == relay.Dead {
				require.Equal(t, relay.ReasonExpired, a.Reason)
				expired++
			}
		}
		require.Equal(t, 600, expired)
		r.inbox.set(ok)
		settle(10 * time.Minute)
		require.Equal(t, relay.Delivered, r.lastRecord(young).Outcome)
		r.stop()
	})
}
