package dispatch

import (
	"context"
	"errors"
	"time"

	"omnirelay/queue"
	"omnirelay/relay"
)

// background runs f beside the loop and what it returns on the loop. An owner does not stop
// before all of these have ended.
func (w *Owner) background(f func() func()) {
	w.underway++
	w.crew.run(func() {
		done := f()
		w.mail.post(func() {
			w.underway--
			done()
		})
	})
}

// load reads positions of the log in the background and hands them to done on the loop, up
// to the first that could not be read just now or with which they have budget bytes.
func (w *Owner) load(positions []relay.Position, budget int64, done func([]loaded)) {
	w.background(func() func() {
		select {
		case w.loads <- struct{}{}:
			defer func() { <-w.loads }()
		case <-w.work.Done():
			return func() {}
		}
		got := make([]loaded, 0, len(positions))
		for _, pos := range positions {
			e, err := w.o.Log.Load(w.work, w.shard, pos)
			got = append(got, loaded{pos: pos, entry: &e, err: err})
			if budget -= int64(e.Size); transient(err) || budget <= 0 {
				break
			}
		}
		return func() { done(got) }
	})
}

// bury stores a dead letter, for as long as it takes, and then runs done on the loop.
func (w *Owner) bury(d queue.DeadLetter, done func()) {
	w.background(func() func() {
		for {
			ctx, cancel := context.WithTimeout(w.work, 10*time.Second)
			err := w.o.Log.Bury(ctx, d)
			cancel()
			if err == nil {
				return done
			}
			w.log.Warn().Err(err).Msg("a dead letter cannot be stored yet; trying again")
			select {
			case <-time.After(time.Second):
			case <-w.work.Done():
				return func() {} // nothing is final yet: the next owner settles it
			}
		}
	})
}

// loaded is a message read back from the log, or why it could not be.
type loaded struct {
	pos   relay.Position
	entry *relay.Entry
	err   error
}

// transient reports whether reading again later may succeed.
func transient(err error) bool {
	return err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, queue.ErrUndecodable)
}
