package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// DeadLetter is a message that will not be tried again by itself, with the attempt that
// decided so.
type DeadLetter struct {
	Message relay.Message `json:"message"`
	Attempt relay.Attempt `json:"attempt"`
	DiedAt  time.Time     `json:"diedAt"`
}

// Bury stores a dead letter. It comes before the attempt's append, so that a crash between
// the two leaves a copy too many rather than none; the later one counts.
func (l *Log) Bury(ctx context.Context, d DeadLetter) error {
	data, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encoding dead letter %s: %w", d.Message.ID, err)
	}
	_, err = l.burials.append(ctx, &nats.Msg{
		Subject: deadSubject(d.Message.Destination),
		Data:    data,
		// One death is buried once, however often it is asked for; after a replay the message
		// may die another.
		Header: nats.Header{jetstream.MsgIDHeader: {
			fmt.Sprintf("%s@%d/%d", d.Message.ID, d.Attempt.Position, d.Attempt.StartedAt.UnixNano()),
		}},
	}, nil)
	if err != nil {
		return fmt.Errorf("burying message %s: %w", d.Message.ID, err)
	}
	return nil
}

// DeadFilter selects dead letters; zero fields match all.
type DeadFilter struct {
	Destination relay.Destination
	ChannelID   int64
	Channels    []int64 // any of these; empty means all
	Reason      relay.Reason
	Since       time.Time // died at or after
	Until       time.Time // died before
	Limit       int       // default 50
	Cursor      string    // DeadPage.Next of the page before
}

func (f DeadFilter) matches(d *DeadLetter) bool {
	return (f.ChannelID == 0 || f.ChannelID == d.Message.ChannelID) &&
		(len(f.Channels) == 0 || slices.Contains(f.Channels, d.Message.ChannelID)) &&
		(f.Reason == "" || f.Reason == d.Attempt.Reason) &&
		(f.Since.IsZero() || !d.DiedAt.Before(f.Since)) &&
		(f.Until.IsZero() || d.DiedAt.Before(f.Until))
}

// DeadPage is a page of dead letters, oldest first.
type DeadPage struct {
	Items []DeadLetter
	Next  string // cursor of the next page; empty on the last
}

// Dead lists dead letters, oldest first: the order in which a replay should send them.
func (l *Log) Dead(ctx context.Context, f DeadFilter) (DeadPage, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	var after uint64
	if f.Cursor != "" {
		var err error
		if after, err = strconv.ParseUint(f.Cursor, 10, 64); err != nil {
			return DeadPage{}, fmt.Errorf("%w: %q", ErrBadCursor, f.Cursor)
		}
	}
	var page DeadPage
	var last uint64
	shown := map[place]int{} // a message that died again, or a crash while burying, leaves two of one
	r := scanRange{filter: deadSubject(f.Destination), after: after}
	err := scan(ctx, l.dead, r, func(m jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
		var d DeadLetter
		if err := json.Unmarshal(m.Data(), &d); err != nil {
			return false, fmt.Errorf("decoding dead letter %d: %w", meta.Sequence.Stream, err)
		}
		at := place{d.Attempt.Shard, d.Attempt.Position}
		if !f.matches(&d) {
			return true, nil
		}
		if i, again := shown[at]; again {
			page.Items[i] = d // the later word counts
			return true, nil
		}
		if len(page.Items) == f.Limit {
			page.Next = strconv.FormatUint(last, 10)
			return false, nil
		}
		last = meta.Sequence.Stream
		shown[at] = len(page.Items)
		page.Items = append(page.Items, d)
		return true, nil
	})
	return page, err
}

// findDead returns a dead letter and every sequence at which it is kept.
func (l *Log) findDead(ctx context.Context, id relay.ID) (DeadLetter, []uint64, error) {
	places, err := l.graves.find(ctx, l.dead, id)
	if err != nil {
		return DeadLetter{}, nil, err
	}
	var found DeadLetter
	var seqs []uint64
	for _, seq := range places {
		raw, err := l.record(ctx, l.dead, deadStream, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // replayed or discarded since
		}
		if err != nil {
			return DeadLetter{}, nil, fmt.Errorf("reading dead letter %d: %w", seq, err)
		}
		var d DeadLetter
		if err := json.Unmarshal(raw.Data, &d); err != nil {
			return DeadLetter{}, nil, fmt.Errorf("decoding dead letter %d: %w", seq, err)
		}
		if d.Message.ID == id {
			found, seqs = d, append(seqs, seq) // the later word counts
		}
	}
	if len(seqs) == 0 {
		return DeadLetter{}, nil, fmt.Errorf("dead letter %s: %w", id, ErrNotFound)
	}
	return found, seqs, nil
}

// FindDead reads one dead letter.
func (l *Log) FindDead(ctx context.Context, id relay.ID) (DeadLetter, error) {
	d, _, err := l.findDead(ctx, id)
	return d, err
}

// ReplayDead appends a dead letter to the message log again, under its own id, with a new
// acceptance time and all its attempts before it. Crash order: the append, then the record
// that says where it went, then the removal from the box; after a crash in between, replaying
// once more within the idempotency window appends nothing twice.
func (l *Log) ReplayDead(ctx context.Context, id relay.ID, by string) (Receipt, error) {
	d, seqs, err := l.findDead(ctx, id)
	if err != nil {
		return Receipt{}, err
	}
	m := d.Message
	m.AcceptedAt = time.Time{}
	m.ReplayedBy = by
	receipt, err := l.Append(ctx, &m, fmt.Sprintf("replay:%s@%d/%d", id, d.Attempt.Position, d.DiedAt.UnixNano()))
	if err != nil {
		return Receipt{}, err
	}
	receipt.ID = id
	a := deed(&d, relay.Replayed, by)
	a.MovedTo = receipt.Position
	if err := l.recordDeed(ctx, a); err != nil {
		return Receipt{}, err
	}
	return receipt, l.exhume(ctx, seqs)
}

// DiscardDead removes a dead letter for good and writes into the attempt log who did it.
// Crash order: the record, then the removal.
func (l *Log) DiscardDead(ctx context.Context, id relay.ID, by string) error {
	d, seqs, err := l.findDead(ctx, id)
	if err != nil {
		return err
	}
	a := deed(&d, relay.Dead, by)
	a.Reason = relay.ReasonDiscarded
	if err := l.recordDeed(ctx, a); err != nil {
		return err
	}
	return l.exhume(ctx, seqs)
}

// deed is the record of what an operator did to a dead letter.
func deed(d *DeadLetter, o relay.Outcome, by string) relay.Attempt {
	a := d.Attempt
	return relay.Attempt{
		MessageID: a.MessageID, Shard: a.Shard, Position: a.Position, Destination: a.Destination,
		Conversation: a.Conversation, ChannelID: a.ChannelID, Number: a.Number,
		Outcome: o, By: by, StartedAt: time.Now().UTC(),
	}
}

func (l *Log) recordDeed(ctx context.Context, a relay.Attempt) error {
	if _, err := l.appendAttempts(ctx, []relay.Attempt{a}, func(uint64, relay.Attempt) {}); err != nil {
		return fmt.Errorf("recording who did this to message %s: %w", a.MessageID, err)
	}
	return nil
}

func (l *Log) exhume(ctx context.Context, seqs []uint64) error {
	for _, seq := range seqs {
		if err := l.dead.DeleteMsg(ctx, seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			return fmt.Errorf("removing a dead letter: %w", err)
		}
	}
	return nil
}
