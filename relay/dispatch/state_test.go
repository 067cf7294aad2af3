package dispatch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

// history is a generated past of one shard: messages in log order, and attempts in log order
// that only speak of messages accepted before them.
type history struct {
	messages []relay.Destination // position i+1
	attempts []relay.Attempt     // sequence i+1
	settled  map[relay.Position]bool
	tried    map[relay.Position]int
}

func genHistory(t *rapid.T) history {
	h := history{settled: map[relay.Position]bool{}, tried: map[relay.Position]int{}}
	destinations := rapid.IntRange(1, 5).Draw(t, "destinations")
	for range rapid.IntRange(0, 200).Draw(t, "events") {
		if len(h.messages) == 0 || rapid.IntRange(0, 2).Draw(t, "kind") == 0 {
			n := rapid.IntRange(1, destinations).Draw(t, "destination")
			h.messages = append(h.messages, relay.ChannelDestination(int64(n)))
			continue
		}
		pos := relay.Position(rapid.IntRange(1, len(h.messages)).Draw(t, "position"))
		a := relay.Attempt{Position: pos, Destination: h.messages[pos-1]}
		switch {
		case h.settled[pos] && rapid.Bool().Draw(t, "replay"):
			set := roaring64.BitmapOf(pos)
			a.Outcome, a.Replay = relay.Reopened, fmt.Sprint("r", len(h.attempts))
			a.Positions, _ = set.ToBytes()
			delete(h.settled, pos)
			delete(h.tried, pos)
		case rapid.Bool().Draw(t, "final"):
			a.Outcome, a.Reason = relay.Delivered, relay.ReasonOK
			if rapid.Bool().Draw(t, "dead") {
				a.Outcome, a.Reason = relay.Dead, relay.ReasonExhausted
			}
			h.settled[pos] = true // a repeat of a settled message changes nothing
			delete(h.tried, pos)
		default:
			a.Outcome, a.Reason = relay.Retry, relay.ReasonTimeout
			a.Number = rapid.IntRange(1, 9).Draw(t, "number")
			a.NextAt = time.Unix(int64(rapid.IntRange(0, 1000).Draw(t, "next")), 0).UTC()
			if !h.settled[pos] {
				h.tried[pos] = a.Number
			}
		}
		h.attempts = append(h.attempts, a)
	}
	return h
}

func (h history) foldMessages(s *dispatch.State, from, to int) {
	for i := from; i < to; i++ {
		s.Message(h.messages[i], relay.Position(i+1))
	}
}

func (h history) foldAttempts(t require.TestingT, s *dispatch.State, from, to int) {
	for i := from; i < to; i++ {
		require.NoError(t, s.Attempt(uint64(i+1), &h.attempts[i]))
	}
}

func open(s *dispatch.State) map[relay.Position]relay.Destination {
	m := map[relay.Position]relay.Destination{}
	for _, d := range s.Destinations() {
		for _, p := range s.OpenAfter(d, 0, 1<<30, nil) {
			m[p] = d
		}
	}
	return m
}

func restore(t require.TestingT, s *dispatch.State) *dispatch.State {
	b, err := s.Snapshot()
	require.NoError(t, err)
	r, err := dispatch.Restore(b)
	require.NoError(t, err)
	return r
}

// A message is open exactly when the attempt log has not settled it, whichever log is read
// first: recovery reads the attempts before it goes on with the messages.
func TestFoldOpensExactlyWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := genHistory(t)
		attemptsFirst, messagesFirst := dispatch.NewState(), dispatch.NewState()
		cut := rapid.IntRange(0, len(h.messages)).Draw(t, "read so far")
		h.foldMessages(attemptsFirst, 0, cut)
		h.foldAttempts(t, attemptsFirst, 0, len(h.attempts))
		h.foldMessages(attemptsFirst, cut, len(h.messages))
		h.foldMessages(messagesFirst, 0, len(h.messages))
		h.foldAttempts(t, messagesFirst, 0, len(h.attempts))

		want := map[relay.Position]relay.Destination{}
		for i, d := range h.messages {
			if pos := relay.Position(i + 1); !h.settled[pos] {
				want[pos] = d
			}
		}
		require.Equal(t, want, open(messagesFirst))
		require.Equal(t, want, open(attemptsFirst))
		for pos, n := range h.tried {
			require.Equal(t, n, messagesFirst.Retry(pos).Attempts)
			require.Equal(t, n, attemptsFirst.Retry(pos).Attempts)
		}
		for pos := range h.settled {
			require.Zero(t, messagesFirst.Retry(pos), "a message is retried and settled at once")
		}
	})
}

// A snapshot at any point and the rest of both logs give what the whole logs give.
func TestSnapshotAndTailEqualTheWholeFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := genHistory(t)
		whole := dispatch.NewState()
		h.foldMessages(whole, 0, len(h.messages))
		h.foldAttempts(t, whole, 0, len(h.attempts))

		m := rapid.IntRange(0, len(h.messages)).Draw(t, "messages in the snapshot")
		a := rapid.IntRange(0, len(h.attempts)).Draw(t, "attempts in the snapshot")
		part := dispatch.NewState()
		h.foldMessages(part, 0, m)
		h.foldAttempts(t, part, 0, a)
		part = restore(t, part)
		// The tail is read again from a little before: what is folded twice changes nothing.
		h.foldMessages(part, max(0, m-3), m)
		h.foldAttempts(t, part, a, len(h.attempts))
		h.foldMessages(part, m, len(h.messages))

		require.Equal(t, open(whole), open(part))
		require.Equal(t, whole.Floor(), part.Floor())
		for pos := range open(whole) {
			require.Equal(t, whole.Retry(pos), part.Retry(pos))
		}
		for _, d := range whole.Destinations() {
			require.Equal(t, whole.Faults(d), part.Faults(d))
		}
	})
}

func TestOpenAfterAndOldest(t *testing.T) {
	t.Parallel()
	s := dispatch.NewState()
	d := relay.ChannelDestination(1001)
	for pos := range relay.Position(10) {
		require.True(t, s.Message(d, pos+1))
	}
	require.False(t, s.Message(d, 4), "folded before")
	require.NoError(t, s.Attempt(1, &relay.Attempt{Position: 1, Destination: d, Outcome: relay.Delivered, Reason: relay.ReasonOK}))
	require.NoError(t, s.Attempt(2, &relay.Attempt{Position: 5, Destination: d, Outcome: relay.Dead, Reason: relay.ReasonExpired}))
	require.Equal(t, []relay.Position{4, 6, 7}, s.OpenAfter(d, 3, 3, nil))
	require.Equal(t, relay.Position(2), s.Oldest(d))
	require.Equal(t, relay.Position(2), s.Floor())
	require.EqualValues(t, 8, s.Open(d))
}

func BenchmarkFoldOneMillion(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s := dispatch.NewState()
		for i := range 1_000_000 {
			s.Message(relay.ChannelDestination(int64(1001+i%10_000)), relay.Position(i+1))
		}
		data, err := s.Snapshot()
		require.NoError(b, err)
		b.ReportMetric(float64(len(data)), "snapshot-bytes")
		_, err = dispatch.Restore(data)
		require.NoError(b, err)
	}
}

// What a replay opens again has its age counted from then, in every later fold, too.
func TestReopeningIsRemembered(t *testing.T) {
	t.Parallel()
	s := dispatch.NewState()
	d := relay.ChannelDestination(1001)
	for pos := range relay.Position(10) {
		s.Message(d, pos+1)
		require.NoError(t, s.Attempt(pos+1, &relay.Attempt{Position: pos + 1, Destination: d, Outcome: relay.Delivered, Reason: relay.ReasonOK}))
	}
	first, second := time.Unix(1000, 0).UTC(), time.Unix(2000, 0).UTC()
	reopen := func(at time.Time, positions ...uint64) {
		set, err := roaring64.BitmapOf(positions...).ToBytes()
		require.NoError(t, err)
		require.NoError(t, s.Attempt(100, &relay.Attempt{Destination: d, Outcome: relay.Reopened, Positions: set, Replay: "r", StartedAt: at}))
	}
	reopen(first, 5, 6)
	reopen(second, 8)
	for _, s := range []*dispatch.State{s, restore(t, s)} {
		require.Zero(t, s.ReopenedAt(d, 4))
		require.Equal(t, second, s.ReopenedAt(d, 5))
		require.Equal(t, second, s.ReopenedAt(d, 8))
		require.Zero(t, s.ReopenedAt(d, 9))
		require.Zero(t, s.ReopenedAt(relay.Helpdesk, 5))
		require.Equal(t, []relay.Position{5, 6, 8}, s.OpenAfter(d, 0, 10, nil))
	}
}

func TestAnAnswerEndsARowOfFaults(t *testing.T) {
	t.Parallel()
	d := relay.ChannelDestination(1001)
	for reason, want := range map[relay.Reason]int{
		relay.ReasonTimeout:    3,
		relay.ReasonOK:         0,
		relay.ReasonStatus4xx:  0,
		relay.ReasonUnresolved: 2,
		relay.ReasonExpired:    2,
		relay.ReasonExhausted:  2,
	} {
		s := dispatch.NewState()
		s.Message(d, 1)
		s.Message(d, 2)
		for i, r := range []relay.Reason{relay.ReasonStatus5xx, relay.ReasonRefused, reason} {
			require.NoError(t, s.Attempt(uint64(i+1), &relay.Attempt{Position: 1, Destination: d, Outcome: relay.Retry, Reason: r}))
		}
		require.Equal(t, want, s.Faults(d), reason)
	}
}
