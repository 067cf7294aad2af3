package dispatch_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/dispatch"
)

// A plan is what happens to a relay: drawn first, then carried out in a bubble of fake time.
type plan struct {
	bounds dispatch.Bounds
	reopen int // positions a record of a replay opens
	slots  int // requests under way at once
	sees   bool
	steps  []step
}

type step struct {
	deed         string
	channel      int64
	conversation int
	count        int
	text         string // what is wrong with the messages, if anything
	mode         string // of the endpoint
	span         time.Duration
	atOnce       bool // the next step follows in the same moment
}

func (s step) String() string {
	switch s.deed {
	case "send":
		return fmt.Sprintf("send %d×%q to %d/%d", s.count, s.text, s.channel, s.conversation)
	case "endpoint":
		return fmt.Sprintf("endpoint %d %s", s.channel, s.mode)
	case "advance":
		return fmt.Sprint("advance ", s.span)
	case "replay":
		return fmt.Sprintf("replay %d, the last %s", s.channel, s.span)
	case "concurrency":
		return fmt.Sprintf("concurrency of %d: %d", s.channel, s.count)
	}
	return fmt.Sprint(s.deed, " ", s.channel)
}

const modelChannels = 3

// The policy keeps plans short: an idle hour of fake time costs a tenth of a real second.
func modelPolicy(p *relay.Policy) {
	p.MaxAttempts, p.MaxAge = 5, relay.Duration(10*time.Minute)
}

func genPlan(t *rapid.T) plan {
	p := plan{
		bounds: dispatch.Bounds{
			QueueMessages: rapid.IntRange(1, 4).Draw(t, "queue"),
			Waiting:       rapid.SampledFrom([]int{1, 3, 8, 1000}).Draw(t, "waiting"),
		},
		reopen: rapid.SampledFrom([]int{2, 5, 1000}).Draw(t, "reopen"),
		slots:  rapid.SampledFrom([]int{1, 2, 5, 1000}).Draw(t, "slots"),
		sees:   rapid.Bool().Draw(t, "sees"),
	}
	deeds := []string{"send", "send", "send", "send", "endpoint", "endpoint", "advance", "advance", "hold", "resume", "replay", "restart", "crash", "stall", "unstall", "concurrency"}
	for range rapid.IntRange(3, 40).Draw(t, "steps") {
		s := step{
			deed:    rapid.SampledFrom(deeds).Draw(t, "deed"),
			channel: 1001 + int64(rapid.IntRange(0, modelChannels-1).Draw(t, "channel")),
			atOnce:  rapid.IntRange(0, 3).Draw(t, "at once") == 3,
		}
		switch s.deed {
		case "send":
			s.conversation = rapid.IntRange(0, 2).Draw(t, "conversation")
			s.count = rapid.IntRange(1, 12).Draw(t, "count")
			s.text = rapid.SampledFrom([]string{"", "", "", "refused", "broken", "event"}).Draw(t, "text")
		case "endpoint":
			s.mode = rapid.SampledFrom([]string{"ok", "ok", "down", "slow", "hangs", "busy", "refuses", "gone", "unresolved"}).Draw(t, "mode")
		case "advance", "replay":
			s.span = rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 10 * time.Second, time.Minute, 5 * time.Minute}).Draw(t, "span")
		case "concurrency":
			s.count = rapid.SampledFrom([]int{1, 2, 16}).Draw(t, "count")
		}
		p.steps = append(p.steps, s)
	}
	return p
}

// endpoints answer by a mode that changes.
type endpoints struct {
	mu    sync.Mutex
	modes map[relay.Destination]string
}

func (m *endpoints) set(d relay.Destination, mode string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.modes[d] = mode
}

func (m *endpoints) answer(e *relay.Entry, _ int) relay.Result {
	m.mu.Lock()
	mode := m.modes[e.Destination]
	m.mu.Unlock()
	switch mode {
	case "down":
		return relay.Result{Reason: relay.ReasonRefused}
	case "hangs":
		return relay.Result{Reason: relay.ReasonTimeout, Duration: 15 * time.Second}
	case "busy":
		return relay.Result{Reason: relay.ReasonRateLimited, Status: 429, RetryAfter: 30 * time.Second}
	case "refuses":
		return relay.Result{Reason: relay.ReasonStatus4xx, Status: 403}
	case "gone":
		return relay.Result{Reason: relay.ReasonGone, Status: 410}
	case "unresolved":
		return relay.Result{Reason: relay.ReasonUnresolved}
	}
	res := relay.Result{Reason: relay.ReasonOK, Status: 200}
	switch e.Text {
	case "refused":
		res = relay.Result{Reason: relay.ReasonStatus4xx, Status: 400}
	case "broken":
		res = relay.Result{Reason: relay.ReasonStatus5xx, Status: 500}
	}
	if mode == "slow" {
		res.Duration = 2 * time.Second
	}
	return res
}

// model is a plan that is carried out, and what must come of it.
type model struct {
	*rig
	endpoints *endpoints
	accepted  []accepted
	replayed  []queue.Replay
	crashes   []time.Time
	stalls    stalls
}

type accepted struct {
	relay.Message
	at time.Time
}

func runPlan(t *testing.T, p plan) error {
	m := &model{endpoints: &endpoints{modes: map[relay.Destination]string{}}}
	m.rig = newShardedRig(t, 2, func(o *dispatch.Options) {
		o.Bounds, o.Requests = p.bounds, p.slots
		o.SetReopenMost(p.reopen)
		o.SetRetainEvery(time.Hour)
	})
	m.inbox.sees = p.sees
	m.inbox.set(m.endpoints.answer)
	for n := range int64(modelChannels) {
		m.catalog.set(relay.ChannelDestination(1001+n), modelPolicy)
	}
	for i, s := range p.steps {
		if err := m.do(s); err != nil {
			return fmt.Errorf("step %d, %s: %w", i, s, err)
		}
		if s.atOnce && s.deed != "replay" { // what is sent in the moment of a request is not part of it
			continue
		}
		settle(time.Millisecond)
		if err := m.d.Audit(); err != nil {
			return fmt.Errorf("after step %d, %s: %w", i, s, err)
		}
	}
	return m.end()
}

func (m *model) do(s step) error {
	d := relay.ChannelDestination(s.channel)
	ctx := m.t.Context()
	switch s.deed {
	case "send":
		for range s.count {
			msg := relay.Message{
				Type: "message.outbound", Kind: relay.KindMessage, Direction: relay.Outbound,
				ChannelID: s.channel, Destination: d, Conversation: fmt.Sprint("ticket:", s.conversation), Text: s.text,
			}
			if s.text == "event" {
				msg.Kind = relay.KindEvent
			}
			msg.ID = m.append(msg)
			m.accepted = append(m.accepted, accepted{msg, time.Now()})
		}
	case "endpoint":
		m.endpoints.set(d, s.mode)
	case "advance":
		settle(s.span)
	case "hold":
		return m.holds.Hold(ctx, d, "operator", "")
	case "resume":
		if err := m.holds.Resume(ctx, d, "operator"); !errors.Is(err, queue.ErrNotFound) {
			return err
		}
	case "replay":
		req, err := m.replays.Request(ctx, d, time.Now().Add(-s.span), "operator")
		if errors.Is(err, queue.ErrConflict) {
			return nil
		}
		m.replayed = append(m.replayed, req)
		return err
	case "stall":
		m.stalls.begin(m.rig)
	case "unstall":
		m.stalls.end(m.rig)
	case "restart":
		m.stalls.end(m.rig) // a graceful stop wants to record what it has
		settle(3 * time.Second)
		m.stop()
		m.start()
	case "crash":
		m.crashes = append(m.crashes, time.Now())
		m.crash()
		m.start()
		m.stalls.end(m.rig)
	case "concurrency":
		m.catalog.set(d, func(p *relay.Policy) {
			modelPolicy(p)
			p.Concurrency = s.count
		})
		m.d.Refresh(d)
	}
	return nil
}

// end makes everything well, waits longer than any message may live, and judges.
func (m *model) end() error {
	m.stalls.end(m.rig)
	for n := range int64(modelChannels) {
		d := relay.ChannelDestination(1001 + n)
		m.endpoints.set(d, "ok")
		// An endpoint that was gone a moment ago may be put on hold as late as now.
		for range 3 {
			if err := m.do(step{deed: "resume", channel: 1001 + n}); err != nil {
				return err
			}
			settle(16 * time.Second)
		}
	}
	settle(15 * time.Minute)
	for n := range int64(modelChannels) {
		v := m.d.View(relay.ChannelDestination(1001 + n))
		v.Window, v.BreakerOpen = 0, false
		if v != (dispatch.View{}) {
			return fmt.Errorf("channel %d is left with %+v", 1001+n, v)
		}
	}
	if err := errors.Join(m.d.Audit(), m.judge()); err != nil {
		return err
	}
	d := m.d
	m.stop()
	if under, waiting := d.Slots(); under != 0 || waiting != 0 {
		return fmt.Errorf("%d slots are still taken, %d waited for", under, waiting)
	}
	if used := d.MemoryUsed(); used != 0 {
		return fmt.Errorf("%d bytes are still counted", used)
	}
	return nil
}

// Whatever happens to a relay and its endpoints: every accepted message is delivered or dead
// with a reason, each conversation arrives in order, and nothing arrives twice but for a
// crash or a replay.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := genPlan(rt)
		var err error
		synctest.Test(t, func(t *testing.T) { err = runPlan(t, p) })
		if err != nil {
			for i, s := range p.steps {
				rt.Log(i, s)
			}
		}
		require.NoError(rt, err)
	})
}
