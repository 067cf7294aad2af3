package queue_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
)

func deadTexts(list []queue.DeadLetter) (texts []string) {
	for _, d := range list {
		texts = append(texts, d.Message.Text)
	}
	return texts
}

func TestDeadLettersPageOldestFirst(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{Shards: 3})
	for i := range 25 {
		channel := int64(1001 + i%3)
		s.die(s.send(channel, fmt.Sprint("m", i)), channel, relay.ReasonExhausted)
	}
	var got []string
	cursor := ""
	pages := 0
	for ; ; pages++ {
		page, err := s.Dead(t.Context(), queue.DeadFilter{Limit: 10, Cursor: cursor})
		require.NoError(t, err)
		got = append(got, deadTexts(page.Items)...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Equal(t, numbered("m", 25), got)
	require.Equal(t, 2, pages)
	_, err := s.Dead(t.Context(), queue.DeadFilter{Cursor: "x"})
	require.ErrorIs(t, err, queue.ErrBadCursor)
}

func TestDeadLettersByFilter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{Shards: 2})
		defer s.close()
		var died []time.Time
		for i := range 8 {
			channel := int64(1001 + i%4)
			reason := []relay.Reason{relay.ReasonExhausted, relay.ReasonExpired}[i/4]
			s.die(s.send(channel, fmt.Sprint("m", i)), channel, reason)
			died = append(died, time.Now())
			time.Sleep(time.Hour)
		}
		for name, tc := range map[string]struct {
			filter queue.DeadFilter
			want   []string
		}{
			"all":         {queue.DeadFilter{}, numbered("m", 8)},
			"destination": {queue.DeadFilter{Destination: relay.ChannelDestination(1002)}, []string{"m1", "m5"}},
			"channel":     {queue.DeadFilter{ChannelID: 1003}, []string{"m2", "m6"}},
			"channels":    {queue.DeadFilter{Channels: []int64{1001, 1004}}, []string{"m0", "m3", "m4", "m7"}},
			"reason":      {queue.DeadFilter{Reason: relay.ReasonExpired}, []string{"m4", "m5", "m6", "m7"}},
			"since":       {queue.DeadFilter{Since: died[6]}, []string{"m6", "m7"}},
			"until":       {queue.DeadFilter{Until: died[2]}, []string{"m0", "m1"}},
			"none":        {queue.DeadFilter{ChannelID: 9}, nil},
		} {
			page, err := s.Dead(t.Context(), tc.filter)
			require.NoError(t, err, name)
			require.Equal(t, tc.want, deadTexts(page.Items), name)
			require.Empty(t, page.Next, name)
		}
	})
}

func outcomes(s queue.Status) (list []relay.Outcome) {
	for _, a := range s.Attempts {
		list = append(list, a.Outcome)
	}
	return list
}

func TestAReplayedDeadLetterMayArriveBeforeItsReplayIsRecorded(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	first := s.send(1001, "hello")
	s.die(first, 1001, relay.ReasonExhausted)
	// What ReplayDead does, with an owner that is quicker than its second step.
	e, err := s.Load(t.Context(), first.Shard, first.Position)
	require.NoError(t, err)
	second := s.append(&e.Message)
	replayed := attempt(first, 1001, relay.Replayed, "")
	replayed.MovedTo = second.Position
	s.record(attempt(second, 1001, relay.Retry, relay.ReasonTimeout), attempt(second, 1001, relay.Delivered, relay.ReasonOK), replayed)

	st, err := s.Find(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateDelivered, st.State)
	require.Equal(t, second.Position, st.Entry.Position)
	require.Equal(t, []relay.Outcome{relay.Dead, relay.Replayed, relay.Retry, relay.Delivered}, outcomes(st))
	page, err := s.List(t.Context(), queue.Filter{State: queue.StateDelivered})
	require.NoError(t, err)
	require.Equal(t, []relay.ID{first.ID}, ids(page.Items))
}

func TestAReplayedDeadLetterTellsItsWholeStory(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{Shards: 2})
	first := s.send(1001, "hello")
	s.record(attempt(first, 1001, relay.Retry, relay.ReasonTimeout))
	s.die(first, 1001, relay.ReasonExhausted)
	st, err := s.Find(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateDead, st.State)

	second, err := s.ReplayDead(t.Context(), first.ID, "ada")
	require.NoError(t, err)
	require.Equal(t, first.ID, second.ID)
	require.Greater(t, second.Position, first.Position)
	_, err = s.FindDead(t.Context(), first.ID)
	require.ErrorIs(t, err, queue.ErrNotFound)
	st, err = s.Find(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateQueued, st.State)
	require.Equal(t, second.Position, st.Entry.Position)
	require.Equal(t, "ada", st.Entry.ReplayedBy)

	// It dies and is brought back once more, and arrives.
	s.die(second, 1001, relay.ReasonStatus4xx)
	third, err := s.ReplayDead(t.Context(), first.ID, "bob")
	require.NoError(t, err)
	s.record(attempt(third, 1001, relay.Delivered, relay.ReasonOK))
	st, err = s.Find(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateDelivered, st.State)
	require.Equal(t, third.Position, st.Entry.Position)
	require.Equal(t, []relay.Outcome{relay.Retry, relay.Dead, relay.Replayed, relay.Dead, relay.Replayed, relay.Delivered}, outcomes(st))

	page, err := s.List(t.Context(), queue.Filter{})
	require.NoError(t, err)
	require.Equal(t, []relay.ID{first.ID}, ids(page.Items), "listed once, where it is now")
	require.Equal(t, third.Position, page.Items[0].Entry.Position)

	// Its first places go before its last one.
	require.NoError(t, s.stream(fmt.Sprint("RELAY_MSG_", third.Shard)).Purge(t.Context(), purgeBelow(third.Position)))
	st, err = s.Find(t.Context(), first.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateDelivered, st.State)
	require.Equal(t, third.Position, st.Entry.Position)
	require.Len(t, st.Attempts, 6)
	s.purge(third.Shard)
	_, err = s.Find(t.Context(), first.ID)
	require.ErrorIs(t, err, queue.ErrNotFound)
}

// TestAMessageMayDieAgain: a replay of its time opened it again, and it died of something else.
func TestAMessageMayDieAgain(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	r := s.send(1001, "hello")
	s.die(r, 1001, relay.ReasonStatus4xx)
	s.die(r, 1001, relay.ReasonGone)
	d, err := s.FindDead(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, relay.ReasonGone, d.Attempt.Reason)
	page, err := s.Dead(t.Context(), queue.DeadFilter{})
	require.NoError(t, err)
	require.Equal(t, []queue.DeadLetter{d}, page.Items)

	second, err := s.ReplayDead(t.Context(), r.ID, "ada")
	require.NoError(t, err)
	s.die(r, 1001, relay.ReasonGone)
	third, err := s.ReplayDead(t.Context(), r.ID, "ada")
	require.NoError(t, err)
	require.False(t, third.Duplicate)
	require.Greater(t, third.Position, second.Position, "another death, another replay")
}

func TestADiscardedDeadLetter(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	r := s.send(1001, "hello")
	s.die(r, 1001, relay.ReasonExhausted)
	require.NoError(t, s.DiscardDead(t.Context(), r.ID, "ada"))
	_, err := s.FindDead(t.Context(), r.ID)
	require.ErrorIs(t, err, queue.ErrNotFound)
	st, err := s.Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateDead, st.State)
	last := st.Attempts[len(st.Attempts)-1]
	require.Equal(t, relay.ReasonDiscarded, last.Reason)
	require.Equal(t, "ada", last.By)
	require.ErrorIs(t, s.DiscardDead(t.Context(), r.ID, "ada"), queue.ErrNotFound)
	_, err = s.ReplayDead(t.Context(), r.ID, "ada")
	require.ErrorIs(t, err, queue.ErrNotFound)
}

// TestADeadLetterOutlivesItsHistory: it stays until somebody decides, and can be found.
func TestADeadLetterOutlivesItsHistory(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	r := s.send(1001, "hello")
	s.die(r, 1001, relay.ReasonExhausted)
	s.purge(0)
	st, err := s.Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateDead, st.State)
	require.Equal(t, "hello", st.Entry.Text)
	require.NoError(t, s.stream("RELAY_ATTEMPT").Purge(t.Context()))
	st, err = s.Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, queue.StateDead, st.State)
	require.Equal(t, []relay.Outcome{relay.Dead}, outcomes(st))
	again, err := s.ReplayDead(t.Context(), r.ID, "ada")
	require.NoError(t, err)
	st, err = s.Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, again.Position, st.Entry.Position)
	require.Equal(t, queue.StateQueued, st.State)
}

// TestACrashBetweenTheSteps makes each step fail in turn, as a crash before it does, and does
// the whole again.
func TestACrashBetweenTheSteps(t *testing.T) {
	t.Parallel()
	deny := func(t *testing.T, s *store, stream string, on bool) {
		t.Helper()
		c := s.stream(stream).CachedInfo().Config
		c.MaxMsgs = -1
		if on {
			c.MaxMsgs = 1
		}
		_, err := s.conn.JetStream().UpdateStream(context.Background(), c)
		require.NoError(t, err)
	}
	t.Run("buried twice", func(t *testing.T) {
		t.Parallel()
		s := newStore(t, queue.Options{})
		r := s.send(1001, "hello")
		e, err := s.Load(t.Context(), 0, r.Position)
		require.NoError(t, err)
		d := queue.DeadLetter{Message: e.Message, Attempt: attempt(r, 1001, relay.Dead, relay.ReasonExhausted), DiedAt: time.Now()}
		require.NoError(t, s.Bury(t.Context(), d))
		require.NoError(t, s.Bury(t.Context(), d)) // the owner after the crash
		page, err := s.Dead(t.Context(), queue.DeadFilter{})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
	})
	t.Run("buried twice, late", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := newStore(t, queue.Options{})
			defer s.close()
			m := text(1001, "ticket:1", "hello")
			m.ID = idAt(time.Now(), 1)
			r := s.append(m)
			s.die(r, 1001, relay.ReasonExhausted)
			time.Sleep(time.Hour)
			s.die(r, 1001, relay.ReasonExpired)
			page, err := s.Dead(t.Context(), queue.DeadFilter{})
			require.NoError(t, err)
			require.Len(t, page.Items, 1, "a copy too many is not shown")
			require.Equal(t, relay.ReasonExpired, page.Items[0].Attempt.Reason, "the later word counts")
			_, err = s.ReplayDead(t.Context(), r.ID, "ada")
			require.NoError(t, err)
			_, err = s.FindDead(t.Context(), r.ID)
			require.ErrorIs(t, err, queue.ErrNotFound, "all copies are gone")
		})
	})
	t.Run("replay: appended, not recorded", func(t *testing.T) {
		t.Parallel()
		s := newStore(t, queue.Options{})
		r := s.send(1001, "hello")
		s.die(r, 1001, relay.ReasonExhausted)
		deny(t, s, "RELAY_ATTEMPT", true)
		_, err := s.ReplayDead(t.Context(), r.ID, "ada")
		require.ErrorIs(t, err, queue.ErrFull)
		_, err = s.FindDead(t.Context(), r.ID)
		require.NoError(t, err, "still in the box")
		deny(t, s, "RELAY_ATTEMPT", false)
		second, err := s.ReplayDead(t.Context(), r.ID, "ada")
		require.NoError(t, err)
		require.Equal(t, relay.Position(2), second.Position, "it was appended the first time")
		require.Len(t, s.follow(0, 0, 2), 2)
		st, err := s.Find(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, queue.StateQueued, st.State)
		_, err = s.FindDead(t.Context(), r.ID)
		require.ErrorIs(t, err, queue.ErrNotFound)
	})
	t.Run("discard: not recorded", func(t *testing.T) {
		t.Parallel()
		s := newStore(t, queue.Options{})
		r := s.send(1001, "hello")
		s.die(r, 1001, relay.ReasonExhausted)
		deny(t, s, "RELAY_ATTEMPT", true)
		require.ErrorIs(t, s.DiscardDead(t.Context(), r.ID, "ada"), queue.ErrFull)
		_, err := s.FindDead(t.Context(), r.ID)
		require.NoError(t, err, "nothing goes without a record of who did it")
	})
}
