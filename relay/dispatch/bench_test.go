package dispatch_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

// instant is a Sender whose attempts take no time.
type instant struct{ sent atomic.Int64 }

func (s *instant) Deliver(context.Context, *relay.Entry) relay.Result {
	s.sent.Add(1)
	return relay.Result{Reason: relay.ReasonOK, Status: 200}
}

// BenchmarkDelivery is the way of a message from the log through its lane to its record in
// the attempt log, without HTTP: what is left of the machine for the requests themselves.
func BenchmarkDelivery(b *testing.B) {
	for name, c := range map[string]struct{ channels, conversations int }{
		"one conversation":    {1, 1},
		"a busy channel":      {1, 100},
		"a thousand channels": {1000, 1},
	} {
		b.Run(name, func(b *testing.B) {
			ctx := b.Context()
			conn := natsdtest.Open(b)
			log, err := queue.Open(ctx, conn.JetStream(), queue.Options{Log: zerolog.Nop()})
			require.NoError(b, err)
			defer log.Close()
			holds, err := log.OpenHolds(ctx)
			require.NoError(b, err)
			defer holds.Close()
			replays, err := log.OpenReplays(ctx)
			require.NoError(b, err)
			defer replays.Close()
			js := conn.JetStream()
			for i := range b.N {
				m := relay.Message{
					ID: relay.NewID(), Type: "message.outbound", Kind: relay.KindMessage, Direction: relay.Outbound, AcceptedAt: time.Now().UTC(),
					Destination: relay.ChannelDestination(int64(1001 + i%c.channels)), Conversation: fmt.Sprint("ticket:", i%c.conversations),
					Text: "Your order has been shipped and will arrive on Thursday.",
				}
				_, err := log.Append(ctx, &m, "")
				require.NoError(b, err)
			}
			sender := &instant{}
			d := dispatch.New(dispatch.Options{
				Log: log, Sender: sender, Catalog: &catalog{}, Holds: holds, Replays: replays, Logger: zerolog.Nop(),
			}, time.Second)
			b.ReportAllocs()
			b.ResetTimer()
			require.NoError(b, d.Acquire(ctx, 0))
			for recorded := uint64(0); recorded < uint64(b.N); {
				time.Sleep(100 * time.Microsecond)
				attempts, err := js.Stream(ctx, "RELAY_ATTEMPT")
				require.NoError(b, err)
				recorded = attempts.CachedInfo().State.Msgs
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			require.EqualValues(b, b.N, sender.sent.Load())
			require.NoError(b, d.Close())
		})
	}
}

// BenchmarkSnapshot is how long an owner stands still to save its state, and how long writing it
// down takes beside the loop, with a million open messages.
func BenchmarkSnapshot(b *testing.B) {
	for _, channels := range []int{500, 10_000} {
		s := dispatch.NewState()
		for i := range 1_000_000 {
			s.Message(relay.ChannelDestination(int64(1001+i*7919%channels)), relay.Position(i+1))
		}
		b.Run(fmt.Sprintf("%d channels", channels), func(b *testing.B) {
			var still time.Duration
			for b.Loop() {
				began := time.Now()
				write, err := s.Frozen()
				still += time.Since(began)
				require.NoError(b, err)
				data, err := write()
				require.NoError(b, err)
				b.ReportMetric(float64(len(data)), "bytes")
			}
			b.ReportMetric(still.Seconds()*1000/float64(b.N), "ms-still/op")
		})
	}
}
