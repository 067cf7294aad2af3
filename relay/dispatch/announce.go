package dispatch

import (
	"context"
	"time"

	"omnirelay/relay"
)

// announce tells the observer of an attempt, for as long as that takes, and then runs done on
// the loop. The lane is busy meanwhile, so a conversation's attempts are told of in order.
func (d *destination) announce(e *relay.Entry, a relay.Attempt, done func()) {
	o := d.w.o.Observer
	if o == nil || !o.Wants(e) {
		done()
		return
	}
	w := d.w
	w.background(func() func() {
		for {
			ctx, cancel := context.WithTimeout(w.work, 10*time.Second)
			err := o.Observe(ctx, e, a)
			cancel()
			if err == nil {
				return done
			}
			w.log.Warn().Err(err).Msg("an attempt cannot be told of yet; trying again")
			select {
			case <-time.After(time.Second):
			case <-w.work.Done():
				return func() {} // nothing is recorded yet: the next owner makes the attempt again
			}
		}
	})
}
