package dispatch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
)

func (r *rig) event(text string) relay.ID {
	return r.append(relay.Message{Type: "typing", Kind: relay.KindEvent, ChannelID: 1001, Destination: channel1, Conversation: "c", Text: text})
}

func TestAnEventIsTriedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(failing)
		id := r.event("typing")
		settle(time.Hour)
		require.Len(t, r.inbox.times(id), 1)
		last := r.lastRecord(id)
		require.Equal(t, relay.Dead, last.Outcome)
		require.Equal(t, relay.ReasonStatus5xx, last.Reason)
		_, err := r.log.FindDead(t.Context(), id)
		require.Error(t, err, "nobody wants to replay it")
		r.stop()
	})
}

func TestAnOldEventIsNotSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wait   time.Duration
		reason relay.Reason
	}{
		"in time":  {14 * time.Second, relay.ReasonOK},
		"too late": {16 * time.Second, relay.ReasonExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.inbox.set(taking(c.wait))
				r.send(1001, "c", "message")
				synctest.Wait()
				id := r.event("typing")
				settle(time.Hour)
				require.Equal(t, c.reason, r.lastRecord(id).Reason)
				r.stop()
			})
		})
	}
}

// Of the events that wait only the newest of a sort is sent, and no message is passed over.
func TestTheNewestEventWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(taking(time.Second))
		r.send(1001, "c", "m0")
		synctest.Wait()
		old := r.event("typing 0")
		r.event("typing 1")
		r.append(relay.Message{Type: "visited", Kind: relay.KindEvent, ChannelID: 1001, Destination: channel1, Conversation: "c", Text: "visited"})
		r.send(1001, "c", "m1")
		r.event("typing 2")
		settle(time.Minute)
		require.Equal(t, []string{"m0", "typing 1", "visited", "m1", "typing 2"}, r.inbox.texts())
		last := r.lastRecord(old)
		require.Equal(t, relay.Dead, last.Outcome)
		require.Equal(t, relay.ReasonSuperseded, last.Reason)
		r.stop()
	})
}
