package dispatch_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// An attempt log that takes nothing stops new attempts after a while, for what is delivered
// but not recorded is what a crash repeats. When it recovers all goes on, nothing lost.
func TestAnAttemptLogThatIsBehindStopsAttempts(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]bool{"and recovers": false, "and a crash": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const n = 4000
				r := newRig(t, quiet)
				var s stalls
				s.begin(r)
				for i := range n {
					r.send(1001, fmt.Sprint("ticket:", i%100), fmt.Sprint("m", i))
				}
				settle(10 * time.Second)
				sent := len(r.inbox.texts())
				require.Positive(t, sent)
				require.Less(t, sent, 3000, "deliveries stop")
				settle(10 * time.Second)
				require.Len(t, r.inbox.texts(), sent)
				if crash {
					r.crash()
					r.start()
					sent = 2 * sent
				} else {
					s.end(r)
					sent = 0
				}
				settle(time.Minute)
				seen := map[string]bool{}
				for _, text := range r.inbox.texts() {
					seen[text] = true
				}
				require.Len(t, seen, n)
				require.LessOrEqual(t, len(r.inbox.texts()), n+sent/2)
				require.Zero(t, r.d.View(channel1).Open)
				r.stop()
			})
		})
	}
}
