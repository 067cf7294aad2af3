package dispatch_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

// Ten thousand conversations that fail keep a channel bounded, and the rest flows.
func TestManyPoisonedConversations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 10_000
		r := newRig(t, quiet)
		r.catalog.set(channel1, func(p *relay.Policy) { // hardly a retry while this test looks
			p.Initial, p.Max, p.MaxAge = relay.Duration(1000*time.Hour), relay.Duration(1000*time.Hour), relay.Duration(9999*time.Hour)
		})
		r.inbox.set(func(e *relay.Entry, try int) relay.Result {
			if e.Text == "poison" {
				return relay.Result{Reason: relay.ReasonStatus4xx, Status: 400}
			}
			return ok(e, try)
		})
		for i := range n {
			r.send(1001, fmt.Sprint("poisoned:", i), "poison")
		}
		settle(time.Second)
		for i := range 20 {
			sent := time.Now()
			id := r.send(1001, fmt.Sprint("fine:", i), "fine")
			r.send(1001, fmt.Sprint("poisoned:", i), "behind")
			settle(time.Second)
			require.Equal(t, []time.Time{sent}, r.inbox.times(id))
		}
		v := r.d.View(channel1)
		require.NoError(t, r.d.Audit())
		require.Less(t, v.Bodies, 256+16)
		require.Greater(t, v.Waiting, n*9/10)
		r.stop()
	})
}

// A message that makes its endpoint fail, and a thousand behind it, do not hide the other
// conversations of a backlog.
func TestPoisonAtTheHeadOfABacklog(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]relay.Result{
		"refused":       {Reason: relay.ReasonStatus4xx, Status: 400},
		"breaks it":     {Reason: relay.ReasonStatus5xx, Status: 500},
		"makes it hang": {Reason: relay.ReasonTimeout, Duration: 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.inbox.set(func(e *relay.Entry, try int) relay.Result {
					if e.Text == "poison" {
						return answer
					}
					return ok(e, try)
				})
				r.hold()
				r.send(1001, "ticket:1", "poison")
				for range 1000 {
					r.send(1001, "ticket:1", "behind")
				}
				fine := r.send(1001, "ticket:2", "fine")
				resumed := time.Now()
				r.resume()
				settle(2 * time.Second)
				require.Len(t, r.inbox.times(fine), 1)
				require.Less(t, r.inbox.times(fine)[0].Sub(resumed), time.Second)
				r.stop()
			})
		})
	}
}

// More stalled conversations than may wait in memory stay in the log until there is room.
func TestMoreStalledConversationsThanMayWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(o *dispatch.Options) {
			quiet(o)
			o.Bounds = dispatch.Bounds{QueueMessages: 8, Waiting: 50}
		})
		r.inbox.set(answering(relay.Result{Reason: relay.ReasonStatus4xx, Status: 400}))
		for i := range 300 {
			r.send(1001, fmt.Sprint("ticket:", i), "m")
		}
		settle(time.Second)
		require.NoError(t, r.d.Audit())
		require.Greater(t, r.d.View(channel1).Backlog, uint64(200))
		settle(2 * time.Hour)
		require.Zero(t, r.d.View(channel1).Open)
		r.stop()
	})
}

// However small a queue is, messages that wait for their next attempt leave room in it: to search
// for the next probe, and for other conversations.
func TestSmallQueues(t *testing.T) {
	t.Parallel()
	for queue := 1; queue <= 8; queue++ {
		small := func(o *dispatch.Options) {
			quiet(o)
			o.Bounds.QueueMessages = queue
		}
		t.Run(fmt.Sprint("down/", queue), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, small)
				r.inbox.set(answering(relay.Result{Reason: relay.ReasonTimeout, Duration: 15 * time.Second}))
				for i := range 60 {
					r.send(1001, fmt.Sprint("ticket:", i%3), "m")
				}
				settle(10 * time.Minute)
				require.NoError(t, r.d.Audit())
				r.inbox.set(ok)
				settle(10 * time.Minute)
				require.Len(t, r.inbox.texts(), 60)
				r.stop()
			})
		})
		t.Run(fmt.Sprint("poisoned/", queue), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, small)
				r.catalog.set(channel1, func(p *relay.Policy) { p.Initial, p.Max = relay.Duration(time.Hour), relay.Duration(time.Hour) })
				r.inbox.set(func(e *relay.Entry, try int) relay.Result {
					if e.Text == "poison" {
						return relay.Result{Reason: relay.ReasonStatus4xx, Status: 400}
					}
					return ok(e, try)
				})
				r.hold()
				for i := range 40 {
					r.send(1001, fmt.Sprint("poisoned:", i%4), "poison")
				}
				for i := range 40 {
					r.send(1001, fmt.Sprint("fine:", i%4), "fine")
				}
				r.resume()
				settle(time.Second)
				require.NoError(t, r.d.Audit())
				require.Len(t, r.inbox.texts(), 40)
				r.stop()
			})
		})
	}
}

// Bodies are bounded in bytes, for one destination and for all together, also while a
// backlog is read.
func TestBytesAreBounded(t *testing.T) {
	t.Parallel()
	const body = 10_000
	for name, c := range map[string]struct {
		bounds       dispatch.Bounds
		destinations int
		each, all    int64
	}{
		"one destination":  {dispatch.Bounds{QueueBytes: 50_000}, 1, 50_000, 1 << 40},
		"all destinations": {dispatch.Bounds{TotalBytes: 1_600_000}, 30, 100_000, 1_600_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(o *dispatch.Options) {
					quiet(o)
					o.Bounds = c.bounds
				})
				r.inbox.set(taking(14 * time.Second))
				check := func() {
					var all int64
					for n := range c.destinations {
						v := r.d.View(relay.ChannelDestination(1001 + int64(n)))
						require.Less(t, v.Bytes, c.each+2*body)
						all += v.Bytes
					}
					require.Less(t, all, c.all+int64(c.destinations)*body)
					require.Equal(t, all, r.d.MemoryUsed())
				}
				for range 60 {
					for n := range c.destinations {
						r.send(1001+int64(n), "ticket:1", strings.Repeat("x", body))
					}
				}
				settle(time.Second)
				check()
				r.stop() // read again, from the log
				r.start()
				for range 10 {
					settle(20 * time.Second)
					check()
				}
				require.NoError(t, r.d.Audit())
				d := r.d
				r.inbox.set(ok)
				settle(time.Minute)
				require.Zero(t, d.MemoryUsed())
				r.stop()
			})
		})
	}
}

// An owner that ends gives back the memory it accounted for, whatever it held.
func TestAnOwnerThatEndsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig){"stop": (*rig).stop, "crash": (*rig).crash} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.inbox.set(taking(20 * time.Second))
				for i := range 100 {
					r.send(1001, fmt.Sprint("ticket:", i), "m")
				}
				settle(time.Second)
				d := r.d
				require.Positive(t, d.MemoryUsed())
				end(r)
				require.Zero(t, d.MemoryUsed())
				require.Empty(t, d.Owned())
				// Goroutines that outlive the owner would keep this bubble from ending.
			})
		})
	}
}
