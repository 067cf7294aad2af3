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

// reading is a part of the log that is to be read back.
type reading struct {
	positions []relay.Position
	begin     func() (budget int64)
	done      func([]loaded)
}

// load reads positions of the log in the background and hands them to done on the loop, up
// to the first that could not be read just now or with which they have as many bytes as begin
// allows, which is asked when it is their turn. Few are read at the same time; the others wait
// without a goroutine.
func (w *Owner) load(positions []relay.Position, begin func() (budget int64), done func([]loaded)) {
	w.unread = append(w.unread, reading{positions, begin, done})
	w.loadNext()
}

func (w *Owner) loadNext() {
	for w.loads < loadsMost && len(w.unread) > 0 && !w.stopping {
		r := w.sweep()
		budget := r.begin()
		w.loads++
		w.background(func() func() {
			got := w.readBack(r.positions, budget)
			return func() {
				w.loads--
				r.done(got)
				w.loadNext()
			}
		})
	}
}

// sweep takes the reading whose turn it is: the next one up the log from the last, and from
// the beginning again when there is none. What lies in one block of the log is thus read
// together, however many destinations ask at once.
func (w *Owner) sweep() reading {
	next, lowest := -1, 0
	for i, r := range w.unread {
		if pos := r.positions[0]; pos < w.unread[lowest].positions[0] {
			lowest = i
		}
		if pos := r.positions[0]; pos >= w.swept && (next < 0 || pos < w.unread[next].positions[0]) {
			next = i
		}
	}
	if next < 0 {
		next = lowest
	}
	r := w.unread[next]
	last := len(w.unread) - 1
	w.unread[next], w.unread[last] = w.unread[last], reading{}
	w.unread = w.unread[:last]
	w.swept = r.positions[0]
	return r
}

func (w *Owner) readBack(positions []relay.Position, budget int64) []loaded {
	got := make([]loaded, 0, len(positions))
	for _, e := range w.o.Log.LoadRun(w.work, w.shard, positions, budget) {
		got = append(got, loaded{pos: e.Position, entry: e})
		if budget -= int64(e.Size); budget <= 0 {
			return got
		}
	}
	for _, pos := range positions[len(got):] {
		e, err := w.o.Log.Load(w.work, w.shard, pos)
		got = append(got, loaded{pos: pos, entry: &e, err: err})
		if budget -= int64(e.Size); transient(err) || budget <= 0 {
			break
		}
	}
	return got
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
