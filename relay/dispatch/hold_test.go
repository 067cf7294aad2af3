package dispatch_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
)

func (r *rig) hold()   { require.NoError(r.t, r.holds.Hold(r.t.Context(), channel1, "ann", "")) }
func (r *rig) resume() { require.NoError(r.t, r.holds.Resume(r.t.Context(), channel1, "ann")) }

// A hold keeps everything and sends nothing, also when the destination was never heard of
// before, and over restarts.
func TestAHoldKeepsEverything(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(*rig){
		"nothing": func(*rig) {},
		"restart": func(r *rig) { r.stop(); r.start() },
		"crash":   func(r *rig) { r.crash(); r.start() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.hold()
				for i := range 300 {
					r.send(1001, "ticket:1", fmt.Sprint("m", i))
				}
				settle(time.Minute)
				between(r)
				for i := range 300 {
					r.send(1001, "ticket:1", fmt.Sprint("m", 300+i))
				}
				settle(time.Hour)
				require.Empty(t, r.inbox.attemptTimes())
				v := r.d.View(channel1)
				require.True(t, v.Held)
				require.Zero(t, v.Bodies, "what is on hold is not in memory")
				require.EqualValues(t, 600, v.Open)
				r.resume()
				settle(time.Minute)
				require.Equal(t, numbered("m", 600), r.inbox.texts())
				r.stop()
			})
		})
	}
}

func TestAHoldInTheMiddleOfTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(taking(time.Second))
		for i := range 100 {
			r.send(1001, "ticket:1", fmt.Sprint("m", i))
		}
		settle(10*time.Second + 500*time.Millisecond)
		r.hold()
		settle(time.Hour)
		require.Equal(t, numbered("m", 11), r.inbox.texts(), "what was in flight ends")
		r.resume()
		settle(2 * time.Minute)
		require.Equal(t, numbered("m", 100), r.inbox.texts())
		r.stop()
	})
}

func TestTimeOnHoldDoesNotCount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, held time.Duration
		delivered    bool
	}{
		"held for longer than max_age":  {30 * time.Minute, 5 * time.Hour, true},
		"too old without the hold time": {61 * time.Minute, time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.catalog.set(channel1, func(p *relay.Policy) { p.MaxAge = relay.Duration(time.Hour) })
				r.inbox.set(failing)
				for i := range 5 { // the breaker opens: retries use up no attempts
					r.send(1001, fmt.Sprint("ticket:", i), "first")
				}
				settle(c.before)
				r.hold()
				settle(c.held)
				r.stop() // and the record of holds outlives a restart
				r.start()
				r.inbox.set(ok)
				r.resume()
				settle(6 * time.Minute)
				if c.delivered {
					require.Len(t, r.inbox.texts(), 5)
				} else {
					require.Empty(t, r.inbox.texts())
				}
				r.stop()
			})
		})
	}
}

// The messages of a deleted channel become dead letters that name who deleted it.
func TestADeletedChannelsMessagesAreDiscarded(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*rig){
		"waiting for a retry": func(r *rig) { r.inbox.set(failing) },
		"on hold":             func(r *rig) { r.hold() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				before(r)
				var ids []relay.ID
				for i := range 400 {
					ids = append(ids, r.send(1001, fmt.Sprint("ticket:", i%7), "m"))
				}
				settle(10 * time.Minute)
				r.inbox.set(answering(relay.Result{Reason: relay.ReasonDiscarded, By: "ann"})) // as a Sender answers then
				r.catalog.delete(channel1)
				r.d.Refresh(channel1)
				settle(time.Second)
				require.Zero(t, r.d.View(channel1).Open)
				for _, id := range []relay.ID{ids[0], ids[123], ids[399]} {
					dead, err := r.log.FindDead(t.Context(), id)
					require.NoError(t, err)
					require.Equal(t, relay.ReasonDiscarded, dead.Attempt.Reason)
					require.Equal(t, "ann", dead.Attempt.By)
				}
				r.stop()
			})
		})
	}
}

// A channel that was down and is deleted while no relay runs has its messages discarded at the
// next start, all at once: there is nothing to probe.
func TestAChannelThatIsDeletedWhileNothingRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(failing)
		for i := range 400 {
			r.send(1001, fmt.Sprint("ticket:", i%7), "m")
		}
		settle(10 * time.Minute)
		require.True(t, r.d.View(channel1).BreakerOpen)
		r.stop()
		r.catalog.delete(channel1)
		r.inbox.set(answering(relay.Result{Reason: relay.ReasonDiscarded, By: "ann"})) // as a Sender answers then
		r.start()
		synctest.Wait()
		require.False(t, r.d.View(channel1).BreakerOpen)
		settle(time.Second)
		require.Zero(t, r.d.View(channel1).Open)
		r.stop()
	})
}
