package queue_test

import (
	"context"
	"fmt"
	"strings"
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

func TestFollowGivesAllInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		defer s.close()
		for i := range 300 {
			s.send(1001, fmt.Sprint(i))
		}
		all := s.tail(0, 0, nil)
		late := s.tail(0, 290, nil)
		for i := range 300 {
			s.send(1002, fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		require.Equal(t, upTo(600), all.end())
		require.Equal(t, upTo(600)[290:], late.end())
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
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
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
	s := newStore(t, queue.Options{})
	for i := range 10 {
		s.send(1001, fmt.Sprint(i))
	}
	require.NoError(t, s.stream("RELAY_MSG_0").Purge(t.Context(), purgeBelow(6)))
	got := s.follow(0, 0, 5)
	require.Equal(t, relay.Position(6), got[0].Position)
	require.Equal(t, relay.Position(10), got[4].Position)
	require.Equal(t, relay.ChannelDestination(1001), got[0].Destination)
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

// TestWhatWasJustAppendedReadsAsStored compares what a reader gets of this process's own
// messages, which it need not decode, with what another process decodes.
func TestWhatWasJustAppendedReadsAsStored(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	other, err := queue.Open(t.Context(), s.conn.JetStream(), queue.Options{})
	require.NoError(t, err)
	t.Cleanup(other.Close)
	var want []relay.ID
	for n := range 2000 { // more than are kept
		m := text(1001, "ticket:1", fmt.Sprint("message ", n))
		if n%10 == 0 {
			m.Text = strings.Repeat("long ", 2000)
			m.Fields = map[string]string{"url": "https://example.com/?a=b&c"}
			m.Attachments = []relay.Attachment{{File: "f", Name: "n", ContentType: "text/plain", Size: 3}}
		}
		want = append(want, s.append(m).ID)
	}
	entries := func(l *queue.Log) (list []relay.Entry) {
		ctx, stop := context.WithCancel(t.Context())
		l.Follow(ctx, 0, 0, func(r queue.Record) {
			e, err := r.Entry()
			require.NoError(t, err)
			if list = append(list, e); len(list) == len(want) {
				stop()
			}
		})
		return list
	}
	own := entries(s.Log)
	require.Equal(t, entries(other), own)
	require.Equal(t, entries(s.Log), own, "once more")
	for i, e := range own {
		require.Equal(t, want[i], e.ID)
	}
}
