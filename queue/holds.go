package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"omnirelay/queue/mirror"
	"omnirelay/relay"
)

// Hold is an operator's pause of a destination: it goes on accepting, nothing is sent. The
// record outlives the hold, because time on hold does not count towards a message's age.
type Hold struct {
	Destination relay.Destination `json:"destination"`
	Held        bool              `json:"held"`
	Since       time.Time         `json:"since,omitzero"` // with Held
	By          string            `json:"by"`             // who changed it last
	Why         string            `json:"why,omitempty"`
	Past        []Span            `json:"past,omitempty"` // earlier holds, oldest first
}

// Span is a stretch of time.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// pastMost bounds the earlier holds that are remembered for a destination.
const pastMost = 64

// Holds is the record of all holds, shared by all instances.
type Holds struct {
	mirror *mirror.Mirror[Hold]
}

// OpenHolds opens the record.
func (l *Log) OpenHolds(ctx context.Context) (*Holds, error) {
	m, err := mirror.Open(ctx, l.js, mirror.Options[Hold]{
		Bucket:      "RELAY_HOLDS",
		Description: "omnirelay: destinations that an operator paused",
		Replicas:    l.o.Replicas,
		Encode:      encodeJSON[Hold],
		Decode:      decodeJSON[Hold],
		Flush:       l.o.Flush,
		Log:         l.o.Log,
	})
	if err != nil {
		return nil, err
	}
	return &Holds{mirror: m}, nil
}

// Close stops following the record.
func (h *Holds) Close() { h.mirror.Close() }

// Subscribe has f called after every change, whoever made it.
func (h *Holds) Subscribe(f func(relay.Destination)) (cancel func()) {
	return h.mirror.Subscribe(func(key string) { f(relay.Destination(key)) })
}

// Held reports whether a destination is on hold.
func (h *Holds) Held(d relay.Destination) bool {
	hold, err := h.mirror.Get(string(d))
	return err == nil && hold.Held
}

// Get returns a destination's record; the zero Hold when it never was on hold.
func (h *Holds) Get(d relay.Destination) Hold {
	hold, err := h.mirror.Get(string(d))
	if err != nil {
		return Hold{Destination: d}
	}
	return hold
}

// List returns the destinations on hold, by name.
func (h *Holds) List() []Hold {
	var list []Hold
	for _, hold := range h.mirror.All() {
		if hold.Held {
			list = append(list, hold)
		}
	}
	slices.SortFunc(list, func(a, b Hold) int { return strings.Compare(string(a.Destination), string(b.Destination)) })
	return list
}

// HeldSince is for how much of the time since t a destination was on hold.
func (h *Holds) HeldSince(d relay.Destination, t time.Time) time.Duration {
	hold, err := h.mirror.Get(string(d))
	if err != nil {
		return 0
	}
	var sum time.Duration
	for _, s := range hold.Past {
		if from := latest(s.From, t); s.To.After(from) {
			sum += s.To.Sub(from)
		}
	}
	if hold.Held {
		sum += max(0, time.Since(latest(hold.Since, t)))
	}
	return sum
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Hold pauses a destination. One that is on hold already keeps its beginning.
func (h *Holds) Hold(ctx context.Context, d relay.Destination, by, why string) error {
	fresh := Hold{Destination: d, Held: true, Since: time.Now().UTC(), By: by, Why: why}
	_, err := h.mirror.Modify(ctx, string(d), func(old Hold) (Hold, error) {
		if old.Held {
			fresh.Since = old.Since
		}
		fresh.Past = old.Past
		return fresh, nil
	})
	if errors.Is(err, mirror.ErrNotFound) {
		err = h.mirror.Create(ctx, string(d), fresh)
		if errors.Is(err, mirror.ErrExists) {
			return h.Hold(ctx, d, by, why)
		}
	}
	if err != nil {
		return fmt.Errorf("holding %s: %w", d, err)
	}
	return nil
}

// Resume ends a hold; ErrNotFound when there is none.
func (h *Holds) Resume(ctx context.Context, d relay.Destination, by string) error {
	_, err := h.mirror.Modify(ctx, string(d), func(old Hold) (Hold, error) {
		if !old.Held {
			return old, mirror.ErrNotFound
		}
		past := append(slices.Clone(old.Past), Span{From: old.Since, To: time.Now().UTC()})
		past = past[max(0, len(past)-pastMost):]
		return Hold{Destination: d, By: by, Past: past}, nil
	})
	if errors.Is(err, mirror.ErrNotFound) {
		return fmt.Errorf("%s is not on hold: %w", d, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("resuming %s: %w", d, err)
	}
	return nil
}
