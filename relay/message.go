package relay

import (
	"strconv"
	"time"
)

// Direction is which way a message travels.
type Direction string

// The directions.
const (
	Inbound  Direction = "in"  // customer → agent: towards the helpdesk
	Outbound Direction = "out" // agent → customer: towards a channel's endpoint or a chat server
)

// Kind says how long a message is worth something.
type Kind string

// The kinds.
const (
	KindMessage    Kind = "message"    // retried by its destination's policy
	KindAttachment Kind = "attachment" // the same, with a file in the file store
	KindEvent      Kind = "event"      // typing, visited: worthless when old; one try within 15 s, newest wins
)

// Message is what somebody handed to the relay: accepted once, then immutable. It is stored
// as JSON in the message log; its place there, not a field, gives its order.
type Message struct {
	ID           ID          `json:"id"`
	Type         string      `json:"type"` // what a receiver dispatches on, e.g. "message.outbound"
	Direction    Direction   `json:"direction"`
	Kind         Kind        `json:"kind"`
	Destination  Destination `json:"destination"`
	Conversation string      `json:"conversation"` // what stays in order; see ConversationOf
	AcceptedAt   time.Time   `json:"acceptedAt"`

	ChannelID   int64             `json:"channelID,omitempty"`
	ChannelName string            `json:"channelName,omitempty"`
	TicketID    int64             `json:"ticketID,omitempty"`
	Text        string            `json:"message,omitempty"`
	Title       string            `json:"title,omitempty"`
	ToAddress   string            `json:"toAddress,omitempty"`
	FromAddress string            `json:"fromAddress,omitempty"`
	UserID      int64             `json:"userID,omitempty"`
	Signature   string            `json:"signature,omitempty"` // the agent's text signature, never an HMAC
	Fields      map[string]string `json:"fields,omitempty"`    // the fields of a chat call, by their documented names
	Attachments []Attachment      `json:"attachments,omitempty"`

	// ReplayedBy is the operator who brought the message back from the dead letters.
	ReplayedBy string `json:"replayedBy,omitempty"`

	// DueAt is when a scheduled message may be sent; zero means at once.
	DueAt time.Time `json:"dueAt,omitzero"`
}

// Attachment is a file that travels with a message; its bytes are in the file store.
type Attachment struct {
	File        string `json:"file"` // name in the file store
	Name        string `json:"name"` // as the sender called it
	ContentType string `json:"contentType"`
	Size        int64  `json:"size"` // bytes
}

// Position is a message's sequence number in the message log of its shard, from 1.
type Position = uint64

// Entry is a message together with its place in the log.
type Entry struct {
	Message
	Shard    int
	Position Position
	Size     int // bytes of the stored form, for the bounds on memory
}

// ConversationOf names what must stay in order: the ticket where there is one, else the
// chat session, else the customer's address, else the channel as a whole.
func ConversationOf(ticketID int64, session, address string, channelID int64) string {
	switch {
	case ticketID != 0:
		return "ticket:" + strconv.FormatInt(ticketID, 10)
	case session != "":
		return "session:" + session
	case address != "":
		return "address:" + address
	}
	return "channel:" + strconv.FormatInt(channelID, 10)
}
