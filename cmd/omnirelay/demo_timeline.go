package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

// timeline prints what happens in the relay, as it tells it, and knows what became of each
// message.
type timeline struct {
	began time.Time
	say   func(text string, args ...any) error
	ended chan struct{}

	// Of the goroutine that prints.
	told  map[relay.ID]bool
	early map[relay.ID][]*relay.Attempt // that overtook the acceptance of their message

	mu      sync.Mutex
	last    map[relay.ID]relay.Attempt
	failed  int           // attempts that came to nothing so far
	arrived int           // deliveries to customers so far
	news    chan struct{} // closed at the next attempt, and made anew
}

// follow starts to print, until the tail ends.
func follow(tail *client.Tail, say func(string, ...any) error) *timeline {
	l := &timeline{
		began: time.Now(), say: say, ended: make(chan struct{}), news: make(chan struct{}),
		told: map[relay.ID]bool{}, early: map[relay.ID][]*relay.Attempt{}, last: map[relay.ID]relay.Attempt{},
	}
	go func() {
		defer close(l.ended)
		for {
			e, err := tail.Next()
			if err != nil || l.take(e) != nil {
				return
			}
		}
	}()
	return l
}

// wait waits until nothing is printed any more.
func (l *timeline) wait() { <-l.ended }

// take prints an event and remembers it. A message's acceptance is printed first, though an
// attempt may be told of before it.
func (l *timeline) take(e client.Event) error {
	if t := e.Attempt; t != nil {
		if !l.told[t.MessageID] {
			l.early[t.MessageID] = append(l.early[t.MessageID], t)
			return nil
		}
		return l.attempt(t)
	}
	m := e.Message
	if m == nil {
		return nil
	}
	l.told[m.ID] = true
	if err := l.print(m.AcceptedAt, senderOf(m)+" → relay", "%s", sayingOf(m)); err != nil {
		return err
	}
	for _, t := range l.early[m.ID] {
		if err := l.attempt(t); err != nil {
			return err
		}
	}
	delete(l.early, m.ID)
	return nil
}

// attempt prints and remembers an attempt.
func (l *timeline) attempt(t *relay.Attempt) error {
	if err := l.print(t.StartedAt.Add(time.Duration(t.Duration)), "relay → "+receiverOf(t), "%s", outcomeOf(t)); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[t.MessageID] = *t
	switch {
	case t.Outcome != relay.Delivered:
		l.failed++
	case t.Destination != relay.Helpdesk:
		l.arrived++
	}
	close(l.news)
	l.news = make(chan struct{})
	return nil
}

func (l *timeline) print(at time.Time, way, text string, args ...any) error {
	return l.say("%7.3f  %-21s  %s\n", max(at.Sub(l.began), 0).Seconds(), way, fmt.Sprintf(text, args...))
}

// until waits for a state of things; holds is asked at each attempt, with the lock held.
func (l *timeline) until(ctx context.Context, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		l.mu.Lock()
		done, news := holds(), l.news
		l.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-news:
		case <-l.ended:
			return fmt.Errorf("following the demo's relay: %w", client.ErrTailEnded)
		case <-ctx.Done():
			return fmt.Errorf("waiting for the demo's messages: %w", ctx.Err())
		}
	}
}

// settled waits until messages are delivered or dead, and returns the last one's attempt.
func (l *timeline) settled(ctx context.Context, ids ...relay.ID) (last relay.Attempt, err error) {
	err = l.until(ctx, func() bool {
		for _, id := range ids {
			if last = l.last[id]; !last.Outcome.Final() {
				return false
			}
		}
		return true
	})
	return last, err
}

// soFar is how many deliveries to customers there were.
func (l *timeline) soFar() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.arrived
}

// fails waits for so many more attempts that come to nothing.
func (l *timeline) fails(ctx context.Context, n int) error {
	l.mu.Lock()
	enough := l.failed + n
	l.mu.Unlock()
	return l.until(ctx, func() bool { return l.failed >= enough })
}

func senderOf(m *client.Message) string {
	if m.Direction == relay.Inbound {
		return "customer"
	}
	return "agent"
}

func sayingOf(m *client.Message) string {
	if m.Text != "" {
		return fmt.Sprintf("%q", plain(m.Text, 60))
	}
	return m.Type
}

func receiverOf(t *relay.Attempt) string {
	switch {
	case t.Destination == relay.Helpdesk:
		return "helpdesk"
	case t.Destination.Chat():
		return "chat server"
	}
	return "app"
}

// outcomeOf says how an attempt ended.
func outcomeOf(t *relay.Attempt) string {
	what := string(t.Reason)
	if t.Status != 0 {
		what = fmt.Sprintf("%s, %d", what, t.Status)
	}
	switch {
	case t.Outcome == relay.Retry:
		return fmt.Sprintf("failed (%s), again in %s", what, t.NextAt.Sub(t.StartedAt).Round(time.Millisecond))
	case t.Outcome == relay.Delivered && t.TicketID != 0:
		return fmt.Sprintf("delivered, ticket %d", t.TicketID)
	case t.Outcome == relay.Delivered:
		return "delivered"
	}
	return fmt.Sprintf("%s (%s)", t.Outcome, what)
}
