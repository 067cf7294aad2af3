package bench

import (
	"context"
	"fmt"
)

// channels is the throughput over many channels beside that over a single one.
func channels(ctx context.Context, o Options, r *Report) error {
	receiver, err := newReceiver(ctx)
	if err != nil {
		return err
	}
	defer receiver.close()
	for _, sync := range o.Sync {
		pace := pace{connections: o.Connections[0], duration: o.Duration}
		where := fmt.Sprintf("sync %s, %d channels, %d connections", sync, o.ManyChannels, pace.connections)
		pairs := make([]pair, o.Rounds)
		for i := range pairs {
			if pairs[i].reference, err = o.measureRelay(ctx, "1 channel, sync "+sync, sync, pace, receiver, 1); err != nil {
				return err
			}
			if pairs[i].relay, err = o.measureRelay(ctx, "channels "+where, sync, pace, receiver, o.ManyChannels); err != nil {
				return err
			}
			o.say("channels %s, round %d of %d: %s/s, over one channel %s/s", where, i+1, o.Rounds,
				number(pairs[i].relay.deliveredRate), number(pairs[i].reference.deliveredRate))
		}
		f := Figure{Scenario: "channels", Case: where, Against: "1 channel"}
		r.add(f.of("delivered", "/s", pairs, func(o outcome) float64 { return o.deliveredRate }), &goal{ofRatio: true, atLeast: true, value: 0.8})
		r.add(f.of("processor time a message", "µs", pairs, microseconds), nil)
		r.add(f.of("out of order", "", pairs, func(o outcome) float64 { return float64(o.disorder) }), &goal{})
	}
	return nil
}
