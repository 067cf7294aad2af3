package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

// crash kills a relay again and again while messages come in and the receiver refuses one
// request in twenty. Senders insist, with idempotency keys, until each message is accepted;
// at the end every accepted message must have arrived, in the order of its conversation.
func crash(ctx context.Context, o Options, r *Report) error {
	for _, sync := range o.Sync {
		if err := o.crash(ctx, r, sync); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) crash(ctx context.Context, r *Report, sync string) (err error) {
	receiver, err := newReceiver(ctx)
	if err != nil {
		return err
	}
	defer receiver.close()
	receiver.failEvery.Store(20)
	p, err := o.newProcess(ctx, sync)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if _, err := p.start(ctx); err != nil {
		return err
	}
	ids, err := p.admin.channels(ctx, o.Channels, func(int) client.ChannelFields {
		return client.ChannelFields{
			Endpoint:     new(receiver.url()),
			RetryInitial: new(relay.Duration(20 * time.Millisecond)), RetryMax: new(relay.Duration(200 * time.Millisecond)),
			MaxAttempts: new(100),
		}
	})
	if err != nil {
		return err
	}
	pace := pace{connections: 32, rate: o.Rate, duration: time.Hour, messages: 1 << 20}
	l := newLedger(uint16(rand.Uint32()), pace.capacity(), conversationsFor(pace.connections, len(ids)))
	receiver.ledger.Store(l)
	s := &sender{to: p.intake(), ledger: l, channels: ids, size: o.Size, insist: true}
	loading, stopLoad := context.WithCancel(ctx)
	defer stopLoad()
	ended := make(chan error, 1)
	go func() { ended <- s.send(loading, pace) }()

	var ready []time.Duration
	for i := range o.Kills {
		if err := rest(ctx, 100*time.Millisecond+time.Duration(rand.Int64N(int64(1500*time.Millisecond)))); err != nil {
			return err
		}
		if err := p.kill(); err != nil {
			return err
		}
		took, err := p.start(ctx)
		if err != nil {
			return err
		}
		ready = append(ready, took)
		o.say("crash, sync %s: kill %d of %d, ready again in %s; %d accepted, %d arrived, %d repeated, %d out of order", sync, i+1, o.Kills,
			took.Round(time.Millisecond), l.accepted.Load(), l.seen.Load(), l.repeats.Load(), l.disorder.Load())
	}
	if err := rest(ctx, time.Second); err != nil {
		return err
	}
	stopLoad()
	if err := <-ended; err != nil {
		return err
	}
	drained := l.drained(ctx, maxDrain)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f := Figure{Scenario: "crash", Case: fmt.Sprintf("sync %s, %d kills", sync, o.Kills)}
	value := func(name, unit string, v float64, g *goal) {
		f.Name, f.Unit, f.Rounds = name, unit, []Round{{Relay: v}}
		r.add(f, g)
	}
	value("accepted", "", float64(l.accepted.Load()), nil)
	value("lost", "", float64(l.lost()), &goal{})
	value("out of order", "", float64(l.disorder.Load()), &goal{})
	value("repeated per kill", "", float64(l.repeats.Load())/float64(o.Kills), nil)
	value("slowest restart", "s", slices.Max(ready).Seconds(), &goal{value: 5})
	if drained != nil {
		o.say("crash, sync %s: %v", sync, drained)
	}
	return nil
}
