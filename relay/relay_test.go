package relay_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"omnirelay/relay"
)

func TestNewIDParsesAndCarriesItsTime(t *testing.T) {
	t.Parallel()
	before := time.Now().Truncate(time.Millisecond)
	id := relay.NewID()
	parsed, err := relay.ParseID(string(id))
	require.NoError(t, err)
	require.Equal(t, id, parsed)
	require.WithinRange(t, id.Time(), before, time.Now())
	require.NotEqual(t, id, relay.NewID())
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "msg_", "0192f0c1-7b1a-7000-8000-000000000000",
		"msg_0192f0c1-7b1a-4000-8000-000000000000", // version 4
		"msg_0192F0C1-7b1a-7000-8000-000000000000", // upper case
		"msg_{0192f0c1-7b1a-7000-8000-000000000000}",
		"evt_0192f0c1-7b1a-7000-8000-000000000000",
		"msg_" + strings.Repeat("x", 10_000),
	} {
		_, err := relay.ParseID(s)
		require.Error(t, err, s)
		require.Less(t, len(err.Error()), 200, "an error repeats little of what a stranger sent")
	}
	require.Zero(t, relay.ID("msg_nonsense").Time())
}

func TestDestination(t *testing.T) {
	t.Parallel()
	d := relay.ChannelDestination(1001)
	require.Equal(t, relay.Destination("channel-1001"), d)
	id, ok := d.Channel()
	require.True(t, ok)
	require.EqualValues(t, 1001, id)
	for _, other := range []relay.Destination{relay.Helpdesk, "channel-", "channel-x", "channel--1", "chat-1001"} {
		_, ok := other.Channel()
		require.False(t, ok, other)
	}
	for _, bad := range []string{"", "a.b", "a b", "A", "a>", "*", strings.Repeat("a", 65), "é"} {
		_, err := relay.ParseDestination(bad)
		require.Error(t, err, bad)
	}
	_, err := relay.ParseDestination(string(d))
	require.NoError(t, err)
}

// The shard of a destination is part of what is stored: it may never change.
func TestShardIsFixed(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{1, 0, 3, 1}, []int{
		relay.ChannelDestination(1001).Shard(4), relay.ChannelDestination(1002).Shard(4),
		relay.Helpdesk.Shard(4), relay.ChannelDestination(1001).Shard(16) % 4,
	})
	count := make([]int, 4)
	for id := range int64(10_000) {
		count[relay.ChannelDestination(1001+id).Shard(4)]++
	}
	for shard, n := range count {
		require.InDelta(t, 2500, n, 500, "shard %d", shard)
	}
}

func TestConversationOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ticket:7", relay.ConversationOf(7, "s", "a", 1001))
	require.Equal(t, "session:s", relay.ConversationOf(0, "s", "a", 1001))
	require.Equal(t, "address:a", relay.ConversationOf(0, "", "a", 1001))
	require.Equal(t, "channel:1001", relay.ConversationOf(0, "", "", 1001))
}

func TestWaitIsExponentialWithFullJitterAndACap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := relay.RetryPolicy{
			Initial: relay.Duration(rapid.Int64Range(int64(10*time.Millisecond), int64(time.Hour)).Draw(t, "initial")),
			Max:     relay.Duration(rapid.Int64Range(int64(time.Hour), int64(24*time.Hour)).Draw(t, "max")),
		}
		failures := rapid.IntRange(1, 1000).Draw(t, "failures")
		limit := time.Duration(p.Initial)
		for range failures - 1 {
			limit = min(limit*2, time.Duration(p.Max))
		}
		wait := p.Wait(failures)
		require.GreaterOrEqual(t, wait, time.Duration(0))
		require.LessOrEqual(t, wait, limit+time.Nanosecond)
	})
}

func TestWaitUsesTheWholeRange(t *testing.T) {
	t.Parallel()
	p := relay.DefaultPolicy().RetryPolicy
	var low, high int
	for range 1000 {
		switch wait := p.Wait(3); {
		case wait < 5*time.Second:
			low++
		case wait > 15*time.Second:
			high++
		}
	}
	require.InDelta(t, 250, low, 100)
	require.InDelta(t, 250, high, 100)
}

func TestEveryReasonHasAFault(t *testing.T) {
	t.Parallel()
	seen := map[relay.Reason]bool{}
	for _, r := range relay.Reasons() {
		require.False(t, seen[r], "%s is listed twice", r)
		seen[r] = true
	}
	require.Equal(t, relay.NoFault, relay.ReasonOK.Fault())
	require.Equal(t, relay.EndpointFault, relay.ReasonRateLimited.Fault())
	require.Equal(t, relay.MessageFault, relay.ReasonStatus4xx.Fault())
	require.Equal(t, relay.FinalFault, relay.ReasonGone.Fault())
	require.Equal(t, relay.ServiceFault, relay.ReasonUnresolved.Fault())
}

func TestDurationReadsAndWritesText(t *testing.T) {
	t.Parallel()
	var v struct {
		D relay.Duration `json:"d"`
	}
	require.NoError(t, json.Unmarshal([]byte(`{"d":"1h30m"}`), &v))
	require.Equal(t, relay.Duration(90*time.Minute), v.D)
	out, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, `{"d":"1h30m0s"}`, string(out))
	require.ErrorContains(t, json.Unmarshal([]byte(`{"d":"soon"}`), &v), "not a duration")
}

func ExampleRetryPolicy_Wait() {
	p := relay.DefaultPolicy()
	wait := p.Wait(4) // after the fourth failure
	fmt.Println(wait <= 40*time.Second)
	// Output: true
}
