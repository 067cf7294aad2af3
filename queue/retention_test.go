package queue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
)

// positions are the messages that a shard holds.
func (s *store) positions(shard int) (list []relay.Position) {
	s.t.Helper()
	stream := s.stream(fmt.Sprint("RELAY_MSG_", shard))
	info, err := stream.Info(context.Background())
	require.NoError(s.t, err)
	for pos := info.State.FirstSeq; pos <= info.State.LastSeq; pos++ {
		if _, err := s.Load(context.Background(), shard, pos); err == nil {
			list = append(list, pos)
		}
	}
	return list
}

// run carries retention out, if it is due, with the given positions open.
func (s *store) retain(r *queue.Retention, open ...relay.Position) bool {
	s.t.Helper()
	k := s.settled(open...)
	due, err := r.Due(context.Background(), k.Messages)
	require.NoError(s.t, err)
	if due {
		require.NoError(s.t, r.Run(context.Background(), k))
	}
	return due
}

// settled is what an owner knows that has read and recorded all.
func (s *store) settled(open ...relay.Position) queue.Settled {
	s.t.Helper()
	info, err := s.stream("RELAY_MSG_0").Info(context.Background())
	require.NoError(s.t, err)
	attempts, err := s.stream("RELAY_ATTEMPT").Info(context.Background())
	require.NoError(s.t, err)
	k := queue.Settled{
		Messages: info.State.LastSeq, Attempts: attempts.State.LastSeq, Floor: info.State.LastSeq + 1,
		Oldest: map[relay.Destination]relay.Position{}, Open: map[relay.Destination]uint64{},
	}
	for _, pos := range open {
		e, err := s.Load(context.Background(), 0, pos)
		require.NoError(s.t, err)
		k.Floor = min(k.Floor, pos)
		if k.Open[e.Destination]++; k.Oldest[e.Destination] == 0 || pos < k.Oldest[e.Destination] {
			k.Oldest[e.Destination] = pos
		}
	}
	return k
}

func TestHistoryEndsWithItsAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{History: 24 * time.Hour})
		defer s.close()
		r := s.Retention(0)
		require.True(t, s.retain(r), "at first")
		for i := range 10 {
			s.record(attempt(s.send(1001, fmt.Sprint(i)), 1001, relay.Delivered, relay.ReasonOK))
			time.Sleep(time.Hour)
		}
		require.True(t, s.retain(r))
		require.Len(t, s.positions(0), 10)
		time.Sleep(18*time.Hour + time.Minute) // the fifth was stored a day and a minute ago
		require.True(t, s.retain(r))
		require.Equal(t, []relay.Position{6, 7, 8, 9, 10}, s.positions(0))
		require.Len(t, s.attempts(0), 5)
		require.False(t, s.retain(r), "it has just been looked at")
		time.Sleep(24 * time.Hour)
		require.True(t, s.retain(r))
		require.Empty(t, s.positions(0))
		require.Empty(t, s.attempts(0))
		s.send(1001, "later")
		require.Equal(t, []relay.Position{11}, s.positions(0))
	})
}

// TestAnOpenMessageKeepsOnlyItsOwnHistory has one destination wait for ever.
func TestAnOpenMessageKeepsOnlyItsOwnHistory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{History: 24 * time.Hour})
		defer s.close()
		for i := range 40 { // position p is of channel 1000 + p%4
			s.send(int64(1000+(i+1)%4), fmt.Sprint(i))
		}
		time.Sleep(48 * time.Hour)
		for range 4 {
			s.send(1000, "young")
		}
		r := s.Retention(0)
		for range 3 { // it is paced
			s.retain(r, 9, 21, 23)
			time.Sleep(15 * time.Minute)
		}
		require.Equal(t, []relay.Position{9, 13, 17, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 42, 43, 44}, s.positions(0),
			"channel 1001 waits from 9 on and channel 1003 from 23 on; of the others the old ones are gone")
	})
}

func TestNothingUnknownIsPurged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{History: time.Hour})
		defer s.close()
		for i := range 10 {
			s.record(attempt(s.send(1001, fmt.Sprint(i)), 1001, relay.Delivered, relay.ReasonOK))
		}
		time.Sleep(10 * time.Hour)
		k := s.settled()
		k.Messages, k.Floor, k.Attempts = 6, 7, 4 // as of an older snapshot
		require.NoError(t, s.Retention(0).Run(t.Context(), k))
		require.Equal(t, []relay.Position{7, 8, 9, 10}, s.positions(0))
		require.Len(t, s.attempts(0), 6)
	})
}

// TestEachShardPurgesItsOwnAttempts has a shard whose snapshot lags behind.
func TestEachShardPurgesItsOwnAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{History: time.Hour, Shards: 2})
		defer s.close()
		for i := range 10 {
			s.record(relay.Attempt{Shard: i % 2, Position: relay.Position(i + 1), Destination: "channel-1001", Outcome: relay.Delivered})
		}
		time.Sleep(2 * time.Hour)
		require.NoError(t, s.Retention(0).Run(t.Context(), queue.Settled{Attempts: 10, Floor: 1}))
		require.Empty(t, s.attempts(0))
		require.Len(t, s.attempts(1), 5)
		require.NoError(t, s.Retention(1).Run(t.Context(), queue.Settled{Attempts: 4, Floor: 1}))
		require.Len(t, s.attempts(1), 3)
	})
}

// TestAFullLogOfDeliveredMessagesTakesMore sends many times what the log holds.
func TestAFullLogOfDeliveredMessagesTakesMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{MaxBytes: 100_000})
		defer s.close()
		r := s.Retention(0)
		body := strings.Repeat("x", 700)
		for range 1000 {
			s.append(text(1001, "ticket:1", body))
			time.Sleep(time.Second)
			s.retain(r)
		}
		info, err := s.stream("RELAY_MSG_0").Info(t.Context())
		require.NoError(t, err)
		require.Greater(t, info.State.Bytes, uint64(55_000), "no more is given up than need be")
		require.Less(t, info.State.Bytes, uint64(81_000))
	})
}

// TestAFullLogGivesUpWhatItCan has open messages in the way of all but a few.
func TestAFullLogGivesUpWhatItCan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{MaxBytes: 100_000})
		defer s.close()
		r := s.Retention(0)
		body := strings.Repeat("x", 700)
		stuck := s.append(text(1000, "ticket:1", body)).Position
		for i := range 1000 {
			s.append(text(int64(1001+i%3), "ticket:1", body))
			time.Sleep(time.Second)
			s.retain(r, stuck)
		}
		require.Equal(t, stuck, s.positions(0)[0])
		// A backlog of what is open is no history.
		var open []relay.Position
		for {
			receipt, err := s.Append(t.Context(), text(1000, "ticket:1", body), "")
			if err != nil {
				require.ErrorIs(t, err, queue.ErrFull)
				break
			}
			open = append(open, receipt.Position)
		}
		open = append(open, s.positions(0)...)
		before := s.positions(0)
		for range 20 {
			time.Sleep(5 * time.Second)
			s.retain(r, open...)
		}
		require.Equal(t, before, s.positions(0), "what is open stays, however full")
	})
}

// TestALowDiskCostsHistory gives some up every round, for as long as it is low.
func TestALowDiskCostsHistory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		defer s.close()
		for i := range 100 {
			s.send(1001, fmt.Sprint(i))
		}
		r := s.Retention(0)
		s.retain(r)
		require.False(t, s.retain(r))
		s.SetTight(true)
		require.True(t, s.retain(r, 95))
		require.Len(t, s.positions(0), 90)
		for range 100 {
			s.retain(r, 95)
		}
		require.Equal(t, relay.Position(95), s.positions(0)[0])
		s.SetTight(false)
		require.False(t, s.retain(r))
	})
}
