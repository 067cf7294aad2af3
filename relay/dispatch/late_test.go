package dispatch_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// An attempt log that does not answer stops attempts within a moment, also where few messages
// come: each one more would be one more to repeat.
func TestASilentAttemptLogStopsAttemptsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		var s stalls
		s.begin(r)
		const n = 50
		for i := range n {
			r.send(1001, fmt.Sprint("ticket:", i), fmt.Sprint("m", i))
			time.Sleep(100 * time.Millisecond)
		}
		require.LessOrEqual(t, len(r.inbox.texts()), 4)
		s.end(r)
		settle(10 * time.Second)
		require.Len(t, r.inbox.texts(), n)
		r.stop()
	})
}

// TestAShortOutageRepeatsNothing has the store out of everybody's reach for longer than a
// lease lasts: what was delivered and not recorded when the leases ended is recorded when the
// store is back, before the shards are taken up again.
func TestAShortOutageRepeatsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, 2)
		f.inbox.set(taking(time.Second)) // some end when the store is gone
		settle(10 * time.Second)
		f.requireSpread()
		end := f.traffic()
		settle(10 * time.Second)
		for _, s := range f.all {
			s.line.Cut()
		}
		settle(8 * time.Second)
		shards, _ := f.owners()
		require.Empty(t, shards, "nobody works without a lease")
		for _, s := range f.all {
			s.line.Mend()
		}
		settle(20 * time.Second)
		f.requireSpread()
		n := end()
		settle(time.Minute)
		f.requireAll(n, 0)
		f.end()
	})
}
