package dispatch

import (
	"context"
	"errors"
	"time"

	"omnirelay/queue"
)

// snapshotNow saves the state if it has changed, and plans the next time.
func (w *Owner) snapshotNow() {
	w.timers.add(time.Now().Add(w.o.SnapshotEvery), w.snapshotNow)
	w.o.Metrics.setOpen(w.shard, w.state.OpenInAll())
	if w.stopping || w.saving || (w.state.attempts == w.saved.attempts && w.state.messages == w.saved.messages) {
		return
	}
	w.saveInBackground(func(context.Context) {}, func() {})
}

// saveInBackground saves the state as it is now, unless it is saved already; when that has
// succeeded it runs then beside the loop. done runs on the loop in any case.
func (w *Owner) saveInBackground(then func(context.Context), done func()) {
	covered := struct{ messages, attempts uint64 }{w.state.messages, w.state.attempts}
	if covered == w.saved {
		w.background(func() func() {
			ctx, cancel := context.WithTimeout(w.chores, time.Minute)
			defer cancel()
			then(ctx)
			return done
		})
		return
	}
	snap, err := w.state.freeze()
	if err != nil {
		w.log.Error().Err(err).Msg("the state cannot be saved")
		done()
		return
	}
	w.saving = true
	w.background(func() func() {
		ctx, cancel := context.WithTimeout(w.chores, time.Minute)
		defer cancel()
		data, err := snap.encode()
		if err == nil {
			err = w.o.Log.SaveSnapshot(ctx, w.shard, data)
		}
		if err == nil {
			then(ctx)
		}
		return func() {
			w.saving = false
			switch {
			case err == nil:
				w.saved = covered
			case errors.Is(err, queue.ErrConflict):
				// Whoever has the shard now decides; this owner has stayed too long.
				w.log.Error().Err(err).Msg("giving the shard up")
				w.Abandon()
			case !w.stopping: // finish saves it once more
				w.log.Warn().Err(err).Msg("the state was not saved; a restart would take longer")
			}
			done()
		}
	})
}

func (w *Owner) save(ctx context.Context) error {
	data, err := w.state.Snapshot()
	if err != nil {
		return err
	}
	return w.o.Log.SaveSnapshot(ctx, w.shard, data)
}
