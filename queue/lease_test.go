package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd/natsdtest"
)

// member is one of several instances on one store, with a connection of its own that can be
// cut.
type member struct {
	*queue.Log
	*queue.Leases
	gone bool
}

func (s *store) join(label string) *member {
	s.t.Helper()
	l, err := queue.Open(context.Background(), s.conn.JetStream(), queue.Options{Shards: 4, Log: zerolog.Nop()})
	require.NoError(s.t, err)
	leases, err := l.OpenLeases(context.Background(), label)
	require.NoError(s.t, err)
	return &member{Log: l, Leases: leases}
}

func (m *member) leave(t *testing.T) {
	t.Helper()
	if !m.gone {
		require.NoError(t, m.Leave(context.Background()))
		m.Log.Close()
		m.gone = true
	}
}

// requireLost checks that a lease's holder has been told.
func requireLost(t *testing.T, l *queue.Lease) {
	t.Helper()
	select {
	case <-l.Lost():
	default:
		require.Fail(t, "the lease is not lost")
	}
}

func TestOnlyOneInstanceHoldsALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{Shards: 4})
		defer s.close()
		var members []*member
		for i := range 5 {
			m := s.join(fmt.Sprint("relay", i))
			defer m.leave(t)
			members = append(members, m)
		}
		// All at once, many times over.
		for shard := range 4 {
			var all sync.WaitGroup
			var mu sync.Mutex
			var held []*queue.Lease
			for _, m := range members {
				all.Go(func() {
					lease, err := m.Acquire(context.Background(), shard)
					if err != nil {
						if !errors.Is(err, queue.ErrLeased) {
							t.Errorf("acquire: %v", err)
						}
						return
					}
					mu.Lock()
					defer mu.Unlock()
					held = append(held, lease)
				})
			}
			all.Wait()
			require.Len(t, held, 1)
			require.True(t, held[0].Valid())
			// It is renewed for as long as it is wanted.
			time.Sleep(time.Minute)
			require.True(t, held[0].Valid())
			for _, m := range members {
				_, err := m.Acquire(t.Context(), shard)
				require.ErrorIs(t, err, queue.ErrLeased)
			}
			// Released, it is free as soon as the others look.
			require.NoError(t, held[0].Release(t.Context()))
			time.Sleep(2 * time.Second)
			for _, m := range members {
				lease, err := m.Acquire(t.Context(), shard)
				require.NoError(t, err)
				require.NoError(t, lease.Release(t.Context()))
				time.Sleep(2 * time.Second)
			}
		}
	})
}

func TestTheLivingAreKnownToAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{Shards: 4})
		defer s.close()
		a := s.join("a")
		defer a.leave(t)
		require.Equal(t, []string{a.Instance()}, a.Living())
		b := s.join("b")
		require.NotEqual(t, a.Instance(), b.Instance())
		again := s.join("a")
		defer again.leave(t)
		require.NotEqual(t, a.Instance(), again.Instance(), "a label is no name")
		time.Sleep(2 * time.Second)
		want := []string{a.Instance(), b.Instance(), again.Instance()}
		slices.Sort(want)
		for _, m := range []*member{a, b, again} {
			require.Equal(t, want, m.Living())
		}
		b.leave(t)
		time.Sleep(2 * time.Second)
		require.Len(t, a.Living(), 2)
		require.Len(t, again.Living(), 2)
		time.Sleep(2 * time.Minute)
		require.Len(t, a.Living(), 2)
		require.Len(t, again.Living(), 2)
	})
}

// far is a member whose line to the store can be cut.
func (s *store) far(label string) (*member, *natsdtest.Line) {
	s.t.Helper()
	line := natsdtest.Connect(s.t, s.conn)
	l, err := queue.Open(context.Background(), line.JetStream(), queue.Options{Shards: 4, Log: zerolog.Nop()})
	require.NoError(s.t, err)
	leases, err := l.OpenLeases(context.Background(), label)
	require.NoError(s.t, err)
	return &member{Log: l, Leases: leases}, line
}

// TestAnInstanceThatIsCutOff loses its leases before anybody else can have them, and the
// others have them within ten seconds.
func TestAnInstanceThatIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{Shards: 4})
		defer s.close()
		other := s.join("other")
		defer other.leave(t)
		m, line := s.far("far")
		lease, err := m.Acquire(t.Context(), 0)
		require.NoError(t, err)
		time.Sleep(time.Minute)

		line.Cut()
		began := time.Now()
		var lost, taken time.Time
		for range 1000 {
			if !lease.Valid() && lost.IsZero() {
				lost = time.Now()
				requireLost(t, lease)
			}
			taking, err := other.Acquire(t.Context(), 0)
			if err == nil {
				taken = time.Now()
				require.False(t, lease.Valid(), "two instances hold one lease")
				defer func() { require.NoError(t, taking.Release(context.Background())) }()
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		require.False(t, lost.IsZero())
		require.Less(t, taken.Sub(began), 10*time.Second)
		time.Sleep(2 * time.Second)
		require.NotContains(t, other.Living(), m.Instance())
		require.NoError(t, lease.Release(t.Context()))
		time.Sleep(2 * time.Minute)
		keys := 0
		kv, err := s.conn.JetStream().KeyValue(t.Context(), "RELAY_LEASES")
		require.NoError(t, err)
		list, err := kv.Keys(t.Context())
		require.NoError(t, err)
		for _, key := range list {
			if len(key) > 8 && key[:8] == "instance" {
				keys++
			}
		}
		require.Equal(t, 1, keys, "the record of the one that is gone is cleared away")

		// Back again, it takes part as before.
		line.Mend()
		time.Sleep(5 * time.Second)
		require.Contains(t, other.Living(), m.Instance())
		require.Contains(t, m.Living(), other.Instance())
		_, err = m.Acquire(t.Context(), 0)
		require.ErrorIs(t, err, queue.ErrLeased)
		m.leave(t)
		require.NoError(t, line.Close())
	})
}

// TestALeaseOutlastsAShortTrouble has the store refuse for less than a lease lasts.
func TestALeaseOutlastsAShortTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{Shards: 4})
		defer s.close()
		m := s.join("a")
		defer m.leave(t)
		lease, err := m.Acquire(t.Context(), 0)
		require.NoError(t, err)
		refuse := func(on bool) {
			c := s.stream("KV_RELAY_LEASES").CachedInfo().Config
			c.MaxMsgSize = -1
			if on {
				c.MaxMsgSize = 1
			}
			_, err := s.conn.JetStream().UpdateStream(t.Context(), c)
			require.NoError(t, err)
		}
		refuse(true)
		time.Sleep(2500 * time.Millisecond)
		refuse(false)
		time.Sleep(time.Minute)
		require.True(t, lease.Valid())
		refuse(true)
		time.Sleep(7 * time.Second)
		require.False(t, lease.Valid())
		requireLost(t, lease)
		refuse(false)
		require.NoError(t, lease.Release(t.Context()))
	})
}

func TestRendezvousIsFairAndMovesLittle(t *testing.T) {
	t.Parallel()
	require.Empty(t, queue.Rendezvous(0, nil))
	const shards = 3000
	var living []string
	for i := range 6 {
		living = append(living, fmt.Sprint("relay", i))
	}
	owners := func(living []string) (list []string) {
		for shard := range shards {
			list = append(list, queue.Rendezvous(shard, living))
		}
		return list
	}
	for n := 1; n <= len(living); n++ {
		count := map[string]int{}
		for _, owner := range owners(living[:n]) {
			count[owner]++
		}
		require.Len(t, count, n)
		fair := float64(shards) / float64(n)
		for owner, got := range count {
			// Six standard deviations of a binomial distribution.
			require.InDelta(t, fair, got, 1+6*math.Sqrt(fair*(1-1/float64(n))), "%s of %d", owner, n)
		}
	}
	before := owners(living)
	gone := living[2]
	after := owners(slices.DeleteFunc(slices.Clone(living), func(s string) bool { return s == gone }))
	for shard := range shards {
		if before[shard] != gone {
			require.Equal(t, before[shard], after[shard], "only what %s had may move", gone)
		}
	}
	reversed := slices.Clone(living)
	slices.Reverse(reversed)
	require.Equal(t, before, owners(reversed), "the order of the list is nothing")
}
