package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// Settled is what a shard's owner knows when its snapshot is saved: what may be purged.
type Settled struct {
	Messages relay.Position                       // the message log is folded up to here
	Attempts uint64                               // the attempt log is folded up to here
	Floor    relay.Position                       // below it no message is open
	Oldest   map[relay.Destination]relay.Position // the lowest open position of each destination that has one
	Open     map[relay.Destination]uint64         // how many messages of it are open
}

// Retention removes one shard's history when it has reached its age, and earlier when the
// log runs full: a full log of delivered messages must not refuse new ones. It never removes
// a message that is open. It is used by the shard's owner, from one goroutine at a time.
//
// While everything below the limit is settled, a whole stretch of the log goes at once. Above
// the oldest open message of all it goes destination by destination, so that one that is held
// does not keep everybody's history; each such purge reads the log's index, so they are paced.
type Retention struct {
	log   *Log
	shard int

	pressing   bool      // between highWater and lowWater
	byAge      time.Time // when the age limit was looked at last
	byAttempts time.Time // when the attempt log was purged last
	attempts   uint64    // purged below here
	sweep      []relay.Destination
	swept      time.Time // when sweep was filled last
	limit      relay.Position
	looked     relay.Position // the end of the message log when its size was looked at last
}

const (
	// A message log that is fuller than highWater of its MaxBytes loses history until it is
	// at lowWater.
	highWater = 0.80
	lowWater  = 0.60
	// tightStep is the part of a message log that one round gives up while the disk is low.
	tightStep = 0.10

	// The age limit moves on in steps of a hundredth of the history, at least a minute.
	ageSteps   = 100
	sweepEvery = 10 * time.Minute
	// sweepMost and sweepPause pace the purges by destination: each takes about 0.1 s in a
	// log of a million messages, and nothing can be appended meanwhile.
	sweepMost  = 5
	sweepPause = 500 * time.Millisecond
)

// Retention makes the Retention of one shard.
func (l *Log) Retention(shard int) *Retention { return &Retention{log: l, shard: shard} }

// Due reports whether Run has anything to do now. last is the shard's last message that is
// known of: without a new one the log's size need not be looked at.
func (r *Retention) Due(ctx context.Context, last relay.Position) (bool, error) {
	if r.aged() || len(r.sweep) > 0 || r.log.tight.Load() {
		return true, nil
	}
	if last == r.looked && !r.pressing {
		return false, nil
	}
	u, err := r.usage(ctx)
	if err != nil {
		return false, err
	}
	r.looked = last
	return r.press(u), nil
}

// aged reports whether the age limit is to be looked at again.
func (r *Retention) aged() bool {
	return time.Since(r.byAge) >= max(time.Minute, r.log.o.History/ageSteps)
}

// Run purges what is over the age limit, or more while the log is too full. s must be covered
// by a saved snapshot: a message is purged only when a restart knows without it that it is
// settled.
func (r *Retention) Run(ctx context.Context, s Settled) error {
	u, err := r.usage(ctx)
	if err != nil {
		return err
	}
	if err := r.aim(ctx, u); err != nil {
		return err
	}
	limit := min(r.limit, s.Messages+1)
	if below := min(limit, s.Floor); below > u.first {
		if err := r.log.messages[r.shard].Purge(ctx, jetstream.WithPurgeSequence(below)); err != nil {
			return fmt.Errorf("purging shard %d below %d: %w", r.shard, below, err)
		}
	}
	if limit > s.Floor {
		err = r.sweepSome(ctx, limit, s)
	} else {
		r.sweep = nil
	}
	if err != nil {
		return err
	}
	return r.purgeAttempts(ctx, s.Attempts)
}

// usage is how much of the shard's message log is taken.
type usage struct {
	first, end relay.Position // the log holds positions from first to below end
	bytes      uint64
	most       int64 // bytes that it may hold; 0 or less for no limit
}

func (r *Retention) usage(ctx context.Context) (usage, error) {
	info, err := r.log.messages[r.shard].Info(ctx)
	if err != nil {
		return usage{}, fmt.Errorf("looking at shard %d: %w", r.shard, err)
	}
	return usage{first: max(info.State.FirstSeq, 1), end: info.State.LastSeq + 1, bytes: info.State.Bytes, most: info.Config.MaxBytes}, nil
}

// press reports whether history has to go before its time.
func (r *Retention) press(u usage) bool {
	if u.most > 0 {
		full := float64(u.bytes) / float64(u.most)
		r.pressing = full > highWater || (r.pressing && full > lowWater)
	}
	return r.pressing || (r.log.tight.Load() && u.end > u.first)
}

// aim sets the position below which settled messages go.
func (r *Retention) aim(ctx context.Context, u usage) error {
	if r.aged() {
		limit, err := firstSince(ctx, r.log.messages[r.shard], time.Now().Add(-r.log.o.History))
		if err != nil {
			return fmt.Errorf("looking for the end of shard %d's history: %w", r.shard, err)
		}
		r.limit, r.byAge = max(r.limit, limit), time.Now()
	}
	if !r.press(u) || len(r.sweep) > 0 {
		return nil // or not done with what was aimed at before
	}
	part := 0.0
	if r.pressing {
		part = 1 - lowWater*float64(u.most)/float64(u.bytes)
	}
	if r.log.tight.Load() {
		part = max(part, tightStep)
	}
	// What is settled below the limit is gone already. At least one position, or a log of few
	// large messages would stay as it is.
	base := min(max(r.limit, u.first), u.end)
	r.limit = base + max(1, relay.Position(part*float64(u.end-base)))
	return nil
}

// sweepSome purges settled messages of some destinations, those that have most first.
func (r *Retention) sweepSome(ctx context.Context, limit relay.Position, s Settled) error {
	stream := r.log.messages[r.shard]
	if len(r.sweep) == 0 && (r.pressing || r.log.tight.Load() || time.Since(r.swept) >= sweepEvery) {
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(messageSubjects(r.shard)))
		if err != nil {
			return fmt.Errorf("listing the destinations of shard %d: %w", r.shard, err)
		}
		kept := map[relay.Destination]uint64{}
		for subject, n := range info.State.Subjects {
			kept[messageDestination(subject)] += n
		}
		for d, n := range kept {
			if oldest, open := s.Oldest[d]; n > s.Open[d] && (!open || oldest > s.Floor) {
				r.sweep = append(r.sweep, d)
			}
		}
		slices.SortFunc(r.sweep, func(a, b relay.Destination) int {
			return int(kept[b]-s.Open[b]) - int(kept[a]-s.Open[a])
		})
		r.swept = time.Now()
	}
	for n := range min(sweepMost, len(r.sweep)) {
		if n > 0 {
			select {
			case <-time.After(sweepPause):
			case <-ctx.Done():
				return fmt.Errorf("purging shard %d: %w", r.shard, context.Cause(ctx))
			}
		}
		d := r.sweep[0]
		below := limit
		if oldest, open := s.Oldest[d]; open {
			below = min(below, oldest)
		}
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(destinationSubject(r.shard, d)), jetstream.WithPurgeSequence(below)); err != nil {
			return fmt.Errorf("purging %s below %d: %w", d, below, err)
		}
		r.sweep = r.sweep[1:]
	}
	return nil
}

// purgeAttempts removes the shard's attempts that have reached their age and that the saved
// snapshot covers.
func (r *Retention) purgeAttempts(ctx context.Context, covered uint64) error {
	if r.byAttempts == r.byAge {
		return nil
	}
	below, err := firstSince(ctx, r.log.attempts, time.Now().Add(-r.log.o.History))
	if err != nil {
		return fmt.Errorf("looking for the end of the attempts' history: %w", err)
	}
	r.byAttempts = r.byAge
	if below = min(below, covered+1); below <= max(r.attempts, 1) {
		return nil
	}
	opts := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSequence(below)}
	if r.log.o.Shards > 1 {
		// What the other shards' snapshots cover is theirs to know.
		opts = append(opts, jetstream.WithPurgeSubject(attemptFilter(r.shard, "")))
	}
	if err := r.log.attempts.Purge(ctx, opts...); err != nil {
		return fmt.Errorf("purging the attempts of shard %d: %w", r.shard, err)
	}
	r.attempts = below
	return nil
}

// firstSince is the sequence of the first record of a stream that was stored at or after t;
// the one after the last when there is none.
func firstSince(ctx context.Context, s jetstream.Stream, t time.Time) (uint64, error) {
	// A reader says where it will begin.
	c, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartTimePolicy,
		OptStartTime:      &t,
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return 0, fmt.Errorf("opening a reader: %w", err)
	}
	info := c.CachedInfo()
	if err := s.DeleteConsumer(ctx, info.Name); err != nil {
		return 0, fmt.Errorf("closing a reader: %w", err)
	}
	return info.Delivered.Stream + 1, nil
}
