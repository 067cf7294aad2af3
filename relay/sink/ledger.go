package sink

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"sync"
)

// Sight says whether a message came before.
type Sight string

// The sights.
const (
	FirstSight Sight = "first"
	RetrySight Sight = "retry"  // came before and got no 2xx
	Repeat     Sight = "repeat" // came before and got a 2xx
)

// digest stands for a text of any length in the memory of what came.
type digest [16]byte

func digestOf(parts ...string) digest {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return digest(sum[:16])
}

// recent is a map that forgets its oldest entries.
type recent[V any] struct {
	values map[digest]V
	ring   []digest
	oldest int
	most   int
}

func newRecent[V any](most int) *recent[V] {
	return &recent[V]{values: map[digest]V{}, most: most}
}

// set stores a value and reports whether an older key was forgotten for it.
func (r *recent[V]) set(k digest, v V) (forgot bool) {
	_, known := r.values[k]
	r.values[k] = v
	if known {
		return false
	}
	if len(r.ring) < r.most {
		r.ring = append(r.ring, k)
		return false
	}
	delete(r.values, r.ring[r.oldest])
	r.ring[r.oldest] = k
	r.oldest = (r.oldest + 1) % r.most
	return true
}

type messageState struct {
	accepted bool // got a 2xx
	late     bool // was counted as out of order
}

// conversationState holds the highest sequence numbers.
type conversationState struct{ seen, accepted uint64 }

// ledger remembers which messages came and what they got, and checks their order. Its memory
// is bounded: what it has forgotten it can neither call a repeat nor out of order.
type ledger struct {
	mu            sync.Mutex
	messages      *recent[messageState]
	conversations *recent[conversationState]
	stats         Stats
}

func newLedger(most int) *ledger {
	return &ledger{
		messages:      newRecent[messageState](most),
		conversations: newRecent[conversationState](most),
		stats:         Stats{Answers: map[string]int{}},
	}
}

// arrive enters a message that came in whole and says whether it did before, and whether it
// is out of order: a first sight whose sequence number is not above those of the first
// sights before it.
func (l *ledger) arrive(m *received) (sight Sight, late bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := digestOf(m.ID)
	state, known := l.messages.values[key]
	switch {
	case known && state.accepted:
		l.stats.Repeats++
		return Repeat, false
	case known:
		l.stats.Retries++
		return RetrySight, false
	}
	l.stats.Messages++
	if m.ordered() {
		c := m.conversationKey()
		conversation := l.conversations.values[c]
		if m.Sequence <= conversation.seen {
			state.late = true
			l.stats.OutOfOrder++
		}
		conversation.seen = max(conversation.seen, m.Sequence)
		l.remember(l.conversations.set(c, conversation))
	}
	l.remember(l.messages.set(key, state))
	return FirstSight, state.late
}

// accept enters that a message gets a 2xx and says whether that is out of order: a later one
// of its conversation got one before. Each message is counted once.
func (l *ledger) accept(m *received) (late bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := digestOf(m.ID)
	state := l.messages.values[key]
	if state.accepted {
		return false
	}
	l.stats.Accepted++
	if m.ordered() {
		c := m.conversationKey()
		conversation := l.conversations.values[c]
		if m.Sequence < conversation.accepted && !state.late {
			state.late, late = true, true
			l.stats.OutOfOrder++
		}
		conversation.accepted = max(conversation.accepted, m.Sequence)
		l.remember(l.conversations.set(c, conversation))
	}
	state.accepted = true
	l.remember(l.messages.set(key, state))
	return late
}

func (l *ledger) remember(forgot bool) {
	if forgot {
		l.stats.Forgotten++
	}
}

// count changes the statistics.
func (l *ledger) count(change func(*Stats)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.stats)
}

// received is what is read of a request.
type received struct {
	ID           string `json:"id,omitempty"` // webhook-id
	Type         string `json:"type,omitempty"`
	ChannelID    int64  `json:"channelID,omitempty"`
	Conversation string `json:"conversation,omitempty"`
	Sequence     uint64 `json:"sequence,omitempty"`
	Text         string `json:"message,omitempty"`
}

// ordered reports whether the message has a place in a conversation.
func (m *received) ordered() bool { return m.Conversation != "" && m.Sequence > 0 }

// conversationKey keeps apart the two directions of a conversation, which are numbered each
// by itself: the type ends in .inbound or .outbound.
func (m *received) conversationKey() digest {
	direction := m.Type[strings.LastIndexByte(m.Type, '.')+1:]
	return digestOf(direction, strconv.FormatInt(m.ChannelID, 10), m.Conversation)
}
