package dispatch_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
)

// settle lets everything that can happen now happen, and some seconds with it.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestDeliversInOrderWithinAConversation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for i := range 50 {
			r.send(1001, "ticket:1", fmt.Sprint("m", i))
		}
		settle(time.Second)
		require.Equal(t, numbered("m", 50), r.inbox.texts())
		require.Len(t, r.records(), 50)
		r.stop()
	})
}

func TestRestartRepeatsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for i := range 10 {
			r.send(1001, "ticket:1", fmt.Sprint("m", i))
		}
		settle(time.Second)
		r.stop()
		r.start()
		settle(time.Second)
		require.Equal(t, numbered("m", 10), r.inbox.texts())
		r.crash()
		r.start()
		settle(time.Second)
		require.Equal(t, numbered("m", 10), r.inbox.texts())
		r.stop()
	})
}

func TestRetriesByTheSchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, calm)
		r.inbox.set(failing)
		id := r.send(1001, "ticket:1", "m0")
		settle(2 * time.Hour)
		times := r.inbox.times(id)
		require.Len(t, times, relay.DefaultPolicy().MaxAttempts)
		limit := 5 * time.Second
		for i := 1; i < len(times); i++ {
			require.LessOrEqual(t, times[i].Sub(times[i-1]), limit+time.Millisecond, "wait %d", i)
			limit = min(2*limit, 4*time.Hour)
		}
		records := r.records()
		last := records[len(records)-1]
		require.Equal(t, relay.Dead, last.Outcome)
		require.Equal(t, relay.ReasonExhausted, last.Reason)
		require.Equal(t, 10, last.Number)
		dead, err := r.log.FindDead(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "m0", dead.Message.Text)
		r.stop()
	})
}

func TestDownThenUpKeepsOrderAndCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.inbox.set(failing)
		for i := range 700 { // more than the queue holds
			r.send(1001, "ticket:1", fmt.Sprint("m", i))
		}
		settle(time.Hour)
		require.Empty(t, r.inbox.texts())
		r.inbox.set(ok)
		settle(10 * time.Minute)
		require.Equal(t, numbered("m", 700), r.inbox.texts())
		r.stop()
	})
}

func TestACrashWhileDownLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.inbox.set(failing)
		for i := range 300 {
			r.send(1001, fmt.Sprint("ticket:", i%3), fmt.Sprint("m", i))
		}
		settle(time.Minute)
		r.crash()
		r.start()
		settle(time.Minute)
		r.stop()
		r.start()
		r.inbox.set(ok)
		settle(10 * time.Minute)
		perConversation := map[string][]string{}
		for _, e := range r.inbox.delivered() {
			perConversation[e.Conversation] = append(perConversation[e.Conversation], e.Text)
		}
		for c := range 3 {
			var want []string
			for i := c; i < 300; i += 3 {
				want = append(want, fmt.Sprint("m", i))
			}
			require.Equal(t, want, perConversation[fmt.Sprint("ticket:", c)])
		}
		r.stop()
	})
}
