package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
)

// commits are the two ways of appending: an acknowledgement is final, or waits for a flush to
// disk that many share.
func commits(t *testing.T, o queue.Options, f func(t *testing.T, s *store)) {
	t.Helper()
	for _, flushed := range []bool{false, true} {
		t.Run(fmt.Sprintf("flushed=%v", flushed), func(t *testing.T) {
			t.Parallel()
			conn := natsdtest.OpenDir(t, t.TempDir())
			o := o
			if flushed {
				o.Flush = func(stream string) func() error { return conn.Flusher(stream).Flush }
			}
			f(t, openStore(t, conn, o))
		})
	}
}

func TestAppendStoresBeforeItAnswers(t *testing.T) {
	t.Parallel()
	commits(t, queue.Options{Shards: 2}, func(t *testing.T, s *store) {
		m := text(1001, "ticket:1", "hello")
		r := s.append(m)
		require.Equal(t, m.ID, r.ID)
		require.Equal(t, s.ShardOf(m.Destination), r.Shard)
		require.False(t, r.Duplicate)
		e, err := s.Load(t.Context(), r.Shard, r.Position)
		require.NoError(t, err)
		require.Equal(t, *m, e.Message)
		require.Equal(t, r.Position, e.Position)
		require.Positive(t, e.Size)
		_, err = s.Load(t.Context(), r.Shard, r.Position+1)
		require.ErrorIs(t, err, queue.ErrNotFound)
	})
}

func TestTheSameKeyIsOneMessage(t *testing.T) {
	t.Parallel()
	commits(t, queue.Options{Shards: 2}, func(t *testing.T, s *store) {
		first, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "key")
		require.NoError(t, err)
		again, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "key")
		require.NoError(t, err)
		require.True(t, again.Duplicate)
		require.Equal(t, first.ID, again.ID)
		require.Equal(t, first.Position, again.Position)
		other, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "other")
		require.NoError(t, err)
		require.NotEqual(t, first.ID, other.ID)
	})
}

// TestTheSameKeyAtOnce has many senders use few keys side by side.
func TestTheSameKeyAtOnce(t *testing.T) {
	t.Parallel()
	commits(t, queue.Options{Shards: 2}, func(t *testing.T, s *store) {
		const keys, each = 20, 30
		var all sync.WaitGroup
		var mu sync.Mutex
		got := map[int]map[relay.ID]int{}
		originals := 0
		for i := range keys * each {
			all.Go(func() {
				key := i % keys
				r, err := s.Append(context.Background(), text(1001, "ticket:1", fmt.Sprint(key)), fmt.Sprint("key", key))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				if got[key] == nil {
					got[key] = map[relay.ID]int{}
				}
				got[key][r.ID]++
				if !r.Duplicate {
					originals++
				}
			})
		}
		all.Wait()
		require.Equal(t, keys, originals)
		require.Len(t, got, keys)
		for key, list := range got {
			require.Len(t, list, 1, "key %d has more than one id", key)
		}
		page, err := s.List(t.Context(), queue.Filter{Limit: 1000})
		require.NoError(t, err)
		require.Len(t, page.Items, keys)
	})
}

func TestAKeyIsForgottenAfterItsWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{IdempotencyWindow: time.Minute})
		defer s.close()
		first, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "key")
		require.NoError(t, err)
		time.Sleep(59 * time.Second)
		again, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "key")
		require.NoError(t, err)
		require.Equal(t, first.ID, again.ID)
		time.Sleep(2 * time.Minute)
		later, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "key")
		require.NoError(t, err)
		require.False(t, later.Duplicate)
	})
}

// TestADuplicateOfWhatIsGone answers as a duplicate, without an id.
func TestADuplicateOfWhatIsGone(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	_, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "key")
	require.NoError(t, err)
	s.purge(0)
	r, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "key")
	require.NoError(t, err)
	require.True(t, r.Duplicate)
	require.Empty(t, r.ID)
}

func (s *store) stream(name string) jetstream.Stream {
	s.t.Helper()
	stream, err := s.conn.JetStream().Stream(context.Background(), name)
	require.NoError(s.t, err)
	return stream
}

func (s *store) purge(shard int) {
	s.t.Helper()
	require.NoError(s.t, s.stream(fmt.Sprint("RELAY_MSG_", shard)).Purge(context.Background()))
}

// TestAppendsKeepTheirOrder sends several sequences side by side; each sender waits for its
// answer before it sends the next, so each sequence must be in order in the log.
func TestAppendsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	commits(t, queue.Options{Shards: 2}, func(t *testing.T, s *store) {
		const senders, each = 64, 20
		var all sync.WaitGroup
		for sender := range senders {
			all.Go(func() {
				var last relay.Position
				for i := range each {
					r, err := s.Append(context.Background(), text(1001, fmt.Sprint("ticket:", sender), fmt.Sprint(i)), "")
					if err != nil || r.Position <= last {
						t.Errorf("append %d of %d: position %d after %d: %v", i, sender, r.Position, last, err)
						return
					}
					last = r.Position
				}
			})
		}
		all.Wait()
		got := map[string][]string{}
		for _, r := range s.follow(s.ShardOf(relay.ChannelDestination(1001)), 0, senders*each) {
			e, err := r.Entry()
			require.NoError(t, err)
			got[e.Conversation] = append(got[e.Conversation], e.Text)
		}
		require.Len(t, got, senders)
		for conversation, texts := range got {
			require.Equal(t, numbered("", each), texts, conversation)
		}
	})
}

func TestAFullLogSaysSoAndRecovers(t *testing.T) {
	t.Parallel()
	commits(t, queue.Options{MaxBytes: 64 << 10}, func(t *testing.T, s *store) {
		body := strings.Repeat("x", 1000)
		var mu sync.Mutex
		accepted := map[relay.ID]bool{}
		refused := 0
		for range 4 {
			var all sync.WaitGroup
			for range 40 {
				all.Go(func() {
					r, err := s.Append(context.Background(), text(1001, "ticket:1", body), "")
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						accepted[r.ID] = true
					case errors.Is(err, queue.ErrFull):
						refused++
					default:
						t.Errorf("append: %v", err)
					}
				})
			}
			all.Wait()
		}
		require.NotZero(t, refused)
		require.NotEmpty(t, accepted)
		page, err := s.List(t.Context(), queue.Filter{Limit: 1000})
		require.NoError(t, err)
		require.Len(t, page.Items, len(accepted), "what was refused is not there, and nothing else is missing")
		for _, item := range page.Items {
			require.True(t, accepted[item.Entry.ID])
		}
		s.purge(0)
		s.send(1001, "again")
	})
}

func TestSetRoom(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	s.SetRoom(0)
	_, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "")
	require.ErrorIs(t, err, queue.ErrFull)
	s.SetRoom(1 << 30)
	s.send(1001, "a")

	// What is accepted counts until the room is told again.
	s.SetRoom(100_000)
	for range 9 {
		s.send(1001, strings.Repeat("x", 9_000))
	}
	_, err = s.Append(t.Context(), text(1001, "ticket:1", strings.Repeat("x", 9_000)), "")
	require.ErrorIs(t, err, queue.ErrFull)
	s.SetRoom(100_000)
	s.send(1001, "b")
}

func TestATooLargeMessage(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	_, err := s.Append(t.Context(), text(1001, "ticket:1", strings.Repeat("x", 5<<20)), "")
	require.ErrorIs(t, err, queue.ErrMessageTooLarge)
	// What the server refuses for the same reason has the same name.
	c := s.stream("RELAY_MSG_0").CachedInfo().Config
	c.MaxMsgSize = 2000
	_, err = s.conn.JetStream().UpdateStream(t.Context(), c)
	require.NoError(t, err)
	_, err = s.Append(t.Context(), text(1001, "ticket:1", strings.Repeat("x", 3000)), "")
	require.ErrorIs(t, err, queue.ErrMessageTooLarge)
	s.send(1001, "small")
}

func TestAppendAfterTheServerIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		s.send(1001, "a")
		require.NoError(t, s.conn.Close())
		_, err := s.Append(t.Context(), text(1001, "ticket:1", "b"), "")
		require.ErrorIs(t, err, queue.ErrUnavailable)
		s.Log.Close()
		s.conn = nil
	})
}

// TestAFailedFlushIsNoAcceptance has the disk refuse a flush.
func TestAFailedFlushIsNoAcceptance(t *testing.T) {
	t.Parallel()
	conn := natsdtest.OpenDir(t, t.TempDir())
	var broken atomic.Bool
	s := openStore(t, conn, queue.Options{Flush: func(string) func() error {
		return func() error {
			if broken.Load() {
				return errors.New("input/output error")
			}
			return nil
		}
	}})
	s.send(1001, "a")
	broken.Store(true)
	_, err := s.Append(t.Context(), text(1001, "ticket:1", "b"), "")
	require.ErrorIs(t, err, queue.ErrUnavailable)
	require.ErrorContains(t, err, "input/output error")
}

func TestTheNumberOfShardsIsFixed(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{Shards: 3})
	_, err := queue.Open(t.Context(), s.conn.JetStream(), queue.Options{Shards: 4, Log: zerolog.Nop()})
	require.ErrorContains(t, err, "the store has 3 shards and queue.shards says 4")
	again, err := queue.Open(t.Context(), s.conn.JetStream(), queue.Options{Shards: 3, Log: zerolog.Nop()})
	require.NoError(t, err)
	again.Close()
}
