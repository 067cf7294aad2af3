package crash

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"omnirelay/relay"
)

// Report is what a run showed.
type Report struct {
	Seed     uint64        `json:"seed"`
	Crashes  int           `json:"crashes"` // by kill -9
	Stops    int           `json:"stops"`   // in order
	Took     time.Duration `json:"took"`
	Accepted int           `json:"accepted"`
	// Resent counts messages that their sender sent again for want of an answer; Known are
	// those of them that the relay had stored already.
	Resent int `json:"resent"`
	Known  int `json:"known"`

	Delivered int `json:"delivered"` // messages that got a 2xx
	Retried   int `json:"retried"`   // arrivals after one that got no 2xx
	// Repeated counts arrivals after a 2xx, and Oldest is the longest time between a repeated
	// 2xx and the crash that followed it.
	Repeated int           `json:"repeated"`
	Oldest   time.Duration `json:"oldest"`

	Lost       int `json:"lost"`       // accepted and not delivered
	Twice      int `json:"twice"`      // accepted again under another id
	Disordered int `json:"disordered"` // first seen after a later one of the conversation
	// Unexcused counts repeats that no crash explains.
	Unexcused int `json:"unexcused"`
	Dead      int `json:"dead"` // dead letters: there should be none

	examples []string
}

// String is the report in a few lines.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d crashes and %d stops in %s\n", r.Seed, r.Crashes, r.Stops, r.Took.Round(100*time.Millisecond))
	fmt.Fprintf(&b, "accepted %d (%d sent again for want of an answer, %d of them stored before), delivered %d, lost %d\n",
		r.Accepted, r.Resent, r.Known, r.Delivered, r.Lost)
	fmt.Fprintf(&b, "retried %d, repeated %d (the oldest 2xx %s before its crash), unexcused %d, disordered %d, twice %d, dead %d\n",
		r.Retried, r.Repeated, r.Oldest.Round(time.Millisecond), r.Unexcused, r.Disordered, r.Twice, r.Dead)
	for _, e := range r.examples {
		b.WriteString("  " + e + "\n")
	}
	return b.String()
}

// Err says which promise was broken; nil when none was.
func (r Report) Err() error {
	var errs []error
	for _, broken := range []struct {
		n    int
		what string
	}{
		{r.Lost, "accepted messages were not delivered"},
		{r.Twice, "messages were accepted twice"},
		{r.Disordered, "messages were first seen out of order"},
		{r.Unexcused, "repeats are explained by no crash"},
		{r.Dead, "messages became dead letters"},
	} {
		if broken.n > 0 {
			errs = append(errs, fmt.Errorf("%d %s", broken.n, broken.what))
		}
	}
	return errors.Join(errs...)
}

// examplesMost bounds what is told of single messages.
const examplesMost = 20

func (r *Report) example(format string, args ...any) {
	if len(r.examples) < examplesMost {
		r.examples = append(r.examples, fmt.Sprintf(format, args...))
	}
}

// ending is how a life of the relay ended.
type ending struct {
	at    time.Time
	crash bool
}

// unrecorded is how long before a crash an attempt may have ended and still not be in the
// attempt log: a group commit takes tens of milliseconds, on a busy disk much longer. The report
// tells the longest time that it really was.
const unrecorded = 5 * time.Second

// check holds what the receiver saw against what was accepted. endings are those of the
// relay's lives, in order.
func (r *Report) check(accepted map[relay.ID]accepted, seen map[string]*sighting, endings []ending) {
	r.Accepted = len(accepted)
	names := map[string]relay.ID{}
	for id, a := range accepted {
		if s := seen[string(id)]; s == nil || !s.delivered {
			r.Lost++
			r.example("%s (number %d of %s) was accepted and not delivered", id, a.number, a.conversation)
		}
	}
	byConversation := map[string][]*sighting{}
	for id, s := range seen {
		name := fmt.Sprintf("%s#%d", s.conversation, s.number)
		if other, ok := names[name]; ok {
			r.Twice++
			r.example("number %d of %s came as %s and as %s", s.number, s.conversation, id, other)
		}
		names[name] = relay.ID(id)
		if s.delivered {
			r.Delivered++
		}
		byConversation[s.conversation] = append(byConversation[s.conversation], s)
		r.repeats(id, s, endings)
	}
	for conversation, list := range byConversation {
		slices.SortFunc(list, func(a, b *sighting) int { return int(a.first) - int(b.first) })
		highest := 0
		for _, s := range list {
			if s.number < highest {
				r.Disordered++
				r.example("number %d of %s was first seen after number %d", s.number, conversation, highest)
			}
			highest = max(highest, s.number)
		}
	}
}

// repeats judges each arrival of a message after the first.
func (r *Report) repeats(id string, s *sighting, endings []ending) {
	var last *arrival // that got a 2xx
	for i, a := range s.arrivals {
		if i > 0 && last == nil {
			r.Retried++
		}
		if last != nil {
			r.Repeated++
			r.judge(id, s, last, a, endings)
		}
		if !a.answered.IsZero() {
			last = a
		}
	}
}

// judge decides whether a crash explains that a message came again after a 2xx.
func (r *Report) judge(id string, s *sighting, before, again *arrival, endings []ending) {
	if before.life == again.life {
		r.Unexcused++
		r.example("%s (number %d of %s) came twice in life %d", id, s.number, s.conversation, again.life)
		return
	}
	// The life that sent it did not record it, so its own end must have been the crash.
	end := endings[before.life]
	age := end.at.Sub(before.answered)
	if !end.crash || age > unrecorded {
		r.Unexcused++
		r.example("%s (number %d of %s) came again in life %d although life %d ended %s after its 2xx, by a crash: %t",
			id, s.number, s.conversation, again.life, before.life, age, end.crash)
		return
	}
	r.Oldest = max(r.Oldest, age)
}
