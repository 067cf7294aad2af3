package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

// observer remembers what it was told, after failing a few times.
type observer struct {
	mu    sync.Mutex
	fails int
	told  []string
	r     *rig
	ahead int // records of the channel in the log when the first word came
}

func (o *observer) Wants(e *relay.Entry) bool { return e.ChannelID == 1 }

func (o *observer) Observe(_ context.Context, e *relay.Entry, a relay.Attempt) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fails > 0 {
		o.fails--
		return errors.New("not now")
	}
	if len(o.told) == 0 {
		for _, record := range o.r.records() {
			if record.ChannelID == 1 {
				o.ahead++
			}
		}
	}
	o.told = append(o.told, fmt.Sprint(e.Text, " ", a.Number, " ", a.Outcome, " ", a.Reason))
	return nil
}

func (o *observer) words() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.told...)
}

func TestTheObserverIsToldFirstAndInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &observer{fails: 3}
		r := newRig(t, func(d *dispatch.Options) { d.Observer = o })
		o.r = r
		r.inbox.set(func(e *relay.Entry, try int) relay.Result {
			switch {
			case e.Text == "gone":
				return relay.Result{Reason: relay.ReasonBadAnswer, Status: 200}
			case try < 3:
				return relay.Result{Reason: relay.ReasonStatus5xx, Status: 500}
			}
			return relay.Result{Reason: relay.ReasonOK, Status: 200}
		})
		r.send(1, "ticket:1", "a")
		r.send(1, "ticket:1", "gone")
		r.send(1, "ticket:1", "b")
		r.send(2, "ticket:1", "unobserved")
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []string{
			"a 1 retry status_5xx", "a 2 retry status_5xx", "a 3 delivered ok",
			"gone 1 retry bad_answer", "gone 2 retry bad_answer", "gone 3 dead bad_answer",
			"b 1 retry status_5xx", "b 2 retry status_5xx", "b 3 delivered ok",
		}, o.words())
		require.Zero(t, o.ahead, "the first word came before the first record of the channel")
		require.Equal(t, []string{"a", "b"}, only(r, 1))
		require.Equal(t, []string{"unobserved"}, only(r, 2))
	})
}

// only lists the texts that a channel got.
func only(r *rig, channel int64) []string {
	var list []string
	for _, e := range r.inbox.delivered() {
		if e.ChannelID == channel {
			list = append(list, e.Text)
		}
	}
	return list
}

func TestWhatTheObserverWasNotToldIsNotRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &observer{fails: 1 << 30}
		r := newRig(t, func(d *dispatch.Options) { d.Observer = o })
		o.r = r
		r.send(1, "ticket:1", "a")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"a"}, r.inbox.texts())
		require.Empty(t, r.records(), "nothing is final before it is told")
		r.crash()
		o.fails = 0
		r.start()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"a", "a"}, r.inbox.texts(), "a crash repeats")
		require.Equal(t, []string{"a 1 delivered ok"}, o.words())
		require.Len(t, r.records(), 1)
	})
}
