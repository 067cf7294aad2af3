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

// sendToHung sends one message to each of so many channels that hang.
func (r *rig) sendToHung(channels int64) {
	for i := range channels {
		r.send(2001+i, "ticket:1", "m")
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

// An endpoint that answers but for now and then does not stand behind those that hang.
func TestAnEndpointThatFailsOnceKeepsItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, narrow(16))
		r.catalog.set(channel1, func(p *relay.Policy) { p.Initial, p.Max = relay.Duration(time.Second), relay.Duration(time.Second) })
		r.inbox.set(func(e *relay.Entry, try int) relay.Result {
			if e.Text == "flaps" && try == 1 {
				return failing(e, try)
			}
			return hanging(e, try)
		})
		r.send(1001, "ticket:1", "the first")
		r.sendToHung(100)
		settle(4 * time.Minute)
		for range 10 {
			id := r.send(1001, "ticket:1", "flaps")
			settle(1100 * time.Millisecond)
			require.Len(t, r.inbox.times(id), 2)
		}
		r.stop()
	})
}

// What has answered stands in no line any more behind those that have not.
func TestAnEndpointThatAnswersChangesLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, narrow(8))
		r.inbox.set(func(e *relay.Entry, try int) relay.Result {
			if e.ChannelID == 1001 {
				return relay.Result{Reason: relay.ReasonOK, Status: 200, Duration: time.Second}
			}
			return hanging(e, try)
		})
		r.send(1001, "ticket:1", "m") // takes a slot, and with the next ones all for what is not known yet are taken
		r.sendToHung(20)
		second := r.send(1001, "ticket:2", "m")
		settle(500 * time.Millisecond)
		require.Empty(t, r.inbox.times(second))
		settle(time.Second)
		require.Len(t, r.inbox.times(second), 1)
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
		r.sendToHung(100)
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
				r.sendToHung(40)
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
		r.sendToHung(40)
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
