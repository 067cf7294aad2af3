package dispatch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

const channel1 = relay.Destination("channel-1001")

// calm keeps days of fake time cheap, and the breaker out of tests of single messages.
func calm(o *dispatch.Options) {
	o.SetRetainEvery(24 * time.Hour)
	o.BreakerFaults = 1 << 30
}

func quiet(o *dispatch.Options) { o.SetRetainEvery(24 * time.Hour) }

func answering(res relay.Result) func(*relay.Entry, int) relay.Result {
	return func(*relay.Entry, int) relay.Result { return res }
}

func (r *rig) lastRecord(id relay.ID) relay.Attempt {
	r.t.Helper()
	var last relay.Attempt
	for _, a := range r.records() {
		if a.MessageID == id {
			last = a
		}
	}
	require.NotZero(r.t, last, "no record of %s", id)
	return last
}

func TestRetryAfterPutsTheNextAttemptOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, calm)
		r.inbox.set(func(_ *relay.Entry, try int) relay.Result {
			if try == 1 {
				return relay.Result{Reason: relay.ReasonStatus5xx, Status: 503, RetryAfter: 10 * time.Minute}
			}
			return relay.Result{Reason: relay.ReasonOK, Status: 200}
		})
		id := r.send(1001, "ticket:1", "m")
		settle(time.Hour)
		times := r.inbox.times(id)
		require.Len(t, times, 2)
		require.Equal(t, 10*time.Minute, times[1].Sub(times[0]))
		r.stop()
	})
}

func TestAnOldMessageExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, calm)
		r.catalog.set(channel1, func(p *relay.Policy) {
			p.MaxAttempts, p.MaxAge, p.Max = 1000, relay.Duration(time.Hour), relay.Duration(time.Minute)
		})
		r.inbox.set(failing)
		id := r.send(1001, "ticket:1", "m")
		began := time.Now()
		settle(2 * time.Hour)
		last := r.lastRecord(id)
		require.Equal(t, relay.Dead, last.Outcome)
		require.Equal(t, relay.ReasonExpired, last.Reason)
		times := r.inbox.times(id)
		require.LessOrEqual(t, times[len(times)-1].Sub(began), time.Hour)
		dead, err := r.log.FindDead(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, relay.ReasonExpired, dead.Attempt.Reason)
		r.stop()
	})
}

func TestARefusedMessageDiesAfterItsShortPolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, calm)
		r.inbox.set(answering(relay.Result{Reason: relay.ReasonStatus4xx, Status: 422}))
		id := r.send(1001, "ticket:1", "m")
		settle(time.Hour)
		require.Len(t, r.inbox.times(id), relay.FinalAnswerAttempts)
		last := r.lastRecord(id)
		require.Equal(t, relay.Dead, last.Outcome)
		require.Equal(t, relay.ReasonStatus4xx, last.Reason)
		require.Equal(t, 422, last.Status)
		r.stop()
	})
}

func TestGoneHoldsTheDestination(t *testing.T) {
	t.Parallel()
	for _, kind := range []relay.Kind{relay.KindMessage, relay.KindEvent} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.inbox.set(answering(relay.Result{Reason: relay.ReasonGone, Status: 410}))
				id := r.append(relay.Message{Type: "x", Kind: kind, ChannelID: 1001, Destination: channel1, Conversation: "a"})
				settle(time.Second)
				require.Equal(t, relay.ReasonGone, r.lastRecord(id).Reason)
				hold := r.holds.Get(channel1)
				require.True(t, hold.Held)
				require.Equal(t, "relay", hold.By)
				_, err := r.log.FindDead(t.Context(), id)
				require.Equal(t, kind == relay.KindMessage, err == nil, "dead letters are kept of messages only")

				r.inbox.set(ok)
				later := r.send(1001, "b", "kept")
				settle(time.Hour)
				require.Empty(t, r.inbox.times(later), "nothing is sent on hold")
				require.NoError(t, r.holds.Resume(t.Context(), channel1, "ann"))
				settle(time.Second)
				require.Equal(t, []string{"kept"}, r.inbox.texts())
				r.stop()
			})
		})
	}
}

// A fault of the relay itself uses up no attempts, and its retries thin out.
func TestTheRelaysOwnFaultUsesNoAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(answering(relay.Result{Reason: relay.ReasonUnresolved}))
		id := r.send(1001, "ticket:1", "m")
		settle(12 * time.Hour)
		times := r.inbox.times(id)
		require.Greater(t, len(times), relay.DefaultPolicy().MaxAttempts)
		require.Less(t, len(times), 100, "retries must thin out")
		require.Zero(t, r.lastRecord(id).Number)
		r.inbox.set(ok)
		settle(4 * time.Hour)
		require.Equal(t, []string{"m"}, r.inbox.texts())
		require.Equal(t, 1, r.lastRecord(id).Number)
		r.stop()
	})
}

// The retries of one conversation are behind each other: what comes later waits.
func TestALaterMessageWaitsForAnEarlierOnesRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, calm)
		r.inbox.set(func(e *relay.Entry, try int) relay.Result {
			if e.Text == "m0" && try < 4 {
				return relay.Result{Reason: relay.ReasonTimeout}
			}
			return relay.Result{Reason: relay.ReasonOK}
		})
		r.send(1001, "ticket:1", "m0")
		r.send(1001, "ticket:1", "m1")
		r.send(1001, "ticket:2", "other")
		settle(time.Hour)
		require.Equal(t, []string{"other", "m0", "m1"}, r.inbox.texts())
		r.stop()
	})
}
