package queue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
)

func TestFind(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{Shards: 4})
	other := s.send(1002, "other")
	r := s.send(1001, "hello")
	st, err := s.Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateQueued, st.State)
	require.False(t, st.State.Final())
	require.Equal(t, "hello", st.Entry.Text)

	a := attempt(r, 1001, relay.Retry, relay.ReasonTimeout)
	a.NextAt = time.Now().Add(time.Minute).UTC().Truncate(time.Millisecond)
	s.record(a, attempt(other, 1002, relay.Delivered, relay.ReasonOK))
	st, err = s.Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateRetrying, st.State)
	require.Equal(t, a.NextAt, st.NextAt)
	s.record(attempt(r, 1001, relay.Delivered, relay.ReasonOK))
	st, err = s.Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateDelivered, st.State)
	require.True(t, st.State.Final())
	require.Len(t, st.Attempts, 2)
	require.Zero(t, st.NextAt)

	for _, id := range []relay.ID{relay.NewID(), "msg_x", ""} {
		_, err := s.Find(t.Context(), id)
		require.ErrorIs(t, err, queue.ErrNotFound)
	}
}

// TestFindAmongManyByTime looks for one message between others that were accepted long before
// and after.
func TestFindAmongManyByTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{Shards: 2})
		defer s.close()
		var list []queue.Receipt
		for range 10 {
			m := text(1001, "ticket:1", "x")
			m.ID = idAt(time.Now(), len(list))
			list = append(list, s.append(m))
			time.Sleep(20 * time.Minute)
		}
		for _, r := range list {
			st, err := s.Find(t.Context(), r.ID)
			require.NoError(t, err)
			require.Equal(t, r.Position, st.Entry.Position)
		}
	})
}
