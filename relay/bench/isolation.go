package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"omnirelay/relay/client"
)

// isolationChannels is how many channels there are: half are healthy, a quarter refuse
// connections, a quarter take a request and never answer it.
const isolationChannels = 1000

// nowhere refuses every connection: nothing listens on the port that was once tcpmux's
// (RFC 1078).
const nowhere = "http://127.0.0.1:1/"

// isolation is the latency of healthy channels at a steady rate, while as many other
// channels are down, go on getting messages at the same rate, and have a backlog. The
// reference is the same without the others, before and after.
func isolation(ctx context.Context, o Options, r *Report) error {
	receiver, err := newReceiver(ctx)
	if err != nil {
		return err
	}
	defer receiver.close()
	for _, sync := range o.Sync {
		where := fmt.Sprintf("sync %s, half of %d channels down, backlog %d, %.0f/s", sync, isolationChannels, o.Backlog, o.Rate)
		var alone [2]outcome
		var beside outcome
		for i, step := range []func() error{
			func() (err error) { alone[0], err = o.isolated(ctx, receiver, sync, false); return err },
			func() (err error) { beside, err = o.isolated(ctx, receiver, sync, true); return err },
			func() (err error) { alone[1], err = o.isolated(ctx, receiver, sync, false); return err },
		} {
			if err := step(); err != nil {
				return err
			}
			o.say("isolation, sync %s, step %d of 3", sync, i+1)
		}
		f := Figure{Scenario: "isolation", Case: where, Against: "alone"}
		for _, q := range []struct {
			name string
			at   float64
			goal *goal
		}{{"p50 of healthy channels", 0.5, nil}, {"p99 of healthy channels", 0.99, &goal{ofRatio: true, value: 1.5}}} {
			reference := median([]float64{milliseconds(alone[0].fromRequest, q.at), milliseconds(alone[1].fromRequest, q.at)})
			f.Name, f.Unit = q.name, "ms"
			f.Rounds = []Round{{Relay: milliseconds(beside.fromRequest, q.at), Reference: reference}}
			r.add(f, q.goal)
		}
	}
	return nil
}

// isolated measures the healthy channels of a fresh relay, with or without trouble beside.
func (o Options) isolated(ctx context.Context, r *receiver, sync string, trouble bool) (out outcome, err error) {
	p, err := o.startRelay(ctx, sync)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	ids, err := p.admin.channels(ctx, isolationChannels, func(i int) client.ChannelFields {
		return client.ChannelFields{Endpoint: new([]string{r.url(), nowhere, r.url(), r.hangURL()}[i%4])}
	})
	if err != nil {
		return out, err
	}
	var healthy, down []int64
	for i, id := range ids {
		if i%2 == 0 {
			healthy = append(healthy, id)
		} else {
			down = append(down, id)
		}
	}
	steady := pace{connections: 32, duration: o.Duration, rate: o.Rate / 2}
	t := trial{"isolation alone, sync " + sync, steady, healthy}
	if !trouble {
		return o.measure(ctx, p, r, t)
	}
	if err := o.unseen(ctx, p, down, pace{connections: 64, messages: o.Backlog}); err != nil {
		return out, fmt.Errorf("loading the backlog: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		// Longer than the measurement; cancel ends it.
		ended <- o.unseen(ctx, p, down, pace{connections: 32, duration: o.Duration + time.Hour, rate: o.Rate / 2, messages: 1 << 20})
	}()
	t.name = "isolation, sync " + sync
	out, err = o.measure(ctx, p, r, t)
	cancel()
	return out, errors.Join(err, <-ended)
}

// unseen sends messages that nobody waits for.
func (o Options) unseen(ctx context.Context, p pipeline, channels []int64, pace pace) error {
	s := &sender{
		to: p.intake(), channels: channels, size: o.Size,
		ledger: newLedger(uint16(rand.Uint32()), pace.capacity(), conversationsFor(pace.connections, len(channels))),
	}
	return s.send(ctx, pace)
}
