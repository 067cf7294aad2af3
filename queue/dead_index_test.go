package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
)

// TestDeadLettersAreFoundWhereverTheyLie searches in no order, while another process fills and
// empties the same box.
func TestDeadLettersAreFoundWhereverTheyLie(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		defer s.close()
		log, err := queue.Open(t.Context(), s.conn.JetStream(), queue.Options{Log: zerolog.Nop()})
		require.NoError(t, err)
		defer log.Close()
		other := &store{Log: log, t: t}
		die := func(by *store, channel int64, reason relay.Reason) queue.Receipt {
			time.Sleep(time.Second)
			r := by.send(channel, "hello")
			by.die(r, channel, reason)
			return r
		}
		found := func(r queue.Receipt, reason relay.Reason) {
			t.Helper()
			for _, l := range []*store{s, other} {
				d, err := l.FindDead(t.Context(), r.ID)
				require.NoError(t, err)
				require.Equal(t, r.ID, d.Message.ID)
				require.Equal(t, reason, d.Attempt.Reason)
			}
		}
		gone := func(r queue.Receipt) {
			t.Helper()
			for _, l := range []*store{s, other} {
				_, err := l.FindDead(t.Context(), r.ID)
				require.ErrorIs(t, err, queue.ErrNotFound)
			}
		}
		gone(queue.Receipt{ID: relay.NewID()}) // in an empty box
		a, b, c := die(s, 1001, relay.ReasonGone), die(s, 1002, relay.ReasonStatus4xx), die(s, 1003, relay.ReasonExhausted)
		found(c, relay.ReasonExhausted)
		found(a, relay.ReasonGone)
		found(b, relay.ReasonStatus4xx)

		require.NoError(t, other.DiscardDead(t.Context(), b.ID, "ada"))
		gone(b)
		d := die(other, 1001, relay.ReasonGone)
		found(d, relay.ReasonGone)
		s.die(a, 1001, relay.ReasonExpired) // once more: the later word counts
		found(a, relay.ReasonExpired)

		time.Sleep(2 * time.Minute) // the index is forgotten
		found(d, relay.ReasonGone)
		found(a, relay.ReasonExpired)
		_, err = s.ReplayDead(t.Context(), a.ID, "ada")
		require.NoError(t, err)
		gone(a)
		require.NoError(t, s.DiscardDead(t.Context(), d.ID, "ada"))
		require.NoError(t, s.DiscardDead(t.Context(), c.ID, "ada"))
		gone(d)
		gone(c)
		found(die(s, 1001, relay.ReasonGone), relay.ReasonGone)
	})
}
