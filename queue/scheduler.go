package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

const (
	// scheduleLook is how often the schedule is looked through although nothing seems due: a
	// clock that was set forward is noticed within it.
	scheduleLook = time.Minute
	// scheduleAgain is the wait after a message could not be appended, as in a full store.
	scheduleAgain = 5 * time.Second
)

// follow keeps what is due in memory up to date with the bucket, whoever changes it.
func (s *Schedule) follow(w jetstream.KeyWatcher) {
	defer func() { _ = w.Stop() }() // it ended with its context
	for e := range w.Updates() {
		if e == nil {
			close(s.ready)
			continue
		}
		id, at, err := parseDueKey(e.Key())
		switch {
		case err != nil:
			s.log.o.Log.Warn().Err(err).Msg("a scheduled message is left out")
		case e.Operation() == jetstream.KeyValuePut:
			s.set(id, at)
		default:
			s.unset(id)
		}
	}
}

// run sends what is due.
func (s *Schedule) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.wake:
		}
		now := time.Now()
		list, next := s.dueBy(now)
		wait := scheduleLook
		if !next.IsZero() {
			wait = min(wait, next.Sub(now))
		}
		for _, id := range list {
			if err := s.send(ctx, id); err != nil {
				if ctx.Err() != nil {
					return
				}
				s.log.o.Log.Warn().Err(err).Str("id", string(id)).Msg("a scheduled message cannot be sent yet; trying again")
				wait = min(wait, scheduleAgain)
			}
		}
		timer.Reset(wait)
	}
}

// send appends one message that is due to the message log. Crash order: the mark that it can
// no longer be cancelled, the append, the record of where it went, the removal. After a crash
// in between, also one that brings a removed record back, any instance does the rest; the
// append is then recognised by its dedupe key.
func (s *Schedule) send(ctx context.Context, id relay.ID) error {
	m, rev, err := s.load(ctx, id)
	if errors.Is(err, ErrNotFound) {
		s.unset(id) // cancelled, or another instance has sent it
		return nil
	}
	if err != nil {
		return err
	}
	if !m.Sending {
		m.Sending = true
		data, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("encoding message %s: %w", id, err)
		}
		_, err = s.kv.Update(ctx, dueKey(id, m.Message.DueAt), data, rev)
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return s.send(ctx, id) // another instance was quicker: see what it did
		}
		if err != nil {
			return storeError(err)
		}
	}
	key := dueKey(id, m.Message.DueAt)
	m.Message.AcceptedAt = time.Time{} // its age counts from now on
	receipt, err := s.log.Append(ctx, &m.Message, "scheduled:"+string(id))
	if err != nil {
		return err
	}
	if err := s.record(ctx, id, done{Shard: receipt.Shard, Position: receipt.Position}); err != nil {
		return err
	}
	if err := s.kv.Delete(ctx, key); err != nil {
		return storeError(err)
	}
	s.unset(id)
	return nil
}

// StateScheduled is where a message stands that waits for its time, NextAt.
const StateScheduled State = "scheduled"

// findScheduled finds a message that waits for its time, was cancelled, or was appended long
// after its id was made, so that the time in the id does not lead to it.
func (l *Log) findScheduled(ctx context.Context, id relay.ID) (Status, error) {
	kv, err := l.js.KeyValue(ctx, scheduleBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return Status{}, ErrNotFound
	}
	if err != nil {
		return Status{}, fmt.Errorf("opening bucket %s: %w", scheduleBucket, err)
	}
	d, err := outcomeOf(ctx, kv, id)
	switch {
	case err == nil && d.Message != nil:
		s := Status{Entry: relay.Entry{Message: *d.Message}}
		s.add(relay.Attempt{
			MessageID: id, Destination: d.Message.Destination, Conversation: d.Message.Conversation, ChannelID: d.Message.ChannelID,
			Outcome: relay.Dead, Reason: relay.ReasonDiscarded, By: d.CancelledBy, StartedAt: d.CancelledAt,
		})
		return s, nil
	case err == nil:
		e, err := l.Load(ctx, d.Shard, d.Position)
		if err != nil {
			return Status{}, err
		}
		return l.statusOf(ctx, e)
	case !errors.Is(err, ErrNotFound):
		return Status{}, err
	}
	keys, err := kv.ListKeysFiltered(ctx, duePrefix+"*."+string(id))
	if err != nil {
		return Status{}, fmt.Errorf("looking for scheduled message %s: %w", id, err)
	}
	defer func() { _ = keys.Stop() }() // it ends with its context at the latest
	key, ok := <-keys.Keys()
	if !ok {
		return Status{}, ErrNotFound
	}
	m, _, err := waiting(ctx, kv, key)
	if err != nil {
		return Status{}, err
	}
	return Status{Entry: relay.Entry{Message: m.Message}, State: StateScheduled, NextAt: m.Message.DueAt}, nil
}
