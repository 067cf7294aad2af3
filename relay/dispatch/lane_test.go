package dispatch_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
)

func taking(d time.Duration) func(*relay.Entry, int) relay.Result {
	return answering(relay.Result{Reason: relay.ReasonOK, Status: 200, Duration: d})
}

func TestConversationsRunSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.catalog.set(channel1, func(p *relay.Policy) { p.Concurrency = 8 })
		r.inbox.set(taking(time.Second))
		for i := range 400 {
			r.send(1001, fmt.Sprint("ticket:", i%40), fmt.Sprint("m", i))
		}
		began := time.Now()
		for len(r.inbox.texts()) < 400 {
			settle(100 * time.Millisecond)
			require.Less(t, time.Since(began), time.Hour)
		}
		require.Equal(t, 8, r.inbox.peak[channel1], "as many requests as allowed, and no more")
		// 400 seconds of answers, 8 at a time but for the first few.
		require.Less(t, time.Since(began), 55*time.Second)
		r.stop()
	})
}

// Lanes take turns: a conversation with many messages does not keep the others waiting.
func TestABusyConversationLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.catalog.set(channel1, func(p *relay.Policy) { p.Concurrency = 1 })
		r.inbox.set(taking(time.Second))
		for i := range 100 {
			r.send(1001, "busy", fmt.Sprint("b", i))
		}
		for i := range 5 {
			r.send(1001, fmt.Sprint("calm", i), fmt.Sprint("c", i))
		}
		settle(20 * time.Second)
		calmOnes := 0
		for _, text := range r.inbox.texts() {
			if strings.HasPrefix(text, "c") {
				calmOnes++
			}
		}
		require.Equal(t, 5, calmOnes)
		r.stop()
	})
}

func TestOneDestinationsTroubleCostsOthersNothing(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]relay.Result{
		"dead":    {Reason: relay.ReasonRefused},
		"hanging": {Reason: relay.ReasonTimeout, Duration: 15 * time.Second},
		"slow":    {Reason: relay.ReasonOK, Duration: 14 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.inbox.set(func(e *relay.Entry, try int) relay.Result {
					if e.ChannelID == 1001 {
						return trouble
					}
					return ok(e, try)
				})
				for i := range 600 { // more than the queue of the troubled one holds
					r.send(1001, fmt.Sprint("ticket:", i), "x")
				}
				settle(time.Second)
				for i := range 100 {
					sent := time.Now()
					id := r.send(1002, "ticket:1", fmt.Sprint("m", i))
					synctest.Wait()
					require.Equal(t, []time.Time{sent}, r.inbox.times(id), "sent in the moment of acceptance")
				}
				require.NoError(t, r.d.Audit())
				r.stop()
			})
		})
	}
}

func TestAPoisonMessageDelaysItsConversationOnly(t *testing.T) {
	t.Parallel()
	for name, poison := range map[string]relay.Result{
		"refused": {Reason: relay.ReasonStatus4xx, Status: 400},
		"crashes": {Reason: relay.ReasonStatus5xx, Status: 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.inbox.set(func(e *relay.Entry, try int) relay.Result {
					if e.Text == "poison" {
						return poison
					}
					return ok(e, try)
				})
				r.catalog.set(channel1, func(p *relay.Policy) { p.MaxAttempts = 6 })
				bad := r.send(1001, "poisoned", "poison")
				behind := r.send(1001, "poisoned", "behind")
				// The channel is otherwise silent, so that the poison alone speaks for the endpoint.
				settle(20 * time.Minute)
				sent := time.Now()
				other := r.send(1001, "other", "other")
				settle(6 * time.Minute) // a probe of an open breaker may be as far off
				times := r.inbox.times(other)
				require.Len(t, times, 1)
				require.LessOrEqual(t, times[0].Sub(sent), 5*time.Minute+time.Second)
				// Now that the endpoint is known to be well, others flow at once.
				for i := range 20 {
					r.send(1001, fmt.Sprint("other", i), "more")
					settle(time.Second)
				}
				require.GreaterOrEqual(t, len(r.inbox.texts()), 21)
				for range 200 { // traffic goes on, so the poison runs out of attempts
					r.send(1001, "other", "more")
					settle(time.Second)
				}
				require.Equal(t, relay.Dead, r.lastRecord(bad).Outcome)
				require.Equal(t, relay.Delivered, r.lastRecord(behind).Outcome)
				r.stop()
			})
		})
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.catalog.set(channel1, func(p *relay.Policy) { p.RateLimit, p.RateBurst = 10, 20 })
		for i := range 200 {
			r.send(1001, fmt.Sprint("ticket:", i%50), "m")
		}
		settle(time.Millisecond)
		require.Len(t, r.inbox.texts(), 20, "the burst")
		for second := 1; second <= 18; second++ {
			settle(time.Second)
			require.InDelta(t, 20+10*second, len(r.inbox.texts()), 1, "after %d s", second)
		}
		settle(time.Second)
		require.Len(t, r.inbox.texts(), 200)
		r.stop()
	})
}

// Reading a body back from the log is no message sent.
func TestRateLimitAfterAHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.catalog.set(channel1, func(p *relay.Policy) { p.RateLimit = 10 })
		for i := range 200 {
			r.send(1001, fmt.Sprint("ticket:", i%50), "m")
		}
		settle(time.Millisecond)
		r.hold() // which leaves the bodies to the log
		settle(time.Minute)
		before := len(r.inbox.texts())
		r.resume()
		settle(10 * time.Second)
		require.InDelta(t, before+100, len(r.inbox.texts()), 2)
		r.stop()
	})
}

func TestAChangedPolicyTakesEffect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.catalog.set(channel1, func(p *relay.Policy) { p.Concurrency, p.RateLimit = 1, 1 })
		r.inbox.set(taking(time.Second))
		for i := range 600 {
			r.send(1001, fmt.Sprint("ticket:", i), "m")
		}
		settle(10 * time.Second)
		require.Equal(t, 1, r.inbox.peak[channel1])
		require.InDelta(t, 10, len(r.inbox.texts()), 1)
		r.catalog.set(channel1, func(p *relay.Policy) { p.Concurrency = 30 })
		r.d.Refresh(channel1)
		settle(30 * time.Second)
		require.Equal(t, 30, r.inbox.peak[channel1])
		require.Len(t, r.inbox.texts(), 600)
		r.stop()
	})
}

// A destination that was not heard of yet gets few requests at once, and more as it answers.
func TestSlowStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(taking(10 * time.Second))
		for i := range 100 {
			r.send(1001, fmt.Sprint("ticket:", i), "m")
		}
		settle(5 * time.Second)
		require.Equal(t, 4, r.d.View(channel1).Inflight)
		settle(10 * time.Second)
		require.Equal(t, 16, r.d.View(channel1).Inflight)
		r.inbox.set(failing)
		settle(time.Minute)
		require.Less(t, r.d.View(channel1).Window, 3)
		r.stop()
	})
}
