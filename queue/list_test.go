package queue_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"omnirelay/queue"
	"omnirelay/relay"
)

func texts(list []queue.Status) (out []string) {
	for _, s := range list {
		out = append(out, s.Entry.Text)
	}
	return out
}

// pages reads a listing to its end.
func (s *store) pages(t require.TestingT, f queue.Filter) (all []queue.Status) {
	for range 1000 {
		page, err := s.List(s.t.Context(), f)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), f.Limit)
		all = append(all, page.Items...)
		if f.Cursor = page.Next; f.Cursor == "" {
			return all
		}
	}
	require.Fail(t, "the listing does not end")
	return nil
}

func TestListByFilter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore(t, queue.Options{Shards: 3})
		defer s.close()
		var at []time.Time
		for i := range 8 {
			m := text(int64(1001+i%4), fmt.Sprint("ticket:", i/2), fmt.Sprint("m", i))
			if i == 7 {
				m.Direction, m.Destination = relay.Inbound, relay.Helpdesk
			}
			at = append(at, time.Now())
			s.append(m)
			time.Sleep(time.Hour)
		}
		for name, tc := range map[string]struct {
			filter queue.Filter
			want   []string
		}{
			"all":                 {queue.Filter{}, []string{"m7", "m6", "m5", "m4", "m3", "m2", "m1", "m0"}},
			"limit":               {queue.Filter{Limit: 3}, []string{"m7", "m6", "m5"}},
			"destination":         {queue.Filter{Destination: relay.ChannelDestination(1002)}, []string{"m5", "m1"}},
			"helpdesk":            {queue.Filter{Destination: relay.Helpdesk}, []string{"m7"}},
			"direction":           {queue.Filter{Direction: relay.Inbound}, []string{"m7"}},
			"channel":             {queue.Filter{ChannelID: 1004}, []string{"m7", "m3"}},
			"channel, outbound":   {queue.Filter{ChannelID: 1004, Direction: relay.Outbound}, []string{"m3"}},
			"channels":            {queue.Filter{Channels: []int64{1001, 1002}}, []string{"m5", "m4", "m1", "m0"}},
			"conversation":        {queue.Filter{Conversation: "ticket:2"}, []string{"m5", "m4"}},
			"since":               {queue.Filter{Since: at[6]}, []string{"m7", "m6"}},
			"until":               {queue.Filter{Until: at[2]}, []string{"m1", "m0"}},
			"since and until":     {queue.Filter{Since: at[2], Until: at[4]}, []string{"m3", "m2"}},
			"state":               {queue.Filter{State: queue.StateQueued, Limit: 2}, []string{"m7", "m6"}},
			"nothing":             {queue.Filter{State: queue.StateDead}, nil},
			"nobody's channel":    {queue.Filter{ChannelID: 9}, nil},
			"nobody's":            {queue.Filter{Destination: "channel-9"}, nil},
			"in the distant past": {queue.Filter{Until: at[0]}, nil},
		} {
			page, err := s.List(t.Context(), tc.filter)
			require.NoError(t, err, name)
			require.Equal(t, tc.want, texts(page.Items), name)
		}
	})
}

func TestListKnowsTheStates(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{Shards: 3})
	next := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	r := map[string]queue.Receipt{}
	for i, name := range []string{"queued", "retrying", "delivered", "dead", "replayed", "reopened", "arrived again"} {
		r[name] = s.send(int64(1001+i%3), name)
	}
	record := func(name string, o relay.Outcome, reason relay.Reason) {
		e, err := s.Load(t.Context(), r[name].Shard, r[name].Position)
		require.NoError(t, err)
		a := attempt(r[name], e.ChannelID, o, reason)
		if o == relay.Retry {
			a.NextAt = next
		}
		s.record(a)
	}
	reopen := func(name string) {
		e, err := s.Load(t.Context(), r[name].Shard, r[name].Position)
		require.NoError(t, err)
		set, err := roaring64.BitmapOf(e.Position).ToBytes()
		require.NoError(t, err)
		s.record(relay.Attempt{Shard: e.Shard, Destination: e.Destination, Position: e.Position, Outcome: relay.Reopened, Positions: set, Replay: name})
	}
	record("retrying", relay.Retry, relay.ReasonTimeout)
	record("delivered", relay.Delivered, relay.ReasonOK)
	e, err := s.Load(t.Context(), r["dead"].Shard, r["dead"].Position)
	require.NoError(t, err)
	s.die(r["dead"], e.ChannelID, relay.ReasonGone)
	e, err = s.Load(t.Context(), r["replayed"].Shard, r["replayed"].Position)
	require.NoError(t, err)
	s.die(r["replayed"], e.ChannelID, relay.ReasonExhausted)
	_, err = s.ReplayDead(t.Context(), r["replayed"].ID, "ada")
	require.NoError(t, err)
	record("reopened", relay.Delivered, relay.ReasonOK)
	reopen("reopened")
	record("arrived again", relay.Delivered, relay.ReasonOK)
	reopen("arrived again")
	record("arrived again", relay.Delivered, relay.ReasonOK)

	want := map[string]queue.State{
		"queued": queue.StateQueued, "retrying": queue.StateRetrying, "delivered": queue.StateDelivered, "dead": queue.StateDead,
		"replayed": queue.StateQueued, "reopened": queue.StateQueued, "arrived again": queue.StateDelivered,
	}
	byState := map[queue.State][]string{}
	got := map[string]queue.State{}
	for _, item := range s.pages(t, queue.Filter{Limit: 3}) {
		require.NotContains(t, got, item.Entry.Text)
		got[item.Entry.Text] = item.State
		byState[item.State] = append(byState[item.State], item.Entry.Text)
		found, err := s.Find(t.Context(), item.Entry.ID)
		require.NoError(t, err)
		require.Equal(t, item.State, found.State, item.Entry.Text)
		require.Equal(t, item.State == queue.StateRetrying, !item.NextAt.IsZero())
		if item.State == queue.StateRetrying {
			require.Equal(t, next, item.NextAt)
		}
	}
	require.Equal(t, want, got)
	for state, names := range byState {
		require.Equal(t, names, texts(s.pages(t, queue.Filter{Limit: 2, State: state})), state)
	}
}

func TestABadCursor(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	for _, cursor := range []string{"!", base64.RawURLEncoding.EncodeToString([]byte("no json")), base64.RawURLEncoding.EncodeToString([]byte(`{"a":1}`))} {
		_, err := s.List(t.Context(), queue.Filter{Cursor: cursor})
		require.ErrorIs(t, err, queue.ErrBadCursor)
	}
	// A forged position is no way past the end.
	s.send(1001, "a")
	page, err := s.List(t.Context(), queue.Filter{Cursor: base64.RawURLEncoding.EncodeToString([]byte(`{"0":9999999}`))})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
}

// TestListPages compares pages of any size and filter with what was accepted, also after part
// of the history is gone.
func TestListPages(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{Shards: 3})
	const n = 160
	var all []relay.Entry
	for i := range n {
		m := text(int64(1001+i*i%5), fmt.Sprint("ticket:", i%7), fmt.Sprint("m", i))
		r := s.append(m)
		all = append(all, relay.Entry{Message: *m, Shard: r.Shard, Position: r.Position})
		if i%3 == 0 {
			s.record(attempt(r, m.ChannelID, relay.Delivered, relay.ReasonOK))
		}
	}
	for shard := range 3 {
		require.NoError(t, s.stream(fmt.Sprint("RELAY_MSG_", shard)).Purge(t.Context(), purgeBelow(uint64(10*shard))))
	}
	all = slices.DeleteFunc(all, func(e relay.Entry) bool { return e.Position < uint64(10*e.Shard) })
	rapid.Check(t, func(t *rapid.T) {
		f := queue.Filter{Limit: rapid.IntRange(8, 100).Draw(t, "limit")}
		switch rapid.IntRange(0, 4).Draw(t, "filter") {
		case 1:
			f.Destination = relay.ChannelDestination(int64(rapid.IntRange(1001, 1006).Draw(t, "channel")))
		case 2:
			f.Conversation = fmt.Sprint("ticket:", rapid.IntRange(0, 7).Draw(t, "ticket"))
		case 3:
			f.State = rapid.SampledFrom([]queue.State{queue.StateDelivered, queue.StateQueued}).Draw(t, "state")
		case 4:
			f.Since = all[rapid.IntRange(0, len(all)-1).Draw(t, "since")].AcceptedAt
		}
		var want []relay.ID
		for _, e := range all {
			var i int
			_, err := fmt.Sscanf(e.Text, "m%d", &i)
			require.NoError(t, err)
			delivered := i%3 == 0
			if (f.Destination == "" || e.Destination == f.Destination) &&
				(f.Conversation == "" || e.Conversation == f.Conversation) &&
				(f.State == "" || delivered == (f.State == queue.StateDelivered)) &&
				(f.Since.IsZero() || !e.AcceptedAt.Before(f.Since)) {
				want = append(want, e.ID)
			}
		}
		items := s.pages(t, f)
		require.ElementsMatch(t, want, ids(items))
		require.True(t, slices.IsSortedFunc(items, func(a, b queue.Status) int { return b.Entry.AcceptedAt.Compare(a.Entry.AcceptedAt) }), "newest first")
	})
}
