package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"omnirelay/endpoints"
	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/deliver"
)

// statusTeller turns attempts into status messages for the channels that have a
// status_callback. It is the dispatcher's Observer.
type statusTeller struct {
	channels *endpoints.Registry
	log      *queue.Log
	// window is how long the log recognises a dedupe key.
	window time.Duration
}

// Wants implements dispatch.Observer.
func (s *statusTeller) Wants(e *relay.Entry) bool {
	if !e.Told() {
		return false
	}
	c, err := s.channels.Get(context.Background(), e.ChannelID)
	return err == nil && c.StatusCallback != ""
}

// Observe implements dispatch.Observer. Crash order: the status message, then the attempt's
// record, so that a crash repeats the status under the same dedupe key rather than loses it.
func (s *statusTeller) Observe(ctx context.Context, e *relay.Entry, a relay.Attempt) error {
	// The API tells that a message is queued right after it has stored it, and the first
	// attempt may end before that. Whoever is first tells it; the other is a duplicate. Past
	// the window that could not be seen, and the API has long told it.
	if a.Number <= 1 && time.Since(e.AcceptedAt) < s.window/2 {
		if err := s.append(ctx, relay.QueuedStatus, e); err != nil {
			return err
		}
	}
	return s.append(ctx, func(m *relay.Message, _ relay.Position) (relay.Message, string) {
		return relay.AttemptStatus(m, &a)
	}, e)
}

func (s *statusTeller) append(ctx context.Context, build func(*relay.Message, relay.Position) (relay.Message, string), e *relay.Entry) error {
	m, key := build(&e.Message, e.Position)
	_, err := s.log.Append(ctx, &m, key)
	if errors.Is(err, queue.ErrFull) {
		// Deliveries are what makes room: they must not wait for news of them to fit in. The
		// attempt itself is recorded, and the API answers what became of the message.
		return nil
	}
	if err != nil {
		return fmt.Errorf("telling of message %s: %w", e.ID, err)
	}
	return nil
}

// statusBody is what a status_callback receives.
type statusBody struct {
	Type      string     `json:"type"`
	Timestamp string     `json:"timestamp"`
	Data      statusData `json:"data"`
}

type statusData struct {
	MessageID    string          `json:"messageID"`
	Direction    relay.Direction `json:"direction"`
	ChannelID    int64           `json:"channelID"`
	TicketID     int64           `json:"ticketID,omitempty"`
	Conversation string          `json:"conversation"`
	Sequence     relay.Position  `json:"sequence"` // of the status messages of a conversation
	State        string          `json:"state"`
	Reason       string          `json:"reason,omitempty"`
	Attempt      int             `json:"attempt"`
	Status       int             `json:"status,omitempty"` // HTTP
	At           string          `json:"at"`
	NextAt       string          `json:"nextAt,omitempty"`
}

// renderStatus is the Renderer of status callbacks.
func renderStatus(e *relay.Entry) (deliver.Payload, error) {
	f := e.Fields
	data, err := json.Marshal(statusBody{
		Type:      e.Type,
		Timestamp: e.AcceptedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Data: statusData{
			MessageID:    f[relay.StatusMessageID],
			Direction:    relay.Direction(f[relay.StatusDirection]),
			ChannelID:    e.ChannelID,
			TicketID:     e.TicketID,
			Conversation: e.Conversation,
			Sequence:     e.Position,
			State:        f[relay.StatusState],
			Reason:       f[relay.StatusReason],
			Attempt:      number(f[relay.StatusAttempt]),
			Status:       number(f[relay.StatusHTTP]),
			At:           f[relay.StatusAt],
			NextAt:       f[relay.StatusNextAt],
		},
	})
	if err != nil {
		return deliver.Payload{}, fmt.Errorf("rendering status message %s: %w", e.ID, err)
	}
	return deliver.Payload{ContentType: "application/json", Bytes: data}, nil
}

// number reads what strconv.Itoa wrote; 0 for a field that is absent.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
