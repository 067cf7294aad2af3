package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"omnirelay/relay/config"
)

// memory loads a relay in a process of its own with messages that cannot be delivered, over
// many channels, reads how much memory it keeps, and restarts it: after a stop, and after a
// kill.
func memory(ctx context.Context, o Options, r *Report) (err error) {
	p, err := o.newProcess(ctx, config.SyncInterval)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if _, err := p.start(ctx); err != nil {
		return err
	}
	ids, err := p.admin.channels(ctx, o.ManyChannels, leadingTo(nowhere))
	if err != nil {
		return err
	}
	o.say("memory: %d channels are there", len(ids))
	empty, err := p.memory("VmRSS")
	if err != nil {
		return err
	}
	began := time.Now()
	if err := o.unseen(ctx, p, ids, pace{connections: 64, messages: o.Backlog}); err != nil {
		return fmt.Errorf("loading the backlog: %w", err)
	}
	o.say("memory: %d messages are accepted, after %s", o.Backlog, time.Since(began).Round(time.Second))

	where := fmt.Sprintf("%d messages waiting in %d channels", o.Backlog, o.ManyChannels)
	megabytes, seconds := &goal{value: 300}, &goal{value: 5}
	value := func(name, unit string, v float64, g *goal) {
		r.add(Figure{Scenario: "memory", Case: where, Name: name, Unit: unit, Rounds: []Round{{Relay: v}}}, g)
	}
	value("resident before", "MB", empty, nil)
	// What it is once the relay was alone for a while, and the most until then.
	resident := func(when string) error {
		if err := rest(ctx, o.Duration); err != nil {
			return err
		}
		now, err := p.memory("VmRSS")
		if err != nil {
			return err
		}
		peak, err := p.memory("VmHWM")
		if err != nil {
			return err
		}
		o.say("memory: %s MB resident %s, %s MB at most", number(now), when, number(peak))
		value("resident "+when, "MB", now, megabytes)
		value("most resident "+when, "MB", peak, megabytes)
		return nil
	}
	if err := resident("after loading"); err != nil {
		return err
	}
	began = time.Now()
	if err := p.stop(); err != nil {
		return err
	}
	value("stop", "s", time.Since(began).Seconds(), nil)
	for _, when := range []string{"after a stop", "after a kill"} {
		took, err := p.start(ctx)
		if err != nil {
			return err
		}
		o.say("memory: ready %s in %s", when, took.Round(time.Millisecond))
		value("ready "+when, "s", took.Seconds(), seconds)
		if err := resident(when); err != nil {
			return err
		}
		if err := p.kill(); err != nil {
			return err
		}
	}
	return nil
}

// rest waits.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
