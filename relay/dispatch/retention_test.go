package dispatch_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

// newRigWith is newRig on logs with options of their own.
func newRigWith(t *testing.T, o queue.Options) *rig {
	t.Helper()
	r := newRig(t, nil)
	r.stop()
	r.logs = o
	r.start()
	return r
}

// stored is how many records a stream holds.
func (r *rig) stored(stream string) int {
	r.t.Helper()
	s, err := r.conn.JetStream().Stream(r.t.Context(), stream)
	require.NoError(r.t, err)
	info, err := s.Info(r.t.Context())
	require.NoError(r.t, err)
	return int(info.State.Msgs)
}

func TestHistoryGoesWithItsAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, queue.Options{History: 2 * time.Hour})
		for i := range 48 {
			r.send(1001, "ticket:1", fmt.Sprint("m", i))
			settle(5 * time.Minute)
		}
		require.Equal(t, numbered("m", 48), r.inbox.texts())
		require.InDelta(t, 24, r.stored("RELAY_MSG_0"), 1)
		require.InDelta(t, 24, r.stored("RELAY_ATTEMPT"), 1)
		settle(130 * time.Minute)
		require.Zero(t, r.stored("RELAY_MSG_0"))
		require.Zero(t, r.stored("RELAY_ATTEMPT"))
		// Neither a crash nor a restart brings anything back.
		r.crash()
		r.start()
		settle(time.Minute)
		r.stop()
		r.start()
		r.send(1001, "ticket:1", "m48")
		settle(time.Minute)
		require.Equal(t, numbered("m", 49), r.inbox.texts())
		r.stop()
	})
}

// TestWhatIsNotDeliveredStays holds one channel for much longer than history lasts, with
// crashes in between, while others come and go.
func TestWhatIsNotDeliveredStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, queue.Options{History: time.Hour})
		require.NoError(t, r.holds.Hold(t.Context(), relay.ChannelDestination(1001), "ada", ""))
		for i := range 20 {
			r.send(1001, fmt.Sprint("ticket:", i%3), fmt.Sprint("held", i))
			r.send(1002, "ticket:1", fmt.Sprint("m", i))
		}
		for i := range 10 {
			settle(time.Hour)
			r.send(1002, "ticket:1", fmt.Sprint("m", 20+i))
			settle(time.Minute)
			if i%3 == 1 {
				r.crash()
				r.start()
			}
		}
		require.Equal(t, numbered("m", 30), r.inbox.texts())
		require.LessOrEqual(t, r.stored("RELAY_MSG_0"), 22, "what is held keeps only itself")
		require.NoError(t, r.holds.Resume(t.Context(), relay.ChannelDestination(1001), "ada"))
		settle(time.Minute)
		held := map[string][]string{}
		for _, e := range r.inbox.delivered()[30:] {
			held[e.Conversation] = append(held[e.Conversation], e.Text)
		}
		for c := range 3 {
			var want []string
			for i := c; i < 20; i += 3 {
				want = append(want, fmt.Sprint("held", i))
			}
			require.Equal(t, want, held[fmt.Sprint("ticket:", c)])
		}
		require.Len(t, r.inbox.delivered(), 50)
		r.stop()
	})
}

// TestAFullLogOfDeliveredMessagesRefusesNothing sends ten times what the log holds.
func TestAFullLogOfDeliveredMessagesRefusesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, queue.Options{MaxBytes: 200_000})
		body := strings.Repeat("x", 600)
		for range 1500 {
			r.send(1001, "ticket:1", body) // an error fails the test
			settle(time.Second)
		}
		require.Len(t, r.inbox.texts(), 1500)
		require.Greater(t, r.stored("RELAY_MSG_0"), 100)
		r.stop()
	})
}

// TestAFullLogOfOpenMessagesRecovers fills the log while the endpoint is down.
func TestAFullLogOfOpenMessagesRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, queue.Options{MaxBytes: 200_000})
		r.inbox.set(failing)
		body := strings.Repeat("x", 600)
		accepted := 0
		send := func() error {
			m := relay.Message{
				ID: newID(t), Type: "message.outbound", Kind: relay.KindMessage, Direction: relay.Outbound,
				ChannelID: 1001, Destination: relay.ChannelDestination(1001), Conversation: "ticket:1", Text: body,
			}
			_, err := r.log.Append(t.Context(), &m, "")
			if err == nil {
				accepted++
			}
			return err
		}
		var err error
		for err == nil {
			err = send()
			settle(time.Second)
		}
		require.ErrorIs(t, err, queue.ErrFull)
		settle(time.Minute)
		require.ErrorIs(t, send(), queue.ErrFull)
		r.inbox.set(ok)
		settle(20 * time.Minute)
		require.NoError(t, send())
		settle(time.Minute)
		require.Len(t, r.inbox.texts(), accepted)
		r.stop()
	})
}

// TestRetentionAndReplays has an operator replay what is about to be purged: what is opened
// again is there, and arrives.
func TestRetentionAndReplays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, queue.Options{History: time.Hour})
		began := time.Now()
		for i := range 50 {
			r.send(1001, "ticket:1", fmt.Sprint("m", i))
		}
		settle(59*time.Minute + 50*time.Second)
		_, err := r.replays.Request(t.Context(), relay.ChannelDestination(1001), began.Add(-time.Minute), "ada")
		require.NoError(t, err)
		settle(10 * time.Minute)
		got := r.inbox.texts()
		require.Equal(t, numbered("m", 50), got[:50])
		require.Equal(t, numbered("m", 50), got[50:])
		for _, a := range r.records() {
			require.NotEqual(t, relay.ReasonUndeliverable, a.Reason)
		}
		_, err = r.replays.Request(t.Context(), relay.ChannelDestination(1001), began.Add(-time.Minute), "ada")
		require.NoError(t, err)
		settle(10 * time.Minute)
		require.Len(t, r.inbox.texts(), 100, "nothing is left to send again, and nothing is given up")
		require.Empty(t, r.replays.List())
		r.stop()
	})
}

// TestAnOwnerThatWasSupersededGivesUp has another instance take the shard behind its back.
func TestAnOwnerThatWasSupersededGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.send(1001, "ticket:1", "m0")
		settle(time.Second)
		other, err := queue.Open(t.Context(), r.conn.JetStream(), queue.Options{Log: r.logs.Log})
		require.NoError(t, err)
		_, err = other.LoadSnapshot(t.Context(), 0)
		require.NoError(t, err)
		settle(time.Minute)
		r.inbox.set(func(*relay.Entry, int) relay.Result {
			t.Error("an owner without a shard sends")
			return relay.Result{Reason: relay.ReasonOK}
		})
		r.send(1001, "ticket:1", "m1")
		settle(time.Minute)
		other.Close()
		require.ErrorIs(t, r.d.Release(0), dispatch.ErrLeaseLost)
		require.NoError(t, r.d.Close())
		r.close()
	})
}
