package queue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
)

// idAt is an id that carries a bubble's time; relay.NewID takes the machine's.
func idAt(at time.Time, n int) relay.ID {
	var u uuid.UUID
	for i, ms := 5, at.UnixMilli(); i >= 0; i, ms = i-1, ms>>8 {
		u[i] = byte(ms)
	}
	u[6], u[8], u[15] = 0x70, 0x80, byte(n)
	return relay.ID("msg_" + u.String())
}

func TestTimeOnHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		defer s.close()
		h, err := s.OpenHolds(t.Context())
		require.NoError(t, err)
		defer h.Close()
		const d = relay.Destination("channel-1001")
		began := time.Now()
		require.False(t, h.Held(d))
		require.Zero(t, h.HeldSince(d, began))
		require.Equal(t, queue.Hold{Destination: d}, h.Get(d))

		require.NoError(t, h.Hold(t.Context(), d, "ada", "maintenance"))
		time.Sleep(time.Hour)
		require.NoError(t, h.Hold(t.Context(), d, "bob", "still")) // keeps its beginning
		time.Sleep(time.Hour)
		require.True(t, h.Held(d))
		require.Equal(t, 2*time.Hour, h.HeldSince(d, began))
		require.Equal(t, time.Hour, h.HeldSince(d, began.Add(time.Hour)))
		require.Zero(t, h.HeldSince(d, began.Add(3*time.Hour)))
		require.Len(t, h.List(), 1)
		require.Equal(t, "bob", h.List()[0].By)

		require.NoError(t, h.Resume(t.Context(), d, "ada"))
		require.ErrorIs(t, h.Resume(t.Context(), d, "ada"), queue.ErrNotFound)
		require.ErrorIs(t, h.Resume(t.Context(), "channel-9", "ada"), queue.ErrNotFound)
		time.Sleep(time.Hour)
		require.False(t, h.Held(d))
		require.Empty(t, h.List())
		require.Equal(t, 2*time.Hour, h.HeldSince(d, began))
		require.Equal(t, 30*time.Minute, h.HeldSince(d, began.Add(90*time.Minute)))

		require.NoError(t, h.Hold(t.Context(), d, "ada", ""))
		time.Sleep(time.Hour)
		require.Equal(t, 3*time.Hour, h.HeldSince(d, began))
	})
}

func TestHoldsAreSharedAndTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		defer s.close()
		here, err := s.OpenHolds(t.Context())
		require.NoError(t, err)
		defer here.Close()
		there, err := s.OpenHolds(t.Context())
		require.NoError(t, err)
		defer there.Close()
		var mu sync.Mutex
		var told []relay.Destination
		cancel := there.Subscribe(func(d relay.Destination) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, d)
		})
		require.NoError(t, here.Hold(t.Context(), "helpdesk", "ada", ""))
		synctest.Wait()
		require.True(t, there.Held("helpdesk"))
		mu.Lock()
		require.Equal(t, []relay.Destination{"helpdesk"}, told)
		mu.Unlock()
		cancel()
		require.NoError(t, here.Resume(t.Context(), "helpdesk", "ada"))
		synctest.Wait()
		require.False(t, there.Held("helpdesk"))
		require.Len(t, told, 1)
	})
}

func TestReplayRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		defer s.close()
		rs, err := s.OpenReplays(t.Context())
		require.NoError(t, err)
		defer rs.Close()
		req, err := rs.Request(t.Context(), "channel-1001", time.Now().Add(-time.Hour), "ada")
		require.NoError(t, err)
		_, err = rs.Request(t.Context(), "channel-1001", time.Now(), "bob")
		require.ErrorIs(t, err, queue.ErrConflict)
		_, err = rs.Request(t.Context(), "channel-1000", time.Now(), "bob")
		require.NoError(t, err)
		got, ok := rs.Get("channel-1001")
		require.True(t, ok)
		require.Equal(t, req, got)
		require.Len(t, rs.List(), 2)
		require.Equal(t, relay.Destination("channel-1000"), rs.List()[0].Destination)
		require.NoError(t, rs.Done(t.Context(), req))
		require.NoError(t, rs.Done(t.Context(), req))
		_, ok = rs.Get("channel-1001")
		require.False(t, ok)
		_, err = rs.Request(t.Context(), "channel-1001", time.Now(), "bob")
		require.NoError(t, err)
	})
}

func TestPositionsOfAReplay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{})
		defer s.close()
		began := time.Now()
		for i := range 20 { // odd positions are channel 1001's, one pair a minute
			s.send(int64(1001+i%2), fmt.Sprint(i))
			time.Sleep(30 * time.Second)
		}
		req := queue.Replay{Destination: relay.ChannelDestination(1001), Since: began.Add(3 * time.Minute), RequestedAt: began.Add(7 * time.Minute)}
		get := func(after, upTo relay.Position, n int) []relay.Position {
			list, err := s.Positions(context.Background(), req, after, upTo, n)
			require.NoError(t, err)
			return list
		}
		require.Equal(t, []relay.Position{7, 9, 11, 13}, get(0, 100, 100))
		require.Equal(t, []relay.Position{7, 9}, get(0, 100, 2))
		require.Equal(t, []relay.Position{11, 13}, get(9, 100, 2))
		require.Equal(t, []relay.Position{11}, get(9, 12, 100))
		require.Empty(t, get(13, 100, 100))
	})
}
