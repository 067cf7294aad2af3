package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"omnirelay/relay/config"
)

// throughput is how many messages a second get from the sender to the receiver when every
// connection sends as fast as it is answered. What is still under way when the load ends
// counts, and so does the time until it has arrived.
func throughput(ctx context.Context, o Options, r *Report) error {
	for _, sync := range o.Sync {
		for _, connections := range o.Connections {
			where := fmt.Sprintf("sync %s, %d connections", sync, connections)
			pairs, err := o.besideBare(ctx, "throughput "+where, sync, pace{connections: connections, duration: o.Duration})
			if err != nil {
				return err
			}
			var g *goal
			switch {
			case sync == config.SyncInterval:
				g = &goal{ofRatio: true, atLeast: true, value: 0.8}
			case connections >= 256:
				g = &goal{ofRatio: true, atLeast: true, value: 2}
			}
			f := Figure{Scenario: "throughput", Case: where, Against: "bare"}
			r.add(f.of("delivered", "/s", pairs, func(o outcome) float64 { return o.deliveredRate }), g)
			r.add(f.of("accepted", "/s", pairs, func(o outcome) float64 { return o.acceptedRate }), nil)
			r.add(f.of("processor time a message", "µs", pairs, microseconds), nil)
			r.add(f.of("out of order", "", pairs, func(o outcome) float64 { return float64(o.disorder) }), &goal{})
			r.add(f.of("repeated", "", pairs, func(o outcome) float64 { return float64(o.repeats) }), &goal{})
		}
	}
	return nil
}

// latency is how long a message takes at a steady rate that leaves the machine room.
func latency(ctx context.Context, o Options, r *Report) error {
	for _, sync := range o.Sync {
		where := fmt.Sprintf("sync %s, %.0f/s", sync, o.Rate)
		pairs, err := o.besideBare(ctx, "latency "+where, sync, pace{connections: 64, duration: o.Duration, rate: o.Rate})
		if err != nil {
			return err
		}
		p50, p99 := &goal{value: 4}, (*goal)(nil)
		if sync == config.SyncInterval {
			p50, p99 = &goal{value: 1.5}, &goal{value: 10}
		}
		f := Figure{Scenario: "latency", Case: where, Against: "bare"}
		for _, from := range []struct {
			name   string
			values func(outcome) []time.Duration
		}{
			{"from the request", func(o outcome) []time.Duration { return o.fromRequest }},
			{"from the 200", func(o outcome) []time.Duration { return o.fromAccept }},
		} {
			r.add(f.of("p50 "+from.name, "ms", pairs, func(o outcome) float64 { return milliseconds(from.values(o), 0.5) }), p50)
			r.add(f.of("p99 "+from.name, "ms", pairs, func(o outcome) float64 { return milliseconds(from.values(o), 0.99) }), p99)
		}
	}
	return nil
}

// microseconds of processor time say more than rates where others use the machine too.
func microseconds(o outcome) float64 { return float64(o.processor.Nanoseconds()) / 1000 }

func milliseconds(sorted []time.Duration, q float64) float64 {
	return quantile(sorted, q).Seconds() * 1000
}

// pair is one round: the relay's outcome and the reference's.
type pair struct{ relay, reference outcome }

// of fills a figure with one value of each round.
func (f Figure) of(name, unit string, pairs []pair, value func(outcome) float64) Figure {
	f.Name, f.Unit, f.Rounds = name, unit, nil
	for _, p := range pairs {
		f.Rounds = append(f.Rounds, Round{Relay: value(p.relay), Reference: value(p.reference)})
	}
	return f
}

// besideBare measures the relay and the bare pipeline in turn, each time started anew, and
// lets them take turns in beginning a round.
func (o Options) besideBare(ctx context.Context, name, sync string, pace pace) ([]pair, error) {
	r, err := newReceiver(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	pairs := make([]pair, o.Rounds)
	for round := range pairs {
		sides := []func() error{
			func() (err error) {
				pairs[round].reference, err = o.measureBare(ctx, name, sync, pace, r)
				return err
			},
			func() (err error) {
				pairs[round].relay, err = o.measureRelay(ctx, name, sync, pace, r, o.Channels)
				return err
			},
		}
		for i := range sides {
			if err := sides[(i+round)%len(sides)](); err != nil {
				return nil, err
			}
		}
		p := pairs[round]
		o.say("%s, round %d of %d: relay %s/s, bare %s/s; processor time %s and %s µs; p50 %s and %s ms", name, round+1, o.Rounds,
			number(p.relay.deliveredRate), number(p.reference.deliveredRate),
			number(microseconds(p.relay)), number(microseconds(p.reference)),
			number(milliseconds(p.relay.fromRequest, 0.5)), number(milliseconds(p.reference.fromRequest, 0.5)))
	}
	return pairs, nil
}

func (o Options) measureBare(ctx context.Context, name, sync string, pace pace, r *receiver) (out outcome, err error) {
	b, err := o.startBare(ctx, sync == config.SyncAlways, r.url())
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	return o.measure(ctx, b, r, trial{"bare " + name, pace, make([]int64, o.Channels)})
}

// measureRelay measures a relay with n channels that all lead to the receiver.
func (o Options) measureRelay(ctx context.Context, name, sync string, pace pace, r *receiver, n int) (out outcome, err error) {
	p, err := o.startRelay(ctx, sync)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	ids, err := p.admin.channels(ctx, n, leadingTo(r.url()))
	if err != nil {
		return out, err
	}
	return o.measure(ctx, p, r, trial{"relay " + name, pace, ids})
}
