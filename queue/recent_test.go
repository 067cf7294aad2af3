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

// entries follows a shard from its beginning until n messages have come.
func entries(t *testing.T, l *queue.Log, n int) (list []relay.Entry) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	l.Follow(ctx, 0, 0, func(r queue.Record) {
		e, err := r.Entry()
		require.NoError(t, err)
		require.Equal(t, r.Position, e.Position)
		require.Equal(t, r.Destination, e.Destination)
		if list = append(list, *e); len(list) == n {
			stop()
		}
	})
	return list
}

// TestWhatWasJustAppendedReadsAsStored compares what a reader gets of this process's own
// messages, which it need not decode, with what another process decodes. The reader begins
// when there are more than are kept for it, comes close, and falls behind again.
func TestWhatWasJustAppendedReadsAsStored(t *testing.T) {
	t.Parallel()
	const senders, each = 8, 500
	s := newStore(t, queue.Options{Sole: true})
	other, err := queue.Open(t.Context(), s.conn.JetStream(), queue.Options{})
	require.NoError(t, err)
	t.Cleanup(other.Close)
	send := func(sender, n int) {
		m := text(1001, fmt.Sprint("ticket:", sender), fmt.Sprint("message ", n))
		switch {
		case n%100 == 7: // more than what is kept, all in all
			m.Text = strings.Repeat("long ", 100_000)
		case n%10 == 0:
			m.Text = strings.Repeat("long ", 2000)
			m.Fields = map[string]string{"url": "https://example.com/?a=b&c"}
			m.Attachments = []relay.Attachment{{File: "f", Name: "n", ContentType: "text/plain", Size: 3}}
		}
		s.append(m)
	}
	for n := range each {
		for sender := range senders / 2 {
			send(sender, n)
		}
	}
	var all sync.WaitGroup
	for sender := senders / 2; sender < senders; sender++ {
		all.Go(func() {
			for n := range each {
				send(sender, n)
			}
		})
	}
	own := entries(t, s.Log, senders*each)
	all.Wait()
	require.Equal(t, entries(t, other, senders*each), own)
	require.Equal(t, own, entries(t, s.Log, senders*each), "once more, when nothing is kept")
}

// TestFollowFindsWhatNobodyWasToldOf has a sender hang up before its message is acknowledged:
// the message is in the log all the same.
func TestFollowFindsWhatNobodyWasToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{Sole: true})
		defer s.close()
		f := s.tail(0, 0, nil)
		s.send(1001, "a")
		synctest.Wait()
		gone, hangUp := context.WithCancel(context.Background())
		hangUp()
		unheard := 0
		for i := range 100 {
			if _, err := s.Append(gone, text(1001, "ticket:1", fmt.Sprint(i)), ""); err != nil {
				require.ErrorIs(t, err, queue.ErrUnavailable)
				unheard++
			}
		}
		require.Positive(t, unheard)
		time.Sleep(time.Second)
		require.Equal(t, upTo(101), f.end())
	})
}

// TestFollowFindsWhatOthersWrote breaks the promise of a sole store: what another process
// stored comes late, but it comes.
func TestFollowFindsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{Sole: true})
		defer s.close()
		other, err := queue.Open(t.Context(), s.conn.JetStream(), queue.Options{})
		require.NoError(t, err)
		defer other.Close()
		f := s.tail(0, 0, nil)
		s.send(1001, "a")
		_, err = other.Append(t.Context(), text(1001, "ticket:1", "b"), "")
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		_, err = other.Append(t.Context(), text(1001, "ticket:1", "c"), "")
		require.NoError(t, err)
		s.send(1001, "d")
		time.Sleep(time.Second)
		require.Equal(t, upTo(4), f.end())
	})
}

// TestARepeatIsNotFollowedTwice sends one message again under the same dedupe key.
func TestARepeatIsNotFollowedTwice(t *testing.T) {
	t.Parallel()
	sharedAndSole(t, func(t *testing.T, o queue.Options) {
		s := newStore(t, o)
		defer s.close()
		f := s.tail(0, 0, nil)
		for range 3 {
			_, err := s.Append(t.Context(), text(1001, "ticket:1", "a"), "key")
			require.NoError(t, err)
		}
		s.send(1001, "b")
		time.Sleep(time.Second)
		require.Equal(t, upTo(2), f.end())
	})
}
