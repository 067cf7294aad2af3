package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
)

// TestAnAppendWaitsForAFlushOfItsOwnTime has many senders share the flushes of a slow disk,
// and some of them hang up in the middle: whoever is told that a message is stored was told
// so after a flush that began and ended meanwhile, and of their own message.
func TestAnAppendWaitsForAFlushOfItsOwnTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const senders, each = 16, 100
		var begun, ended atomic.Int64
		s := newStore(t, queue.Options{Sole: true, Flush: func(string) func() error {
			return func() error {
				n := begun.Add(1)
				time.Sleep(time.Duration(n%5) * time.Millisecond)
				ended.Store(n)
				return nil
			}
		}})
		defer s.close()
		var all sync.WaitGroup
		var mu sync.Mutex
		texts := map[relay.Position]string{}
		hungUp := 0
		for sender := range senders {
			all.Go(func() {
				for n := range each {
					ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
					if rand.IntN(4) == 0 {
						ctx, cancel = context.WithTimeout(context.Background(), time.Duration(rand.IntN(6))*time.Millisecond)
					}
					body := fmt.Sprintf("%d of sender %d", n, sender)
					before := begun.Load()
					r, err := s.Append(ctx, text(1001, "ticket:1", body), "")
					cancel()
					mu.Lock()
					if err == nil {
						texts[r.Position] = body
						if ended.Load() <= before {
							t.Errorf("%s: accepted after flush %d, while the last before it was %d", body, ended.Load(), before)
						}
					} else {
						hungUp++
					}
					mu.Unlock()
					time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
				}
			})
		}
		all.Wait()
		require.Positive(t, hungUp)
		require.Equal(t, senders*each, len(texts)+hungUp)
		for pos, body := range texts {
			e, err := s.Load(t.Context(), 0, pos)
			require.NoError(t, err)
			require.Equal(t, body, e.Text)
		}
	})
}

// TestAFlushThatHangsIsNoAcceptance has the disk never answer: the sender is told so in time.
func TestAFlushThatHangsIsNoAcceptance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newStore(t, queue.Options{Flush: func(string) func() error {
			return func() error {
				<-release
				return nil
			}
		}})
		defer s.close()
		defer close(release)
		began := time.Now()
		_, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "")
		require.ErrorIs(t, err, queue.ErrUnavailable)
		require.ErrorContains(t, err, "no flush within 10s")
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}
