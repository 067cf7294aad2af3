package queue_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
)

// flushing is a store that acknowledges after a flush to disk, as the daemon's default does.
func flushing(b *testing.B, on bool) *store {
	conn := natsdtest.OpenDir(b, b.TempDir())
	var o queue.Options
	if on {
		o.Flush = func(stream string) func() error { return conn.Flusher(stream).Flush }
	}
	return openStore(b, conn, o)
}

func BenchmarkAppend(b *testing.B) {
	for _, flush := range []bool{false, true} {
		for _, writers := range []int{1, 256} {
			b.Run(fmt.Sprintf("flush=%v/writers=%d", flush, writers), func(b *testing.B) {
				s := flushing(b, flush)
				body := string(make([]byte, 200))
				b.ReportAllocs()
				b.SetParallelism(max(1, writers/2)) // times GOMAXPROCS
				if writers == 1 {
					for b.Loop() {
						_, err := s.Append(context.Background(), text(1001, "ticket:1", body), "")
						require.NoError(b, err)
					}
					return
				}
				var n atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					conversation := fmt.Sprint("ticket:", n.Add(1))
					for pb.Next() {
						if _, err := s.Append(context.Background(), text(1001, conversation, body), ""); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

func BenchmarkJournal(b *testing.B) {
	s := flushing(b, false)
	b.ReportAllocs()
	j := s.Journal(func(uint64, relay.Attempt) {})
	a := attempt(queue.Receipt{ID: relay.NewID(), Position: 1}, 1001, relay.Delivered, relay.ReasonOK)
	for b.Loop() {
		j.Append(a)
		if j.Backlog() > 2000 {
			require.NoError(b, j.Flush(context.Background()))
		}
	}
	require.NoError(b, j.Flush(context.Background()))
	j.Close()
}

func BenchmarkFollow(b *testing.B) {
	s := flushing(b, false)
	const n = 20_000
	fill(b, s, n)
	b.ReportAllocs()
	for b.Loop() {
		require.Len(b, s.follow(0, 0, n), n)
	}
	b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "messages/s")
}

// fill appends messages of 100 channels, pipelined.
func fill(b testing.TB, s *store, n int) {
	b.Helper()
	for i := range n {
		m := text(int64(1001+i%100), fmt.Sprint("ticket:", i%1000), "hello")
		m.ID = relay.NewID()
		data := fmt.Appendf(nil, `{"id":%q,"type":"message.outbound","direction":"out","kind":"message","destination":%q,"conversation":%q,"acceptedAt":"2026-11-22T10:00:00Z","message":"hello"}`, m.ID, m.Destination, m.Conversation)
		_, err := s.conn.JetStream().PublishAsync("relay.msg.0.out."+string(m.Destination), data)
		require.NoError(b, err)
	}
	<-s.conn.JetStream().PublishAsyncComplete()
}

func BenchmarkList(b *testing.B) {
	s := flushing(b, false)
	fill(b, s, 50_000)
	for name, f := range map[string]queue.Filter{
		"all":         {},
		"destination": {Destination: relay.ChannelDestination(1042)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := s.List(context.Background(), f)
				require.NoError(b, err)
				require.Len(b, page.Items, 50)
			}
		})
	}
}

// BenchmarkReplayDead replays one letter after another of a box with many, as an operator does
// after an outage.
func BenchmarkReplayDead(b *testing.B) {
	const letters = 20_000
	s := newStore(b, queue.Options{Sole: true})
	ids := make([]relay.ID, letters)
	var all sync.WaitGroup
	for worker := range 64 {
		all.Go(func() {
			for i := worker; i < letters; i += 64 {
				m := text(1001, "ticket:1", strings.Repeat("word ", 100))
				r, err := s.Append(context.Background(), m, "")
				require.NoError(b, err)
				a := attempt(r, 1001, relay.Dead, relay.ReasonExhausted)
				require.NoError(b, s.Bury(context.Background(), queue.DeadLetter{Message: *m, Attempt: a, DiedAt: time.Now().UTC()}))
				ids[i] = r.ID
			}
		})
	}
	all.Wait()
	b.ResetTimer()
	for n := 0; b.Loop(); n++ {
		if n == letters {
			b.Fatal("no letter is left")
		}
		_, err := s.ReplayDead(b.Context(), ids[n], "ada")
		require.NoError(b, err)
	}
}
