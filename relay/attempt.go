package relay

import "time"

// Outcome is how an attempt ended, as far as the message is concerned.
type Outcome string

// The outcomes. Delivered and Dead are final.
const (
	Delivered Outcome = "delivered" // the receiver answered 2xx
	Retry     Outcome = "retry"     // will be tried again at Attempt.NextAt
	Dead      Outcome = "dead"      // a dead letter; will not be tried again by itself

	// These describe no attempt but an operator's deed.
	Reopened Outcome = "reopened" // a replay since a time made Attempt.Positions undelivered again
	Replayed Outcome = "replayed" // a dead letter was appended to the log again, at Attempt.MovedTo
)

// Final reports whether the message leaves its lane with this outcome.
func (o Outcome) Final() bool { return o == Delivered || o == Dead }

// Attempt is one HTTP try and its outcome, as it stands in the attempt log. The append of a
// final attempt is what makes a message's state final. Some records describe no request:
// a message that expired or was discarded has Status 0 and Duration 0.
type Attempt struct {
	MessageID    ID          `json:"messageID"`
	Shard        int         `json:"shard"`
	Position     Position    `json:"position"` // the message's place in its shard's log
	Destination  Destination `json:"destination"`
	Conversation string      `json:"conversation"`
	ChannelID    int64       `json:"channelID,omitempty"`
	Number       int         `json:"number"` // tries that count against max_attempts, this one included
	Outcome      Outcome     `json:"outcome"`
	Reason       Reason      `json:"reason"`
	Status       int         `json:"status,omitempty"` // HTTP status; 0 when no answer came
	StartedAt    time.Time   `json:"startedAt"`
	Duration     Duration    `json:"duration"`
	NextAt       time.Time   `json:"nextAt,omitzero"`     // with Retry only
	Response     string      `json:"response,omitempty"`  // the first KiB of the answer's body
	Error        string      `json:"error,omitempty"`     // what failed, without secrets and query strings
	By           string      `json:"by,omitempty"`        // the operator, for discarded
	TicketID     int64       `json:"ticketID,omitempty"`  // learnt from the helpdesk's answer
	MovedTo      Position    `json:"movedTo,omitempty"`   // with Replayed only
	Positions    []byte      `json:"positions,omitempty"` // with Reopened only: a serialized set of positions
	Replay       string      `json:"replay,omitempty"`    // with Reopened only: the id of the replay
}
