package queue_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
)

// plan is a schedule on a store that can be closed and opened again.
type plan struct {
	t        *testing.T
	dir      string
	conn     *natsd.Conn
	log      *queue.Log
	schedule *queue.Schedule
}

func newPlan(t *testing.T) *plan {
	p := &plan{t: t, dir: t.TempDir()}
	p.start()
	t.Cleanup(p.stop)
	return p
}

func (p *plan) start() {
	ctx := context.Background()
	p.conn = natsdtest.OpenDir(p.t, p.dir)
	var err error
	p.log, err = queue.Open(ctx, p.conn.JetStream(), queue.Options{Shards: 2, Log: zerolog.Nop()})
	require.NoError(p.t, err)
	p.schedule, err = p.log.OpenSchedule(ctx)
	require.NoError(p.t, err)
}

func (p *plan) stop() {
	if p.conn == nil {
		return
	}
	p.schedule.Close()
	p.log.Close()
	require.NoError(p.t, p.conn.Close())
	p.conn = nil
}

func (p *plan) add(channel int64, text string, in time.Duration, key string) queue.Receipt {
	p.t.Helper()
	m := relay.Message{
		Type: "message.outbound", Kind: relay.KindMessage, Direction: relay.Outbound,
		Destination: relay.ChannelDestination(channel), ChannelID: channel, Conversation: "ticket:1",
		Text: text, DueAt: time.Now().Add(in).UTC(),
	}
	r, err := p.schedule.Add(p.t.Context(), &m, key)
	require.NoError(p.t, err)
	return r
}

// waitFor lets time pass and what it causes happen.
func (p *plan) waitFor(d time.Duration) {
	time.Sleep(d) // of the bubble
	synctest.Wait()
}

// sent lists the texts in the message log, oldest first.
func (p *plan) sent() []string {
	page, err := p.log.List(p.t.Context(), queue.Filter{Limit: 1000})
	require.NoError(p.t, err)
	list := []string{}
	for _, s := range page.Items {
		list = append([]string{s.Entry.Text}, list...)
	}
	return list
}

func (p *plan) waiting(f queue.ScheduledFilter) []string {
	list := []string{}
	for {
		page, err := p.schedule.List(p.t.Context(), f)
		require.NoError(p.t, err)
		for _, s := range page.Items {
			list = append(list, s.Message.Text)
		}
		if page.Next == "" {
			return list
		}
		f.Cursor = page.Next
	}
}

func TestScheduledMessagesGoWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlan(t)
		p.add(1, "in a day", 24*time.Hour, "")
		p.add(1, "in an hour", time.Hour, "")
		p.add(2, "in a minute", time.Minute, "")
		p.add(1, "overdue", -time.Minute, "")
		p.waitFor(time.Second)
		require.Equal(t, []string{"overdue"}, p.sent())
		require.Equal(t, []string{"in a minute", "in an hour", "in a day"}, p.waiting(queue.ScheduledFilter{}))
		require.Equal(t, []string{"in a minute", "in an hour", "in a day"}, p.waiting(queue.ScheduledFilter{Limit: 1}), "page by page")
		require.Equal(t, []string{"in an hour", "in a day"}, p.waiting(queue.ScheduledFilter{ChannelID: 1, Limit: 1}))
		require.Equal(t, []string{"in a minute"}, p.waiting(queue.ScheduledFilter{Channels: []int64{2, 3}}))
		p.waitFor(time.Minute - 2*time.Second)
		require.Len(t, p.sent(), 1, "a second before its time")
		p.waitFor(2 * time.Second)
		require.Equal(t, []string{"overdue", "in a minute"}, p.sent())
		p.waitFor(24 * time.Hour)
		require.Equal(t, []string{"overdue", "in a minute", "in an hour", "in a day"}, p.sent())
		require.Empty(t, p.waiting(queue.ScheduledFilter{}))
	})
}

func TestTheScheduleSurvivesARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlan(t)
		first := p.add(1, "due while down", time.Hour, "")
		p.add(1, "due later", 3*time.Hour, "")
		p.stop()
		p.waitFor(2 * time.Hour)
		p.start()
		p.waitFor(time.Second)
		require.Equal(t, []string{"due while down"}, p.sent())
		// Its id was made two hours before it was appended.
		s, err := p.log.Find(t.Context(), first.ID)
		require.NoError(t, err)
		require.Equal(t, queue.StateQueued, s.State)
		require.Equal(t, "due while down", s.Entry.Text)
		require.WithinDuration(t, time.Now(), s.Entry.AcceptedAt, 2*time.Second, "its age counts from when it was sent")
		p.waitFor(2 * time.Hour)
		require.Equal(t, []string{"due while down", "due later"}, p.sent())
	})
}

func TestACancelledMessageIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlan(t)
		r := p.add(1, "cancelled", time.Hour, "")
		gone := p.add(1, "too late", time.Minute, "")
		s, err := p.log.Find(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, queue.StateScheduled, s.State)
		require.Equal(t, s.NextAt, s.Entry.DueAt)

		require.NoError(t, p.schedule.Cancel(t.Context(), r.ID, "ann"))
		require.ErrorIs(t, p.schedule.Cancel(t.Context(), r.ID, "ann"), queue.ErrNotFound)
		p.waitFor(2 * time.Hour)
		require.Equal(t, []string{"too late"}, p.sent())
		require.ErrorIs(t, p.schedule.Cancel(t.Context(), gone.ID, "ann"), queue.ErrNotFound)

		s, err = p.log.Find(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, queue.StateDead, s.State)
		require.Equal(t, "cancelled", s.Entry.Text)
		require.Equal(t, relay.ReasonDiscarded, s.Attempts[0].Reason)
		require.Equal(t, "ann", s.Attempts[0].By)
	})
}

func TestTheSameKeySchedulesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlan(t)
		first := p.add(1, "a", time.Minute, "key")
		require.False(t, first.Duplicate)
		again := p.add(1, "b", 2*time.Minute, "key")
		require.Equal(t, queue.Receipt{ID: first.ID, Duplicate: true}, again)
		require.False(t, p.add(1, "c", 3*time.Minute, "other").Duplicate)
		p.waitFor(2 * time.Minute)
		require.Equal(t, []string{"a"}, p.sent())
		require.True(t, p.add(1, "b", time.Minute, "key").Duplicate, "also when it has been sent")
		p.waitFor(2 * time.Hour) // the key's time is over
		require.False(t, p.add(1, "d", time.Minute, "key").Duplicate)
		p.waitFor(2 * time.Minute)
		require.Equal(t, []string{"a", "c", "d"}, p.sent())
	})
}

func TestAFullStorePutsSendingOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlan(t)
		p.add(1, "a", time.Minute, "")
		p.log.SetRoom(0)
		p.waitFor(time.Hour)
		require.Empty(t, p.sent())
		p.log.SetRoom(1 << 30)
		p.waitFor(time.Minute)
		require.Equal(t, []string{"a"}, p.sent())
	})
}

func TestTwoInstancesSendEachMessageOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlan(t)
		other, err := p.log.OpenSchedule(t.Context())
		require.NoError(t, err)
		defer other.Close()
		want := []string{}
		for i := range 20 {
			text := fmt.Sprint(i)
			p.add(1, text, time.Minute+time.Duration(i)*time.Millisecond, "")
			want = append(want, text)
		}
		synctest.Wait()
		page, err := other.List(t.Context(), queue.ScheduledFilter{})
		require.NoError(t, err)
		require.Len(t, page.Items, 20, "both know of all")
		p.waitFor(time.Hour)
		require.ElementsMatch(t, want, p.sent())
	})
}
