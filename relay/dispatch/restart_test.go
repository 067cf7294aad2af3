package dispatch_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
)

// A graceful stop starts nothing more, lets what is in flight end, and repeats nothing.
func TestAGracefulStopWaitsForWhatIsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(taking(20 * time.Second))
		for i := range 30 {
			r.send(1001, fmt.Sprint("ticket:", i), "m")
		}
		settle(time.Second)
		flying := r.d.View(channel1).Inflight
		require.Positive(t, flying)
		began := time.Now()
		r.stop()
		require.Equal(t, 19*time.Second, time.Since(began))
		require.Len(t, r.inbox.texts(), flying)
		require.Len(t, r.inbox.attemptTimes(), flying)
		r.start()
		settle(10 * time.Minute)
		require.Len(t, r.inbox.texts(), 30)
		r.stop()
	})
}

// What grace cuts off counts as never tried.
func TestAnAttemptThatGraceCutsOffIsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(taking(time.Hour))
		id := r.send(1001, "ticket:1", "m")
		settle(time.Second)
		began := time.Now()
		r.stop()
		require.Equal(t, 30*time.Second, time.Since(began))
		require.Len(t, r.inbox.times(id), 1)
		r.inbox.set(failing)
		r.start()
		settle(10 * time.Millisecond) // attempts are recorded in groups
		records := r.records()
		require.Len(t, records, 1)
		require.Equal(t, 1, records[0].Number, "the first that counts")
		r.stop()
	})
}

// A crash repeats what was in flight, and nothing else.
func TestACrashRepeatsOnlyWhatWasInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		for i := range 50 {
			r.send(1001, fmt.Sprint("ticket:", i), fmt.Sprint("done", i))
		}
		settle(time.Second)
		r.inbox.sees = true
		r.inbox.set(taking(10 * time.Second))
		for i := range 16 {
			r.send(1001, fmt.Sprint("ticket:", i), fmt.Sprint("flying", i))
		}
		settle(time.Second)
		require.Equal(t, 16, r.d.View(channel1).Inflight)
		r.crash()
		r.start()
		settle(time.Minute)
		times := map[string]int{}
		for _, text := range r.inbox.texts() {
			times[text]++
		}
		require.Len(t, times, 66)
		for text, n := range times {
			want := 1
			if text[0] == 'f' {
				want = 2
			}
			require.Equal(t, want, n, text)
		}
		r.stop()
	})
}

// A message that died does not come back to life behind its successors, even when the crash
// comes before its death is recorded.
func TestACrashBeforeADeathIsRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(func(e *relay.Entry, try int) relay.Result {
			if e.Text == "m0" {
				return relay.Result{Reason: relay.ReasonUndeliverable}
			}
			return ok(e, try)
		})
		var s stalls
		s.begin(r)
		r.send(1001, "ticket:1", "m0")
		r.send(1001, "ticket:1", "m1")
		settle(time.Minute)
		require.Empty(t, r.inbox.texts(), "the death is not final yet")
		r.crash()
		r.inbox.set(ok)
		r.start()
		settle(time.Minute)
		require.Equal(t, []string{"m0", "m1"}, r.inbox.texts())
		r.stop()
	})
}

// Retries and their schedule outlive a restart.
func TestARestartGoesOnWithTheSchedule(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*rig){"stop": (*rig).stop, "crash": (*rig).crash} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, calm)
				r.catalog.set(channel1, func(p *relay.Policy) {
					p.MaxAttempts, p.Initial = 4, relay.Duration(time.Hour)
				})
				r.inbox.set(failing)
				id := r.send(1001, "ticket:1", "m")
				for r.lastOutcome(id) != relay.Dead {
					settle(25 * time.Minute)
					planned := r.nextAt(id)
					tries := len(r.inbox.times(id))
					end(r)
					r.start()
					synctest.Wait()
					if planned.After(time.Now()) {
						require.Len(t, r.inbox.times(id), tries, "a restart is no reason to try earlier")
					}
				}
				require.Len(t, r.inbox.times(id), 4)
				require.Equal(t, relay.ReasonExhausted, r.lastRecord(id).Reason)
				r.stop()
			})
		})
	}
}

func (r *rig) lastOutcome(id relay.ID) relay.Outcome {
	settle(10 * time.Millisecond) // attempts are recorded in groups
	return r.lastRecord(id).Outcome
}

func (r *rig) nextAt(id relay.ID) time.Time { return r.lastRecord(id).NextAt }
