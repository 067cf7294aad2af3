package e2e_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/sink"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func signedWith(text string) func(*client.ChannelFields) {
	return func(f *client.ChannelFields) { f.Secret = &text }
}

// quickProbes lets an endpoint that comes back be noticed soon.
const quickProbes = "OMNIRELAY_DELIVERY_BREAKER_MAX_WAIT=200ms"

func TestAReceiverThatComesBackGetsEverythingInOrder(t *testing.T) {
	t.Parallel()
	receiver := receive(t, secret)
	r := start(t, quickProbes)
	ch := r.channel(receiver.url(), signedWith(secret))

	const before, during, tickets = 20, 300, 3
	n := 0
	send := func(count int) (ids []relay.ID) {
		for range count {
			n++
			ids = append(ids, r.send(ch.ID, int64(1+n%tickets), fmt.Sprint(n)))
		}
		return ids
	}
	for _, id := range send(before) {
		r.becomes(id, client.StateDelivered) // or closing could cut off its 200
	}
	receiver.close()
	send(during)
	receiver.open()
	send(before)
	receiver.accepts(before + during + before)
	receiver.isClean()
	requireAscending(t, receiver, n)
}

// requireAscending checks with the test's own eyes, not the sink's, that each conversation's
// texts, which are numbers, came in ascending order and that none of the n is missing.
func requireAscending(t *testing.T, r *receiver, n int) {
	t.Helper()
	last := map[string]int{}
	seen := map[int]bool{}
	for _, text := range r.lines.all() {
		var l struct {
			Answer       string
			Conversation string
			Message      string
		}
		require.NoError(t, json.Unmarshal([]byte(text), &l))
		if l.Answer != "200" {
			continue
		}
		var number int
		_, err := fmt.Sscan(l.Message, &number)
		require.NoError(t, err)
		require.Greater(t, number, last[l.Conversation], l.Conversation)
		last[l.Conversation] = number
		seen[number] = true
	}
	require.Len(t, seen, n)
}

func TestAnOrderlyRestartUnderLoadRepeatsNothing(t *testing.T) {
	t.Parallel()
	receiver := receive(t, secret)
	r := start(t, quickProbes)
	ch := r.channel(receiver.url(), signedWith(secret))
	// Some are being retried, some are in flight, some wait when it stops.
	receiver.sink.Misbehave(sink.Fault{Action: sink.Answer, Status: 503, Every: 7}, sink.Fault{Action: sink.Slow, Delay: 30 * time.Millisecond, Every: 3})
	const senders, each = 8, 25
	accepted := 0
	for life := range 3 {
		var all sync.WaitGroup
		for s := range senders {
			all.Go(func() {
				for i := range each {
					_, err := r.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: ch.ID, TicketID: int64(1 + s), Message: fmt.Sprint(1 + i + life*each)})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		accepted += senders * each
		r.stop()
		r.begin()
	}
	receiver.accepts(accepted)
	receiver.isClean()
}

func TestAnIdempotencyKeyOutlivesACrash(t *testing.T) {
	t.Parallel()
	receiver := receive(t, secret)
	r := start(t)
	ch := r.channel(receiver.url(), signedWith(secret))
	message := client.OutboundMessage{ChannelID: ch.ID, TicketID: 1, Message: "once", IdempotencyKey: "order-7"}
	first, err := r.SendOutbound(t.Context(), message)
	require.NoError(t, err)
	require.False(t, first.Duplicate)
	for range 3 {
		r.kill()
		r.begin()
		again, err := r.SendOutbound(t.Context(), message)
		require.NoError(t, err)
		require.Equal(t, first.MessageID, again.MessageID)
		require.True(t, again.Duplicate)
	}
	r.becomes(first.MessageID, client.StateDelivered)
	require.Equal(t, 1, receiver.sink.Stats().Messages)
}

func TestAcceptedMessagesOutliveACrash(t *testing.T) {
	t.Parallel()
	receiver := receive(t, secret)
	r := start(t, quickProbes)
	ch := r.channel(receiver.url(), signedWith(secret))
	receiver.close()
	const n = 100
	for i := range n {
		r.send(ch.ID, int64(1+i%4), fmt.Sprint(1+i))
	}
	r.kill() // with all of them open, some of them tried
	receiver.open()
	r.begin()
	receiver.accepts(n)
	receiver.isClean()
	requireAscending(t, receiver, n)
}

func TestHoldResumeAndReplay(t *testing.T) {
	t.Parallel()
	receiver := receive(t, secret)
	r := start(t, quickProbes)
	ch := r.channel(receiver.url(), signedWith(secret))
	ctx := t.Context()
	began := time.Now()
	destination := relay.ChannelDestination(ch.ID)

	_, err := r.Hold(ctx, destination, "maintenance")
	require.NoError(t, err)
	const n = 10
	var ids []relay.ID
	for i := range n {
		ids = append(ids, r.send(ch.ID, 1, fmt.Sprint(1+i)))
	}
	// Another channel is not held, and messages to it pass those that wait.
	free := r.channel(receiver.url(), signedWith(secret))
	r.becomes(r.send(free.ID, 1, "free"), client.StateDelivered)
	for _, id := range ids {
		m, err := r.Message(ctx, id)
		require.NoError(t, err)
		require.Equal(t, client.StateQueued, m.State)
		require.Empty(t, m.Attempts)
	}
	r.kill()
	r.begin() // a hold outlives a crash
	holds, err := r.Holds(ctx)
	require.NoError(t, err)
	require.Len(t, holds, 1)
	require.Equal(t, "maintenance", holds[0].Why)
	require.NoError(t, r.Resume(ctx, destination))
	receiver.accepts(n + 1)
	receiver.isClean()

	_, err = r.Replay(ctx, destination, began.Add(-time.Minute))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return receiver.sink.Stats().Repeats == n }, patience, glance)
	require.Equal(t, n+1, receiver.sink.Stats().Messages, "under the same ids")
	require.Eventually(t, func() bool {
		replays, err := r.Replays(ctx)
		return err == nil && len(replays) == 0
	}, patience, glance)
}

func TestDeadLettersAreReplayedAndDiscarded(t *testing.T) {
	t.Parallel()
	receiver := receive(t, secret)
	r := start(t, quickProbes)
	ch := r.channel(receiver.url(), signedWith(secret), func(f *client.ChannelFields) { f.MaxAttempts = new(2) })
	ctx := t.Context()
	receiver.sink.Misbehave(sink.Fault{Action: sink.Answer, Status: 422})
	ids := []relay.ID{r.send(ch.ID, 1, "1"), r.send(ch.ID, 1, "2"), r.send(ch.ID, 2, "3")}
	for _, id := range ids {
		m := r.becomes(id, client.StateDead)
		require.Equal(t, relay.ReasonStatus4xx, m.LastAttempt.Reason)
		require.Len(t, m.Attempts, 2)
	}
	receiver.sink.Misbehave()
	r.kill()
	r.begin() // dead letters outlive a crash

	_, err := r.ReplayDead(ctx, ids[0])
	require.NoError(t, err)
	m := r.becomes(ids[0], client.StateDelivered)
	require.Len(t, m.Attempts, 4, "two failures, the replay, the delivery: %+v", m.Attempts)
	require.NoError(t, r.DiscardDead(ctx, ids[1]))
	page, err := r.Dead(ctx, client.DeadFilter{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Equal(t, ids[2], page.Items[0].Message.ID)

	// A channel that goes takes nothing with it.
	receiver.sink.Misbehave(sink.Fault{Action: sink.Answer, Status: 503})
	_, err = r.UpdateChannel(ctx, ch.ID, client.ChannelFields{MaxAttempts: new(100)})
	require.NoError(t, err)
	waiting := r.send(ch.ID, 3, "4")
	require.NoError(t, r.DeleteChannel(ctx, ch.ID))
	m = r.becomes(waiting, client.StateDead)
	require.Equal(t, relay.ReasonDiscarded, m.LastAttempt.Reason)
	require.Contains(t, m.LastAttempt.By, "admin")
}
