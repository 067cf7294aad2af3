package queue_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
)

func TestJournalKeepsTheOrder(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{Shards: 2})
	type stored struct {
		seq uint64
		a   relay.Attempt
	}
	var got []stored // only the journal's goroutine writes it, and Close ends that
	j := s.Journal(func(seq uint64, a relay.Attempt) { got = append(got, stored{seq, a}) })
	for i := range 3000 {
		j.Append(relay.Attempt{Position: relay.Position(i + 1), Destination: "channel-1001", Outcome: relay.Delivered})
	}
	require.NoError(t, j.Flush(t.Context()))
	require.Zero(t, j.Backlog())
	j.Close()
	require.Len(t, got, 3000)
	read := s.attempts(0)
	require.Len(t, read, 3000)
	for i, g := range got {
		require.Equal(t, relay.Position(i+1), g.a.Position)
		require.Equal(t, relay.Position(i+1), read[i].Position)
		require.True(t, i == 0 || g.seq > got[i-1].seq)
	}
	require.Empty(t, s.attempts(1))
}

func TestReadAttemptsGoesOnFromASequence(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{Shards: 2})
	for i := range 10 {
		s.record(relay.Attempt{Position: relay.Position(i + 1), Shard: i % 2, Destination: "channel-1001", Outcome: relay.Delivered})
	}
	var seqs []uint64
	upTo, err := s.ReadAttempts(t.Context(), 0, 3, func(seq uint64, _ relay.Attempt) { seqs = append(seqs, seq) })
	require.NoError(t, err)
	require.Equal(t, []uint64{5, 7, 9}, seqs)
	require.Equal(t, uint64(9), upTo)
	upTo, err = s.ReadAttempts(t.Context(), 0, 9, func(uint64, relay.Attempt) { t.Error("nothing is left") })
	require.NoError(t, err)
	require.Equal(t, uint64(9), upTo)
}

// TestJournalOutlastsAFullStore has the attempt log refuse records for a while: all are
// stored in the end, the first of each message in order.
func TestJournalOutlastsAFullStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		defer s.close()
		limit := func(bytes int64) {
			c := s.stream("RELAY_ATTEMPT").CachedInfo().Config
			c.MaxBytes = bytes
			_, err := s.conn.JetStream().UpdateStream(t.Context(), c)
			require.NoError(t, err)
		}
		limit(20_000)
		var mu sync.Mutex
		var got []relay.Position
		j := s.Journal(func(_ uint64, a relay.Attempt) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, a.Position)
		})
		defer j.Close()
		for i := range 100 {
			j.Append(relay.Attempt{Position: relay.Position(i + 1), Destination: "channel-1001", Outcome: relay.Delivered, Response: strings.Repeat("x", 300)})
		}
		time.Sleep(time.Minute)
		mu.Lock()
		require.NotEmpty(t, got)
		require.Less(t, len(got), 100)
		mu.Unlock()
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorContains(t, j.Flush(soon), "attempts are not recorded")
		limit(-1)
		require.NoError(t, j.Flush(t.Context()))
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, got, 100)
		first := map[relay.Position]bool{}
		var order []relay.Position
		for _, a := range s.attempts(0) {
			if !first[a.Position] {
				first[a.Position] = true
				order = append(order, a.Position)
			}
		}
		require.Equal(t, got, order)
		require.IsIncreasing(t, got)
	})
}

func TestACloseGivesUpWhatIsNotStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		require.NoError(t, s.conn.Close())
		j := s.Journal(func(uint64, relay.Attempt) { t.Error("nothing can be stored") })
		j.Append(relay.Attempt{Destination: "channel-1001", Outcome: relay.Delivered})
		time.Sleep(time.Minute)
		j.Close()
		s.Log.Close()
		s.conn = nil
	})
}

// TestARunOfAttemptsBesideAStranger has somebody else write to the attempt log of a store that is
// said to be ours alone: that is found out, and every attempt is in the log, in order.
func TestARunOfAttemptsBesideAStranger(t *testing.T) {
	t.Parallel()
	for _, stranger := range []bool{false, true} {
		t.Run(fmt.Sprint("stranger: ", stranger), func(t *testing.T) {
			t.Parallel()
			s := newStore(t, queue.Options{Shards: 2, Sole: true})
			other, err := s.conn.Another(func(c net.Conn) net.Conn { return c })
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, other.Close()) })
			ctx, stop := context.WithCancel(t.Context())
			var writing sync.WaitGroup
			if stranger {
				writing.Go(func() {
					for ctx.Err() == nil {
						_, err := other.JetStream().Publish(t.Context(), "relay.attempt.7.channel-1.retry", []byte("{}"))
						require.NoError(t, err)
					}
				})
			}
			const n = 3000
			var journals sync.WaitGroup
			for shard := range 2 {
				journals.Go(func() {
					var last uint64
					var seen relay.Position
					j := s.Journal(func(seq uint64, a relay.Attempt) {
						require.Greater(t, seq, last)
						require.Equal(t, seen+1, a.Position)
						last, seen = seq, a.Position
					})
					for pos := range n {
						j.Append(attempt(queue.Receipt{Shard: shard, Position: relay.Position(pos + 1)}, 1001, relay.Delivered, relay.ReasonOK))
						if pos%100 == 0 {
							require.NoError(t, j.Flush(t.Context()))
						}
					}
					require.NoError(t, j.Flush(t.Context()))
					j.Close()
					require.EqualValues(t, n, seen)
				})
			}
			journals.Wait()
			stop()
			writing.Wait()
			for shard := range 2 {
				var first []relay.Position
				for _, a := range s.attempts(shard) {
					if len(first) == 0 || a.Position > first[len(first)-1] {
						first = append(first, a.Position)
					}
				}
				require.Len(t, first, n)
				if !stranger {
					require.Len(t, s.attempts(shard), n, "nothing is written twice")
				}
			}
		})
	}
}
