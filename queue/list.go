package queue

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// Filter selects messages; zero fields match all.
type Filter struct {
	Destination  relay.Destination
	Direction    relay.Direction
	ChannelID    int64
	Channels     []int64 // any of these; empty means all
	Conversation string
	State        State
	Since        time.Time // accepted at or after
	Until        time.Time // accepted before
	Limit        int       // default 50
	Cursor       string    // Page.Next of the page before
}

func (f *Filter) matches(e *relay.Entry) bool {
	return (f.Destination == "" || f.Destination == e.Destination) &&
		(f.Direction == "" || f.Direction == e.Direction) &&
		(f.ChannelID == 0 || f.ChannelID == e.ChannelID) &&
		(len(f.Channels) == 0 || slices.Contains(f.Channels, e.ChannelID)) &&
		(f.Conversation == "" || f.Conversation == e.Conversation) &&
		(f.Since.IsZero() || !e.AcceptedAt.Before(f.Since)) &&
		(f.Until.IsZero() || e.AcceptedAt.Before(f.Until))
}

// Page is a page of messages, newest first.
type Page struct {
	Items []Status
	Next  string // cursor of the next page; empty on the last
}

// listMost bounds the messages that one page looks at, so that a filter that matches
// nothing answers soon; the page's cursor then goes on from there.
const listMost = 50_000

// List pages through the message log, newest first.
func (l *Log) List(ctx context.Context, f Filter) (Page, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	readers, err := l.backward(ctx, &f)
	if err != nil {
		return Page{}, err
	}
	var page Page
	for looked := 0; len(page.Items) < f.Limit && looked < listMost; {
		// Enough candidates to fill the page if all of them match the state as well.
		var found []*Status
		for len(found) < f.Limit-len(page.Items) && looked < listMost {
			e, ok, err := newest(ctx, readers)
			if err != nil {
				return Page{}, err
			}
			if !ok {
				looked = listMost
				break
			}
			looked++
			if f.matches(&e) {
				found = append(found, &Status{Entry: e, State: StateQueued})
			}
		}
		if err := l.trace(ctx, found, StateDelivered, StateDead); err != nil {
			return Page{}, err
		}
		for _, s := range found {
			if s.moved == 0 && (f.State == "" || f.State == s.State) {
				page.Items = append(page.Items, *s)
			}
		}
	}
	page.Next, err = encodeCursor(readers)
	return page, err
}

// windowAim is how many messages a backward reader wants to find at a time.
const windowAim = 256

// backward reads one shard from its end to its beginning.
type backward struct {
	log    *Log
	shard  int
	filter string
	since  time.Time
	first  relay.Position // of the log
	below  relay.Position // positions from here on are done
	window relay.Position // how many positions to read next
	ready  []relay.Entry  // newest last
	ended  bool           // what is left is older than since
}

func (l *Log) backward(ctx context.Context, f *Filter) ([]*backward, error) {
	below, err := decodeCursor(f.Cursor)
	if err != nil {
		return nil, err
	}
	var readers []*backward
	for shard, s := range l.messages {
		b := &backward{log: l, shard: shard, since: f.Since, window: windowAim}
		d := f.Destination
		if d == "" && f.ChannelID != 0 && f.Direction == relay.Outbound {
			d = relay.ChannelDestination(f.ChannelID)
		}
		if d != "" {
			if l.ShardOf(d) != shard {
				continue
			}
			b.filter = destinationSubject(shard, d)
		}
		info, err := s.Info(ctx)
		if err != nil {
			return nil, fmt.Errorf("looking at shard %d: %w", shard, err)
		}
		b.first, b.below = max(info.State.FirstSeq, 1), info.State.LastSeq+1
		if f.Cursor != "" {
			b.below = min(b.below, below[shard])
		}
		readers = append(readers, b)
	}
	return readers, nil
}

// newest takes the youngest message of all readers.
func newest(ctx context.Context, readers []*backward) (relay.Entry, bool, error) {
	var best *backward
	for _, b := range readers {
		if err := b.fill(ctx); err != nil {
			return relay.Entry{}, false, err
		}
		if len(b.ready) > 0 && (best == nil || cmp.Or(b.last().AcceptedAt.Compare(best.last().AcceptedAt), cmp.Compare(b.shard, best.shard)) > 0) {
			best = b
		}
	}
	if best == nil {
		return relay.Entry{}, false, nil
	}
	e := *best.last()
	best.ready = best.ready[:len(best.ready)-1]
	best.below = e.Position
	return e, true, nil
}

func (b *backward) last() *relay.Entry { return &b.ready[len(b.ready)-1] }

// more reports whether there may be messages that are not read yet.
func (b *backward) more() bool { return b.below > b.first && !b.ended }

// fill reads windows, each larger than the one before, until one holds a message.
func (b *backward) fill(ctx context.Context) error {
	for len(b.ready) == 0 && b.more() {
		from := b.first
		if b.below > b.window {
			from = max(from, b.below-b.window)
		}
		to := b.below
		err := scan(ctx, b.log.messages[b.shard], scanRange{filter: b.filter, after: from - 1}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
			pos := meta.Sequence.Stream
			if pos >= to {
				return false, nil
			}
			e, err := Record{Shard: b.shard, Position: pos, Destination: messageDestination(m.Subject()), Data: m.Data()}.Entry()
			if err == nil { // one that cannot be decoded was reported when it was to be sent
				b.ready = append(b.ready, *e)
			}
			return pos+1 < to, nil
		})
		if err != nil {
			return err
		}
		b.below = from
		// What a window holds is in memory at once: only where little is found may it grow.
		if n := len(b.ready); n < windowAim {
			b.window = min(b.window*4, 1<<16)
		} else if n > 16*windowAim {
			b.window = max(b.window/4, windowAim)
		}
		if n := len(b.ready); n > 0 {
			b.below = b.ready[n-1].Position + 1
			// Messages that arrive together may be stored in another order than they were
			// accepted in.
			b.ended = b.ready[0].AcceptedAt.Before(b.since.Add(-findSlack))
		}
	}
	return nil
}

func encodeCursor(readers []*backward) (string, error) {
	below := map[int]relay.Position{}
	more := false
	for _, b := range readers {
		below[b.shard] = b.below
		more = more || b.more() || len(b.ready) > 0
	}
	if !more {
		return "", nil
	}
	raw, err := json.Marshal(below)
	if err != nil {
		return "", fmt.Errorf("encoding a cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

func decodeCursor(s string) (below map[int]relay.Position, err error) {
	if s == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(raw, &below)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrBadCursor, s)
	}
	return below, nil
}
