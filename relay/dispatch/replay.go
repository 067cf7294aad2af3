package dispatch

import (
	"context"
	"math"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"omnirelay/queue"
	"omnirelay/relay"
)

// reopenMost is how many messages one record of the attempt log opens again. A larger replay
// takes several, each with its own place in the log, and goes on after a crash where the
// last of them ended.
const reopenMost = 100_000

// Replay carries out an operator's request for a destination: everything since a time is
// open again and is sent once more, oldest first, under the same ids.
func (w *Owner) Replay(d relay.Destination) {
	w.mail.post(func() {
		req, ok := w.o.Replays.Get(d)
		if !ok || w.stopping {
			return
		}
		dest := w.destination(d)
		dest.replay = req.ID
		dest.reopen()
	})
}

// reopen goes on with a replay as soon as nothing of the destination is in flight: then all
// that has ended is handed to the journal before the record that opens it again.
func (d *destination) reopen() {
	if d.inflight > 0 || d.loading || d.w.stopping || d.w.retaining {
		return // every attempt, read and purge that ends comes by here again
	}
	req, ok := d.w.o.Replays.Get(d.name)
	if !ok || req.ID != d.replay {
		d.replay = ""
		d.pump()
		return
	}
	d.loading = true
	// What is not folded yet, as just after a restart, is part of it: it may be settled.
	after := d.w.state.replays[req.ID]
	d.w.background(func() func() {
		ctx, cancel := context.WithTimeout(d.w.work, 5*time.Minute)
		defer cancel()
		list, err := d.w.o.Log.Positions(ctx, req, after, math.MaxUint64, d.w.o.reopenMost)
		if err != nil || len(list) == 0 {
			return func() { d.endReopen(req, err) }
		}
		data, err := roaring64.BitmapOf(list...).ToBytes()
		if err != nil {
			return func() { d.endReopen(req, err) }
		}
		return func() {
			d.w.record(relay.Attempt{
				Shard: d.w.shard, Destination: d.name, Position: list[len(list)-1],
				Outcome: relay.Reopened, By: req.By, StartedAt: time.Now().UTC(),
				Positions: data, Replay: req.ID,
			})
		}
	})
}

// reopened goes on when the record is in the attempt log and folded. All that ended before is
// folded then, too, so reading everything open from the log again repeats nothing else.
func (w *Owner) reopened(name relay.Destination) {
	d := w.destination(name)
	d.loading = false
	d.rewind()
	d.reopen()
}

func (d *destination) endReopen(req queue.Replay, err error) {
	d.loading = false
	if err != nil {
		d.w.log.Warn().Err(err).Str("destination", string(d.name)).Msg("a replay cannot go on yet; trying again")
		d.later(time.Now().Add(time.Second))
		return
	}
	d.replay = ""
	d.w.log.Info().Str("destination", string(d.name)).Str("by", req.By).Time("since", req.Since).
		Uint64("open", d.backlog).Msg("replay begins")
	d.pump()
	d.w.background(func() func() {
		ctx, cancel := context.WithTimeout(d.w.work, 10*time.Second)
		defer cancel()
		if err := d.w.o.Replays.Done(ctx, req); err != nil {
			d.w.log.Warn().Err(err).Msg("a replay that was carried out is still listed")
			return func() {}
		}
		return func() { d.w.state.endReplay(req.ID) }
	})
}
