package dispatch_test

import (
	"errors"
	"fmt"
	"time"

	"omnirelay/relay"
)

// judge compares what the receiver got and what the attempt log says with what must be.
func (m *model) judge() error {
	byID := map[relay.ID][]relay.Attempt{}
	for _, a := range m.records() {
		if a.Outcome == relay.Reopened {
			continue
		}
		byID[a.MessageID] = append(byID[a.MessageID], a)
	}
	seen := map[relay.ID][]sight{}
	for _, s := range m.inbox.sights {
		seen[s.id] = append(seen[s.id], s)
	}
	var errs []error
	for i := range m.accepted {
		a := &m.accepted[i]
		errs = append(errs, m.judgeEnd(a, byID[a.ID], seen[a.ID]), m.judgeRepeats(a, byID[a.ID], seen[a.ID]), m.judgeReplays(a, byID[a.ID], seen[a.ID]))
	}
	return errors.Join(append(errs, m.judgeOrder(byID, seen))...)
}

// judgeEnd: each message ends, visibly, with a reason.
func (m *model) judgeEnd(a *accepted, records []relay.Attempt, seen []sight) error {
	if len(records) == 0 {
		return fmt.Errorf("%s has no record", a.ID)
	}
	last := records[len(records)-1]
	switch {
	case !last.Outcome.Final():
		return fmt.Errorf("%s ended as %s", a.ID, last.Outcome)
	case last.Reason == "":
		return fmt.Errorf("%s ended without a reason", a.ID)
	case last.Outcome == relay.Delivered && len(seen) == 0:
		return fmt.Errorf("%s is recorded as delivered and never arrived", a.ID)
	case last.Outcome == relay.Dead && a.Kind != relay.KindEvent:
		dead, err := m.log.FindDead(m.t.Context(), a.ID)
		if err != nil {
			return fmt.Errorf("%s is dead and not among the dead letters: %w", a.ID, err)
		}
		// After a crash it may be the copy that an earlier owner left.
		if dead.Attempt.Reason != last.Reason && len(m.crashes) == 0 {
			return fmt.Errorf("%s died as %s and is buried as %s", a.ID, last.Reason, dead.Attempt.Reason)
		}
	}
	return nil
}

// covers lists the replays that a message is part of.
func (m *model) covers(a *accepted) (times []time.Time) {
	for _, r := range m.replayed {
		if r.Destination == a.Destination && !a.at.Before(r.Since) && a.at.Before(r.RequestedAt) {
			times = append(times, r.RequestedAt)
		}
	}
	return times
}

// judgeRepeats: a message arrives again only by a replay, or because a crash came before its
// record was stored.
func (m *model) judgeRepeats(a *accepted, records []relay.Attempt, seen []sight) error {
	excused := len(m.covers(a))
	delivered := map[time.Time]int{} // records by the beginning of their attempt
	for _, r := range records {
		if r.Outcome == relay.Delivered {
			delivered[r.StartedAt]++
		}
	}
	for _, s := range seen {
		began := s.began.UTC().Truncate(time.Microsecond)
		if delivered[began] > 0 {
			delivered[began]--
			continue
		}
		crashed := false
		for _, c := range m.crashes {
			// What ended earlier had time to be recorded.
			crashed = crashed || !s.began.After(c) && (c.Sub(s.over) < 100*time.Millisecond || m.stalls.cover(s.over, c))
		}
		if !crashed {
			return fmt.Errorf("%s arrived at %s, which is not recorded", a.ID, s.over)
		}
		excused++
	}
	if len(seen) > 1+excused {
		return fmt.Errorf("%s of channel %d, accepted at %s, arrived %d times, %d of them excused: %v; records: %+v",
			a.ID, a.ChannelID, a.at, len(seen), excused, seen, records)
	}
	return nil
}

// judgeReplays: what a replay covers is delivered or dies once more after it was asked for.
func (m *model) judgeReplays(a *accepted, records []relay.Attempt, seen []sight) error {
	for _, asked := range m.covers(a) {
		again := false
		for _, s := range seen {
			again = again || !s.over.Before(asked)
		}
		for _, r := range records {
			again = again || r.Outcome == relay.Dead && !r.StartedAt.Before(asked.Truncate(time.Microsecond))
		}
		if !again {
			return fmt.Errorf("%s of channel %d, accepted at %s, was not replayed at %s: %v; records: %+v",
				a.ID, a.ChannelID, a.at, asked, seen, records)
		}
	}
	return nil
}

// judgeOrder: the first sights of a conversation are in the order of acceptance; only what
// is dead is passed over.
func (m *model) judgeOrder(byID map[relay.ID][]relay.Attempt, seen map[relay.ID][]sight) error {
	first := func(id relay.ID) time.Time {
		if s := seen[id]; len(s) > 0 {
			return s[0].began
		}
		return time.Time{}
	}
	deadBefore := func(id relay.ID, t time.Time) bool {
		for _, r := range byID[id] {
			if r.Outcome == relay.Dead && !r.StartedAt.After(t) {
				return true
			}
		}
		return false
	}
	type conversation struct {
		d    relay.Destination
		name string
	}
	lanes := map[conversation][]*accepted{}
	for i := range m.accepted {
		a := &m.accepted[i]
		c := conversation{a.Destination, a.Conversation}
		for _, earlier := range lanes[c] {
			if earlier.Kind == relay.KindEvent && len(m.crashes) > 0 {
				continue // superseded, which a crash may forget
			}
			if at := first(a.ID); !at.IsZero() && !deadBefore(earlier.ID, at) {
				if before := first(earlier.ID); before.IsZero() || m.index(earlier.ID) > m.index(a.ID) {
					return fmt.Errorf("%s %s: %s (%q) arrived at %s before %s (%q), which was not dead",
						c.d, c.name, a.ID, a.Text, at, earlier.ID, earlier.Text)
				}
			}
		}
		lanes[c] = append(lanes[c], a)
	}
	return nil
}

// index is a message's place among all first sights.
func (m *model) index(id relay.ID) int {
	for i, s := range m.inbox.sights {
		if s.id == id {
			return i
		}
	}
	return len(m.inbox.sights)
}
