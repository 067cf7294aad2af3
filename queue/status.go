package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// State is where a message stands. It is derived from the logs on each question, by
// any instance, and stored nowhere.
type State string

// The states.
const (
	StateQueued    State = "queued"    // accepted; no attempt has ended yet
	StateRetrying  State = "retrying"  // failed; will be tried again at NextAt
	StateDelivered State = "delivered" // final
	StateDead      State = "dead"      // final; the last attempt's reason says why
)

// Status is what became of a message so far.
type Status struct {
	Entry    relay.Entry
	State    State
	NextAt   time.Time       // of the next attempt, with StateRetrying
	Attempts []relay.Attempt // oldest first
	// AttemptsTruncated says that the attempt log was too long to be read to its end, so that
	// later attempts may be missing.
	AttemptsTruncated bool

	moved relay.Position // where a replay appended it again; 0 when none did
}

// Final reports whether no attempt will follow by itself.
func (s State) Final() bool { return s == StateDelivered || s == StateDead }

func (s *Status) add(a relay.Attempt) {
	s.Attempts = append(s.Attempts, a)
	switch a.Outcome {
	case relay.Delivered:
		s.State = StateDelivered
	case relay.Dead:
		s.State = StateDead
	case relay.Retry:
		s.State = StateRetrying
	case relay.Replayed:
		s.State, s.moved = StateQueued, a.MovedTo
	}
	s.NextAt = a.NextAt
}

const (
	// findSlack is how much later than its id a message may have been stored.
	findSlack = time.Minute
	// historyMost bounds the records that one question reads.
	historyMost = 300_000
)

// Find tells what became of a message; ErrNotFound when its history has ended or it never
// was. For a dead letter that was replayed it tells the whole story, and Entry is the
// message's last place. A dead letter is found for as long as it is kept, with the attempt
// that decided so at least.
func (l *Log) Find(ctx context.Context, id relay.ID) (Status, error) {
	if id.Time().IsZero() {
		return Status{}, fmt.Errorf("message %s: %w", id, ErrNotFound)
	}
	for _, find := range []func(context.Context, relay.ID) (Status, error){l.findMessage, l.findReplayed, l.findScheduled, l.findBuried} {
		s, err := find(ctx, id)
		if !errors.Is(err, ErrNotFound) {
			return s, err
		}
	}
	return Status{}, fmt.Errorf("message %s: %w", id, ErrNotFound)
}

// findMessage finds a message at the place where it was accepted.
func (l *Log) findMessage(ctx context.Context, id relay.ID) (Status, error) {
	for shard := range l.messages {
		e, err := l.locate(ctx, shard, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return Status{}, err
		}
		if e.ReplayedBy != "" {
			return Status{}, ErrNotFound // its story began elsewhere
		}
		return l.statusOf(ctx, e)
	}
	return Status{}, ErrNotFound
}

func (l *Log) statusOf(ctx context.Context, e relay.Entry) (Status, error) {
	s := Status{Entry: e, State: StateQueued}
	if err := l.trace(ctx, []*Status{&s}, StateDelivered); err != nil {
		return Status{}, err
	}
	if s.moved == 0 {
		return s, nil
	}
	moved, err := l.Load(ctx, e.Shard, s.moved)
	switch {
	case err == nil:
		s.Entry = moved
	case !errors.Is(err, ErrNotFound):
		return Status{}, err
	}
	return s, nil
}

// findReplayed finds a dead letter whose first place has been purged, by the record of its
// first replay.
func (l *Log) findReplayed(ctx context.Context, id relay.ID) (Status, error) {
	e := relay.Entry{Message: relay.Message{ID: id, AcceptedAt: id.Time()}}
	r := scanRange{filter: "relay.attempt.*.*." + string(relay.Replayed), since: id.Time()}
	err := scan(ctx, l.attempts, r, func(m jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
		a, err := decodeAttempt(m.Data())
		if err != nil {
			return false, fmt.Errorf("decoding attempt %d: %w", meta.Sequence.Stream, err)
		}
		if a.MessageID != id {
			return true, nil
		}
		e.Destination, e.Shard, e.Position = a.Destination, a.Shard, a.Position
		return false, nil
	})
	if err != nil {
		return Status{}, err
	}
	if e.Position == 0 {
		return Status{}, ErrNotFound
	}
	s, err := l.statusOf(ctx, e)
	if err == nil && s.Entry.Position == e.Position {
		err = ErrNotFound // its new place has been purged as well
	}
	return s, err
}

// findBuried finds a dead letter whose place in the log has been purged.
func (l *Log) findBuried(ctx context.Context, id relay.ID) (Status, error) {
	d, _, err := l.findDead(ctx, id)
	if err != nil {
		return Status{}, err
	}
	s, err := l.statusOf(ctx, relay.Entry{Message: d.Message, Shard: d.Attempt.Shard, Position: d.Attempt.Position})
	if err == nil && len(s.Attempts) == 0 {
		s.add(d.Attempt)
	}
	return s, err
}

// locate finds a message in a shard by the time in its id: no index is kept.
func (l *Log) locate(ctx context.Context, shard int, id relay.ID) (found relay.Entry, err error) {
	// A second of slack for clocks that differ between the relay and its store.
	since := id.Time().Add(-time.Second)
	until := since.Add(findSlack)
	err = scan(ctx, l.messages[shard], scanRange{since: since}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
		if meta.Timestamp.After(until) {
			return false, nil
		}
		// Cheaper than decoding each; an id cannot occur by chance.
		if !bytes.Contains(m.Data(), []byte(id)) {
			return true, nil
		}
		e, err := Record{Shard: shard, Position: meta.Sequence.Stream, Data: m.Data()}.Entry()
		if err != nil || e.ID != id {
			return true, nil //nolint:nilerr // what cannot be decoded is not the one that is looked for
		}
		found = *e
		return false, nil
	})
	if err == nil && found.ID == "" {
		err = fmt.Errorf("message %s: %w", id, ErrNotFound)
	}
	return found, err
}

// place is where a message is in the logs.
type place struct {
	shard int
	pos   relay.Position
}

// trace reads the attempts of the given messages into them, of each until it is in one of the
// states of end and no replay follows.
func (l *Log) trace(ctx context.Context, list []*Status, end ...State) error {
	type lookup struct {
		since time.Time
		want  map[place]*Status
	}
	byFilter := map[string]*lookup{}
	for _, s := range list {
		filter := attemptFilter(s.Entry.Shard, s.Entry.Destination)
		u := byFilter[filter]
		if u == nil {
			u = &lookup{since: s.Entry.AcceptedAt, want: map[place]*Status{}}
			byFilter[filter] = u
		}
		if s.Entry.AcceptedAt.Before(u.since) {
			u.since = s.Entry.AcceptedAt
		}
		u.want[place{s.Entry.Shard, s.Entry.Position}] = s
	}
	for filter, u := range byFilter {
		if err := l.traceIn(ctx, filter, u.since.Add(-time.Second), u.want, end); err != nil {
			return err
		}
	}
	return nil
}

// traceIn reads the attempts that a filter matches until every wanted message is in an end
// state.
func (l *Log) traceIn(ctx context.Context, filter string, since time.Time, want map[place]*Status, end []State) error {
	again, err := l.lastDeed(ctx, filter)
	if err != nil {
		return err
	}
	unsettled := len(want)
	read := 0
	wanted := map[relay.ID]bool{}
	for _, s := range want {
		wanted[s.Entry.ID] = true
	}
	// A replayed dead letter may be sent before the record that says where it went is stored.
	early := map[place][]relay.Attempt{}
	return scan(ctx, l.attempts, scanRange{filter: filter, since: since}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
		if read++; read > historyMost {
			for _, s := range want {
				s.AttemptsTruncated = !s.State.Final()
			}
			return false, nil
		}
		a, err := decodeAttempt(m.Data())
		if err != nil {
			return false, fmt.Errorf("decoding attempt %d: %w", meta.Sequence.Stream, err)
		}
		if a.Outcome == relay.Reopened {
			n, err := reopened(&a, want, end)
			unsettled += n
			return true, err
		}
		at := place{a.Shard, a.Position}
		s := want[at]
		if s == nil && wanted[a.MessageID] {
			early[at] = append(early[at], a)
		}
		if s != nil {
			before := slices.Contains(end, s.State)
			s.add(a)
			if to := (place{a.Shard, a.MovedTo}); a.Outcome == relay.Replayed && want[to] == nil {
				want[to] = s
				for _, a := range early[to] {
					s.add(a)
				}
			}
			switch after := slices.Contains(end, s.State); {
			case after && !before:
				unsettled--
			case before && !after:
				unsettled++
			}
		}
		// Behind the last deed of an operator a settled message has no more attempts.
		return unsettled > 0 || meta.Sequence.Stream < again, nil
	})
}

// reopened has the settled ones of the wanted messages that a replay covers wait again, and
// reports how many of these were in an end state.
func reopened(a *relay.Attempt, want map[place]*Status, end []State) (n int, err error) {
	set := roaring64.New()
	if err := set.UnmarshalBinary(a.Positions); err != nil {
		return 0, fmt.Errorf("decoding replay %s: %w", a.Replay, err)
	}
	for p, s := range want {
		if p.shard == a.Shard && s.State.Final() && set.Contains(p.pos) {
			if slices.Contains(end, s.State) {
				n++
			}
			s.State = StateQueued
		}
	}
	return n, nil
}

// lastDeed is the sequence of the last replay that the filter's destination saw; 0 for none.
func (l *Log) lastDeed(ctx context.Context, filter string) (last uint64, err error) {
	for _, outcome := range []relay.Outcome{relay.Reopened, relay.Replayed} {
		m, err := l.attempts.GetLastMsgForSubject(ctx, strings.TrimSuffix(filter, "*")+string(outcome))
		switch {
		case err == nil:
			last = max(last, m.Sequence)
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			return 0, fmt.Errorf("looking for replays: %w", err)
		}
	}
	if last == 0 {
		return 0, nil
	}
	// What the replay caused comes after it.
	info, err := l.attempts.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("looking at the attempt log: %w", err)
	}
	return info.State.LastSeq, nil
}
