package queue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
)

// tail follows a shard until the test ends it.
type tail struct {
	mu   sync.Mutex
	got  []relay.Position
	each func()
	stop context.CancelFunc
	done sync.WaitGroup
}

func (s *store) tail(shard int, after relay.Position, each func()) *tail {
	ctx, cancel := context.WithCancel(context.Background())
	f := &tail{stop: cancel, each: each}
	f.done.Go(func() {
		s.Follow(ctx, shard, after, func(r queue.Record) {
			f.mu.Lock()
			f.got = append(f.got, r.Position)
			f.mu.Unlock()
			if f.each != nil {
				f.each()
			}
		})
	})
	return f
}

func (f *tail) end() []relay.Position {
	f.stop()
	f.done.Wait()
	return f.got
}

func upTo(n int) (list []relay.Position) {
	for i := range n {
		list = append(list, relay.Position(i+1))
	}
	return list
}

// sharedAndSole runs a test with the two kinds of store, which are followed in different ways.
func sharedAndSole(t *testing.T, test func(t *testing.T, o queue.Options)) {
	t.Helper()
	for name, o := range map[string]queue.Options{"shared store": {}, "sole store": {Sole: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, o) })
		})
	}
}

func TestFollowGivesAllInOrder(t *testing.T) {
	t.Parallel()
	sharedAndSole(t, func(t *testing.T, o queue.Options) {
		s := newStore(t, o)
		defer s.close()
		for _, after := range []int{0, 290, 600} {
			for i := range 300 {
				s.send(1001, fmt.Sprint(i))
			}
			f := s.tail(0, relay.Position(after), nil)
			for i := range 300 {
				s.send(1002, fmt.Sprint(i))
			}
			time.Sleep(time.Second)
			got := f.end()
			require.Equal(t, upTo(int(got[len(got)-1]))[after:], got)
			require.Zero(t, len(got)%10)
		}
	})
}

// TestFollowOutlivesItsReader deletes the server's side of the reader again and again.
func TestFollowOutlivesItsReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		defer s.close()
		f := s.tail(0, 0, nil)
		stream := s.stream("RELAY_MSG_0")
		n := 0
		for range 5 {
			for range 100 {
				n++
				s.send(1001, fmt.Sprint(n))
			}
			deleted := 0
			for name := range stream.ConsumerNames(t.Context()).Name() {
				require.NoError(t, stream.DeleteConsumer(t.Context(), name))
				deleted++
			}
			require.Positive(t, deleted)
			for range 100 {
				n++
				s.send(1001, fmt.Sprint(n))
			}
			time.Sleep(time.Minute)
		}
		require.Equal(t, upTo(n), f.end())
	})
}

// TestFollowPausesWithItsReader blocks the receiving side for much longer than heartbeats last.
func TestFollowPausesWithItsReader(t *testing.T) {
	t.Parallel()
	sharedAndSole(t, func(t *testing.T, o queue.Options) {
		s := newStore(t, o)
		defer s.close()
		for i := range 2000 {
			s.send(1001, fmt.Sprint(i))
		}
		n := 0
		f := s.tail(0, 0, func() {
			if n++; n%500 == 0 {
				time.Sleep(5 * time.Minute)
			}
		})
		time.Sleep(time.Hour)
		require.Equal(t, upTo(2000), f.end())
	})
}

func TestFollowBeginsAtWhatIsLeft(t *testing.T) {
	t.Parallel()
	sharedAndSole(t, func(t *testing.T, o queue.Options) {
		s := newStore(t, o)
		defer s.close()
		for i := range 10 {
			s.send(1001, fmt.Sprint(i))
		}
		s.follow(0, 0, 10) // so that nothing is left in memory
		require.NoError(t, s.stream("RELAY_MSG_0").Purge(t.Context(), purgeBelow(6)))
		got := s.follow(0, 0, 5)
		require.Equal(t, relay.Position(6), got[0].Position)
		require.Equal(t, relay.Position(10), got[4].Position)
		require.Equal(t, relay.ChannelDestination(1001), got[0].Destination)
	})
}

// TestFollowPassesWhatIsPurged takes away what a reader would read next, and all there is.
func TestFollowPassesWhatIsPurged(t *testing.T) {
	t.Parallel()
	sharedAndSole(t, func(t *testing.T, o queue.Options) {
		s := newStore(t, o)
		defer s.close()
		for i := range 10 {
			s.send(1001, fmt.Sprint(i))
		}
		s.follow(0, 0, 10) // so that nothing is left in memory
		require.NoError(t, s.stream("RELAY_MSG_0").Purge(t.Context()))
		f := s.tail(0, 0, nil)
		time.Sleep(time.Second)
		s.send(1001, "next")
		time.Sleep(time.Second)
		require.Equal(t, []relay.Position{11}, f.end())
	})
}

func TestARecordThatIsNoMessage(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	_, err := s.conn.JetStream().Publish(t.Context(), "relay.msg.0.out.channel-1001", []byte("{"))
	require.NoError(t, err)
	r := s.follow(0, 0, 1)[0]
	_, err = r.Entry()
	require.ErrorIs(t, err, queue.ErrUndecodable)
	_, err = s.Load(t.Context(), 0, 1)
	require.ErrorIs(t, err, queue.ErrUndecodable)
}

// FuzzRecord decodes what a stream may hold: an error or a message, never a panic.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"id":"msg_01890000-0000-7000-8000-000000000000","conversation":"ticket:1","message":"hi"}`))
	f.Add([]byte(`{"fields":{"a":"b"},"attachments":[{"size":-1}],"acceptedAt":"2026-11-22T10:00:00Z"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := queue.Record{Shard: 1, Position: 2, Data: data}.Entry()
		if err != nil {
			require.ErrorIs(t, err, queue.ErrUndecodable)
			return
		}
		require.Equal(t, len(data), e.Size)
		require.Equal(t, relay.Position(2), e.Position)
	})
}
