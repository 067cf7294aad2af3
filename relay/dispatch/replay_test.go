package dispatch_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

func (r *rig) replay(since time.Time) {
	_, err := r.replays.Request(r.t.Context(), channel1, since, "ann")
	require.NoError(r.t, err)
}

func ids(entries []relay.Entry) (list []relay.ID) {
	for _, e := range entries {
		list = append(list, e.ID)
	}
	return list
}

func TestReplaySince(t *testing.T) {
	t.Parallel()
	for name, reopen := range map[string]int{"one record": 1000, "several records": 7} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(o *dispatch.Options) {
					quiet(o)
					o.SetReopenMost(reopen)
				})
				for i := range 20 {
					r.send(1001, "ticket:1", fmt.Sprint("old", i))
				}
				r.send(1002, "ticket:1", "another channel's")
				settle(time.Minute)
				since := time.Now()
				for i := range 30 {
					r.send(1001, "ticket:1", fmt.Sprint("m", i))
				}
				settle(time.Minute)
				before := len(r.inbox.delivered())
				r.replay(since)
				settle(time.Second)
				for i := range 5 {
					r.send(1001, "ticket:1", fmt.Sprint("new", i))
				}
				settle(time.Minute)
				got := r.inbox.delivered()[before:]
				require.Len(t, got, 35)
				require.Equal(t, ids(r.inbox.delivered()[before-30:before]), ids(got[:30]), "the same ids in the same order")
				require.Equal(t, "new4", got[34].Text)
				require.Empty(t, r.replays.List(), "carried out")
				r.stop()
				r.start()
				settle(time.Minute)
				require.Len(t, r.inbox.delivered(), before+35, "a restart repeats nothing of it")
				r.stop()
			})
		})
	}
}

// A replay that covers nothing repeats nothing, not even what is delivered but not recorded.
func TestAReplayOfNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		var s stalls
		s.begin(r)
		for i := range 10 {
			r.send(1001, "ticket:1", fmt.Sprint("m", i))
		}
		settle(time.Second)
		r.replay(time.Now())
		settle(time.Second)
		s.end(r)
		settle(time.Minute)
		require.Equal(t, numbered("m", 10), r.inbox.texts())
		r.stop()
	})
}

func TestAReplayDuringTraffic(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		r.inbox.set(taking(100 * time.Millisecond))
		since := time.Now()
		n := 0
		traffic := func() {
			for range 50 {
				r.send(1001, fmt.Sprint("ticket:", n%5), fmt.Sprint(n))
				n++
				settle(10 * time.Millisecond)
			}
		}
		traffic()
		sent := len(r.inbox.delivered())
		r.replay(since)
		traffic()
		settle(time.Minute)
		times := map[string]int{}
		last := map[string]int{}
		turns := 0
		for _, e := range r.inbox.delivered() {
			times[e.Text]++
			var i int
			_, err := fmt.Sscan(e.Text, &i)
			require.NoError(t, err)
			if before, seen := last[e.Conversation]; seen && i <= before {
				turns++
			}
			last[e.Conversation] = i
		}
		require.LessOrEqual(t, turns, 5, "each conversation goes back once")
		for i, e := range r.inbox.delivered() {
			var n int
			_, err := fmt.Sscan(e.Text, &n)
			require.NoError(t, err)
			if i < sent {
				require.Equal(t, 2, times[e.Text], "message %d had been sent", n)
			}
			require.LessOrEqual(t, times[e.Text], 2)
			require.True(t, n < 50 || times[e.Text] == 1, "message %d is newer than the replay", n)
		}
		require.Len(t, times, n, "all arrive")
		r.stop()
	})
}

func TestACrashInTheMiddleOfAReplay(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]func(*rig, *stalls){
		"before anything is recorded": func(r *rig, s *stalls) { s.begin(r) },
		"while it is sent":            func(r *rig, _ *stalls) { r.inbox.set(taking(time.Second)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(o *dispatch.Options) {
					quiet(o)
					o.SetReopenMost(7)
				})
				since := time.Now()
				for i := range 30 {
					r.send(1001, "ticket:1", fmt.Sprint("m", i))
				}
				settle(time.Second)
				var s stalls
				when(r, &s)
				r.replay(since)
				settle(5 * time.Second)
				r.crash()
				r.inbox.set(ok)
				r.start()
				settle(time.Minute)
				again := map[string]bool{}
				for _, text := range r.inbox.texts()[30:] {
					again[text] = true
				}
				require.Len(t, again, 30, "all of it is sent again")
				require.LessOrEqual(t, len(r.inbox.texts()), 30+30+1, "only what was in flight twice")
				require.Empty(t, r.replays.List())
				r.stop()
			})
		})
	}
}

// A replay brings back what is older than max_age, too: somebody wants it now.
func TestAReplayOfOldMessages(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(*rig){
		"at once":         func(*rig) {},
		"after a restart": func(r *rig) { r.stop(); r.start() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, quiet)
				r.catalog.set(channel1, func(p *relay.Policy) { p.MaxAge = relay.Duration(time.Hour) })
				since := time.Now()
				r.send(1001, "ticket:1", "old")
				r.append(relay.Message{Type: "typing", Kind: relay.KindEvent, ChannelID: 1001, Destination: channel1, Conversation: "c", Text: "typing"})
				settle(5 * time.Hour)
				require.ElementsMatch(t, []string{"old", "typing"}, r.inbox.texts())
				r.inbox.set(failing)
				r.hold()
				r.replay(since)
				settle(time.Second)
				between(r)
				r.inbox.set(ok)
				r.resume()
				settle(time.Minute)
				require.Equal(t, []string{"old"}, r.inbox.texts()[2:], "but events stay worthless")
				r.stop()
			})
		})
	}
}

func TestAReplayOfADestinationOnHoldWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, quiet)
		since := time.Now()
		for i := range 10 {
			r.send(1001, "ticket:1", fmt.Sprint("m", i))
		}
		settle(time.Second)
		r.hold()
		r.replay(since)
		settle(time.Hour)
		require.Len(t, r.inbox.texts(), 10)
		require.EqualValues(t, 10, r.d.View(channel1).Open)
		r.resume()
		settle(time.Second)
		require.Equal(t, numbered("m", 10), r.inbox.texts()[10:])
		r.stop()
	})
}
