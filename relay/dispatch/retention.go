package dispatch

import (
	"context"
	"maps"
	"time"

	"omnirelay/queue"
	"omnirelay/relay"
)

const (
	// retainEvery is how often an owner looks whether its log needs less history, and
	// retainIdle how often it does while nothing comes in.
	retainEvery = 5 * time.Second
	retainIdle  = time.Minute
)

// retainLater plans the next look, after a time.
func (w *Owner) retainLater(after time.Duration) {
	w.timers.add(time.Now().Add(after), func() {
		if w.stopping {
			return
		}
		last := w.state.messages
		w.background(func() func() {
			ctx, cancel := context.WithTimeout(w.chores, 10*time.Second)
			defer cancel()
			due, err := w.retention.Due(ctx, last)
			return func() {
				if err != nil {
					w.log.Debug().Err(err).Msg("looking at the log's size failed; trying again")
				}
				switch {
				case due:
					w.retain()
				case w.state.messages == last:
					w.retainLater(min(2*after, retainIdle))
				default:
					w.retainLater(retainEvery)
				}
			}
		})
	})
}

// retain saves the state and then purges what it says is settled. In this order a restart
// never needs what was purged: neither a message that it would take for open, nor a record
// that would have told it.
func (w *Owner) retain() {
	if w.stopping {
		return
	}
	// A replay is about to open messages again that are settled now.
	if w.saving || w.reopening() {
		w.retainLater(retainEvery)
		return
	}
	s := w.settled()
	w.retaining = true
	w.saveInBackground(func(ctx context.Context) {
		if err := w.retention.Run(ctx, s); err != nil && w.chores.Err() == nil {
			w.log.Warn().Err(err).Msg("history stays longer than it should; trying again")
		}
	}, func() {
		w.retaining = false
		w.retainLater(retainEvery)
		for _, d := range w.dests {
			if d.replay != "" {
				d.pump()
			}
		}
	})
}

func (w *Owner) reopening() bool {
	for d := range maps.Values(w.dests) {
		if d.replay != "" {
			return true
		}
	}
	return false
}

// settled is what the state says may be purged.
func (w *Owner) settled() queue.Settled {
	s := queue.Settled{
		Messages: w.state.messages,
		Attempts: w.state.attempts,
		Floor:    w.state.Floor(),
		Oldest:   make(map[relay.Destination]relay.Position, len(w.state.open)),
		Open:     make(map[relay.Destination]uint64, len(w.state.open)),
	}
	for d, set := range w.state.open {
		s.Oldest[d], s.Open[d] = set.Minimum(), set.GetCardinality()
	}
	return s
}
