package dispatch_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

// hanging makes the channels from 2001 on take requests and never answer.
func hanging(e *relay.Entry, try int) relay.Result {
	if e.ChannelID > 2000 {
		return relay.Result{Reason: relay.ReasonTimeout, Duration: 15 * time.Second}
	}
	return ok(e, try)
}

func narrow(requests int) func(*dispatch.Options) {
	return func(o *dispatch.Options) {
		quiet(o)
		o.Requests = requests
	}
}

// requests is how many are under way over all destinations.
func (r *receiver) requests() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range r.inflight {
		n += of
	}
	return n
}

// However many endpoints hang, requests are bounded, and one that answers finds a slot at once.
func TestEndpointsThatHangLeaveSlotsForTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots, hung = 16, 100
		r := newRig(t, narrow(slots))
		r.inbox.set(hanging)
		r.send(1001, "ticket:1", "the first")
		synctest.Wait()
		for i := range int64(hung) {
			for k := range 3 {
				r.send(2001+i, fmt.Sprint("ticket:", k), "m")
			}
		}
		began := time.Now()
		for time.Since(began) < 10*time.Minute {
			require.LessOrEqual(t, r.inbox.requests(), slots/2)
			sent := time.Now()
			id := r.send(1001, "ticket:1", "next")
			settle(0)
			require.Equal(t, []time.Time{sent}, r.inbox.times(id), "%s after they hung", time.Since(began))
			settle(7 * time.Second)
		}
		require.NoError(t, r.d.Audit())
		under, waiting := r.d.Slots()
		require.Positive(t, waiting)
		require.LessOrEqual(t, under, slots/4, "all of them have failed by now")
		r.inbox.set(ok)
		settle(15 * time.Minute)
		require.Len(t, r.inbox.texts(), 1+3*hung+86)
		under, waiting = r.d.Slots()
		require.Zero(t, under)
		require.Zero(t, waiting)
		r.stop()
	})
}

// A channel that nobody knows yet gets its turn as well, once the first of those that hang are
// known for it.
func TestANewEndpointGetsItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, narrow(16))
		r.inbox.set(hanging)
		for i := range int64(100) {
			r.send(2001+i, "ticket:1", "m")
		}
		settle(4 * time.Minute)
		fresh := r.send(1001, "ticket:1", "m")
		settle(0)
		require.Len(t, r.inbox.times(fresh), 1)
		r.stop()
	})
}

// An owner that ends leaves neither slots taken nor anybody in the line, whatever was going on.
func TestAnOwnerThatEndsLeavesItsSlots(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig){"stop": (*rig).stop, "crash": (*rig).crash} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, narrow(4))
				r.inbox.set(hanging)
				for i := range int64(40) {
					r.send(2001+i, "ticket:1", "m")
				}
				settle(time.Second)
				d := r.d
				under, waiting := d.Slots()
				require.Equal(t, 2, under)
				require.Equal(t, 38, waiting)
				end(r)
				under, waiting = d.Slots()
				require.Zero(t, under)
				require.Zero(t, waiting)
			})
		})
	}
}

// A channel that is deleted while it waits for a slot waits no longer.
func TestADeletedChannelStandsInNoLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, narrow(4))
		r.inbox.set(hanging)
		for i := range int64(40) {
			r.send(2001+i, "ticket:1", "m")
		}
		settle(time.Second)
		r.inbox.set(answering(relay.Result{Reason: relay.ReasonDiscarded}))
		for i := range int64(40) {
			d := relay.ChannelDestination(2001 + i)
			r.catalog.delete(d)
			r.d.Refresh(d)
		}
		settle(time.Second)
		under, waiting := r.d.Slots()
		require.Equal(t, 2, under, "the first requests are still under way")
		require.Zero(t, waiting)
		require.Len(t, r.records(), 38)
		r.stop()
	})
}
