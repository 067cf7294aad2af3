package relay

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// TypeStatus is the type of a message that tells what became of another one.
const TypeStatus = "message.status"

// The states that status messages tell of.
const (
	StateQueued    = "queued"    // accepted and stored
	StateDelivered = "delivered" // the receiver took it
	StateRetrying  = "retrying"  // it failed and will be tried again
	StateDead      = "dead"      // it will not be tried again by itself
)

// The fields of a status message, in Message.Fields.
const (
	StatusMessageID = "messageID" // of the message it tells of
	StatusDirection = "direction"
	StatusState     = "state"
	StatusAt        = "at"      // RFC 3339: when it came to that
	StatusReason    = "reason"  // of the attempt; not with queued
	StatusAttempt   = "attempt" // how many tries counted so far; not with queued
	StatusHTTP      = "status"  // the answer's HTTP status; absent when there was none
	StatusNextAt    = "nextAt"  // RFC 3339; with retrying only
)

// Told reports whether status messages may tell of m: it belongs to a custom channel, is
// worth telling of, and is no status message itself. Live chat has a channel's number and no
// channel.
func (m *Message) Told() bool {
	return m.ChannelID != 0 && m.Type != TypeStatus && m.Kind != KindEvent && !strings.HasPrefix(m.Type, "chat.")
}

// QueuedStatus makes the status message that tells that m was stored at a position. The
// dedupe key is the same for everybody who tells it.
func QueuedStatus(m *Message, at Position) (status Message, dedupeKey string) {
	return statusOf(m, at, StateQueued, m.AcceptedAt, nil), statusKey(m.ID, at, 0, StateQueued)
}

// AttemptStatus makes the status message that tells how an attempt at delivering m ended. An
// attempt that is told of twice, as after a crash, has the same dedupe key both times.
func AttemptStatus(m *Message, a *Attempt) (status Message, dedupeKey string) {
	state := StateRetrying
	switch a.Outcome {
	case Delivered:
		state = StateDelivered
	case Dead:
		state = StateDead
	}
	fields := map[string]string{StatusReason: string(a.Reason), StatusAttempt: strconv.Itoa(a.Number)}
	if a.Status != 0 {
		fields[StatusHTTP] = strconv.Itoa(a.Status)
	}
	if !a.NextAt.IsZero() {
		fields[StatusNextAt] = a.NextAt.UTC().Format(time.RFC3339Nano)
	}
	status = statusOf(m, a.Position, state, a.StartedAt.Add(time.Duration(a.Duration)), fields)
	if a.TicketID != 0 {
		status.TicketID = a.TicketID
	}
	return status, statusKey(m.ID, a.Position, a.Number, state)
}

func statusOf(m *Message, _ Position, state string, when time.Time, fields map[string]string) Message {
	all := map[string]string{
		StatusMessageID: string(m.ID),
		StatusDirection: string(m.Direction),
		StatusState:     state,
		StatusAt:        when.UTC().Format(time.RFC3339Nano),
	}
	maps.Copy(all, fields)
	return Message{
		Type:         TypeStatus,
		Direction:    Outbound,
		Kind:         KindMessage,
		Destination:  StatusDestination(m.ChannelID),
		Conversation: m.Conversation,
		ChannelID:    m.ChannelID,
		ChannelName:  m.ChannelName,
		TicketID:     m.TicketID,
		Fields:       all,
	}
}

func statusKey(id ID, at Position, attempt int, state string) string {
	return fmt.Sprintf("status:%s@%d:%d:%s", id, at, attempt, state)
}
