package dispatch_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

const clusterShards = 8

// fleet is several relays on one store, and one receiver for all.
type fleet struct {
	*rig
	all []*ship
}

// ship is one relay of a fleet, on a line of its own.
type ship struct {
	*fleet
	name    string
	line    *natsdtest.Line
	logs    *queue.Log
	holds   *queue.Holds
	replays *queue.Replays
	d       *dispatch.Dispatcher
	leases  *queue.Leases
	stop    context.CancelFunc
	stopped chan error
	gone    bool
}

func newFleet(t *testing.T, n int) *fleet {
	t.Helper()
	f := &fleet{rig: newShardedRig(t, clusterShards, nil)}
	require.NoError(t, f.d.Close()) // the fleet does the work
	for i := range n {
		f.launch(fmt.Sprint("relay", i))
	}
	return f
}

func (f *fleet) launch(name string) *ship {
	f.t.Helper()
	s := &ship{fleet: f, name: name, line: natsdtest.Connect(f.t, f.conn), stopped: make(chan error, 1)}
	ctx := context.Background()
	var err error
	s.logs, err = queue.Open(ctx, s.line.JetStream(), queue.Options{Shards: clusterShards, Log: zerolog.Nop()})
	require.NoError(f.t, err)
	s.holds, err = s.logs.OpenHolds(ctx)
	require.NoError(f.t, err)
	s.replays, err = s.logs.OpenReplays(ctx)
	require.NoError(f.t, err)
	s.leases, err = s.logs.OpenLeases(ctx, name)
	require.NoError(f.t, err)
	s.d = dispatch.New(dispatch.Options{
		Log: s.logs, Sender: s, Catalog: f.catalog, Holds: s.holds, Replays: s.replays, Logger: zerolog.Nop(),
	}, 30*time.Second)
	var life context.Context
	life, s.stop = context.WithCancel(ctx)
	go func() { s.stopped <- dispatch.NewCluster(s.d, s.leases, zerolog.Nop()).Run(life) }()
	f.all = append(f.all, s)
	f.t.Cleanup(s.leave)
	return s
}

// Deliver is the fleet's receiver, as seen from this ship.
func (s *ship) Deliver(ctx context.Context, e *relay.Entry) relay.Result {
	return s.inbox.Deliver(ctx, e)
}

// leave ends a ship gracefully.
func (s *ship) leave() {
	if s.gone {
		return
	}
	s.gone = true
	s.stop()
	require.NoError(s.t, <-s.stopped)
	s.close()
}

func (s *ship) close() {
	require.NoError(s.t, s.d.Close())
	s.replays.Close()
	s.holds.Close()
	s.logs.Close()
	synctest.Wait()
	require.NoError(s.t, s.line.Close())
}

// sink is a crash: nothing of the ship is heard any more. What is left of it is cleared away
// only after the others had time to notice.
func (s *ship) sink() {
	s.gone = true
	s.line.Cut()
	for _, shard := range s.d.Owned() {
		require.ErrorIs(s.t, s.d.Abandon(shard), dispatch.ErrLeaseLost)
	}
	s.t.Cleanup(func() {
		s.line.Mend()
		s.stop()
		s.t.Log("it ended with", <-s.stopped)
		s.close()
	})
}

// owners is how many instances own each shard, and how many shards each instance owns.
func (f *fleet) owners() (shards map[int]int, ships map[string]int) {
	shards, ships = map[int]int{}, map[string]int{}
	for _, s := range f.all {
		for _, shard := range s.d.Owned() {
			shards[shard]++
			ships[s.name]++
		}
	}
	return shards, ships
}

// requireSpread checks that every shard has one owner, and that it is the one whose it is.
func (f *fleet) requireSpread() {
	f.t.Helper()
	var living []string
	for _, s := range f.all {
		if !s.gone {
			living = append(living, s.leases.Instance())
		}
	}
	shards, _ := f.owners()
	require.Len(f.t, shards, clusterShards)
	for _, n := range shards {
		require.Equal(f.t, 1, n)
	}
	for _, s := range f.all {
		for _, shard := range s.d.Owned() {
			require.Equal(f.t, queue.Rendezvous(shard, living), s.leases.Instance())
		}
	}
}

// traffic sends messages of many channels, a few every second, until it is ended.
func (f *fleet) traffic() (end func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	var n int
	var done sync.WaitGroup
	done.Go(func() {
		for ; ctx.Err() == nil; n++ {
			f.rig.send(int64(1001+n%20), fmt.Sprint("ticket:", n%3), fmt.Sprint(n))
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return func() int {
		cancel()
		done.Wait()
		return n
	}
}

// requireAll checks that every message arrived, each conversation in order by first sight, and
// no more than a number of them twice.
func (f *fleet) requireAll(n, repeats int) {
	f.t.Helper()
	first := map[string]bool{}
	last := map[string]int{}
	got := f.inbox.delivered()
	for _, e := range got {
		if first[e.Text] {
			continue
		}
		first[e.Text] = true
		var i int
		_, err := fmt.Sscan(e.Text, &i)
		require.NoError(f.t, err)
		lane := fmt.Sprint(e.ChannelID, e.Conversation)
		if before, ok := last[lane]; ok {
			require.Greater(f.t, i, before, "order of %s", lane)
		}
		last[lane] = i
	}
	var missing []int
	for i := range n {
		if !first[fmt.Sprint(i)] {
			missing = append(missing, i)
		}
	}
	require.Empty(f.t, missing)
	require.LessOrEqual(f.t, len(got)-n, repeats, "repeats")
}

func (f *fleet) end() {
	for _, s := range f.all {
		s.leave()
	}
	f.rig.close()
}

func TestShardsSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 1)
		settle(3 * time.Second)
		f.requireSpread()
		f.launch("late")
		f.launch("later")
		settle(10 * time.Second)
		f.requireSpread()
		_, ships := f.owners()
		require.Greater(t, len(ships), 1, "%v", slices.Collect(maps.Keys(ships)))
		settle(10 * time.Minute)
		f.requireSpread()
		f.end()
	})
}

// TestAHandOverRepeatsNothing has relays come and go gracefully under load.
func TestAHandOverRepeatsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		f.inbox.set(func(*relay.Entry, int) relay.Result {
			return relay.Result{Reason: relay.ReasonOK, Status: 200, Duration: 300 * time.Millisecond}
		})
		settle(5 * time.Second)
		end := f.traffic()
		for i := range 4 {
			settle(15 * time.Second)
			f.launch(fmt.Sprint("relief", i))
			settle(15 * time.Second)
			f.all[i].leave()
		}
		settle(15 * time.Second)
		f.requireSpread()
		n := end()
		settle(time.Minute)
		f.requireAll(n, 0)
		f.end()
	})
}

// TestACrashedRelayIsReplaced within ten seconds, and what it had under way is sent again at
// the most.
func TestACrashedRelayIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 3)
		settle(10 * time.Second)
		f.requireSpread()
		end := f.traffic()
		settle(10 * time.Second)
		before := len(f.inbox.delivered())
		f.busiest().sink()
		settle(10 * time.Second)
		f.requireSpread()
		settle(10 * time.Second)
		n := end()
		settle(time.Minute)
		require.Greater(t, len(f.inbox.delivered()), before)
		f.requireAll(n, 20)
		f.end()
	})
}

// busiest is the ship that owns most shards; their names may well give one of two none.
func (f *fleet) busiest() *ship {
	_, ships := f.owners()
	return slices.MaxFunc(f.all, func(a, b *ship) int { return cmp.Compare(ships[a.name], ships[b.name]) })
}

// TestACutOffRelayStopsInTime cannot reach the store, while its receivers are still there:
// nothing is sent by two relays at a time.
func TestACutOffRelayStopsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		var mu sync.Mutex
		by := map[relay.ID]int{}
		f.inbox.set(func(e *relay.Entry, _ int) relay.Result {
			mu.Lock()
			defer mu.Unlock()
			by[e.ID]++
			return relay.Result{Reason: relay.ReasonOK, Status: 200, Duration: 200 * time.Millisecond}
		})
		settle(10 * time.Second)
		f.requireSpread()
		end := f.traffic()
		settle(10 * time.Second)
		cut := f.busiest()
		owned := len(cut.d.Owned())
		require.NotZero(t, owned)
		cut.line.Cut()
		settle(5500 * time.Millisecond)
		require.Empty(t, cut.d.Owned(), "it has stopped")
		settle(6 * time.Second)
		shards, _ := f.owners()
		require.Len(t, shards, clusterShards, "the other has all")
		settle(20 * time.Second)
		cut.line.Mend()
		settle(20 * time.Second)
		f.requireSpread()
		require.Len(t, cut.d.Owned(), owned, "and gives back what is not its own")
		n := end()
		settle(time.Minute)
		// What was delivered and could not be recorded is sent again.
		f.requireAll(n, 5*20)
		f.end()
	})
}
