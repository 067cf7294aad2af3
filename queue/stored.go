package queue

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"omnirelay/relay"
)

// Messages and attempts are stored as JSON, so that they can be read with any NATS client. They
// are written by hand, field by field, and read by what is to become encoding/json/v2: each
// message's whole way writes two and reads one, and recovery reads attempts by the million. The
// older package's reflection took twice and three times as long.

func encodeMessage(m *relay.Message) ([]byte, error) {
	o := object{buf: make([]byte, 0, 512+len(m.Text)+len(m.Title))}
	o.text("id", string(m.ID))
	o.text("type", m.Type)
	o.text("direction", string(m.Direction))
	o.text("kind", string(m.Kind))
	o.text("destination", string(m.Destination))
	o.text("conversation", m.Conversation)
	o.time("acceptedAt", m.AcceptedAt)
	o.someInt("channelID", m.ChannelID)
	o.someText("channelName", m.ChannelName)
	o.someInt("ticketID", m.TicketID)
	o.someText("message", m.Text)
	o.someText("title", m.Title)
	o.someText("toAddress", m.ToAddress)
	o.someText("fromAddress", m.FromAddress)
	o.someInt("userID", m.UserID)
	o.someText("signature", m.Signature)
	if len(m.Fields) > 0 {
		o.value("fields", m.Fields)
	}
	if len(m.Attachments) > 0 {
		o.value("attachments", m.Attachments)
	}
	o.someText("replayedBy", m.ReplayedBy)
	o.someTime("dueAt", m.DueAt)
	data, err := o.end()
	if err != nil {
		return nil, fmt.Errorf("encoding message %s: %w", m.ID, err)
	}
	return data, nil
}

func decodeMessage(data []byte, m *relay.Message) error { return jsonv2.Unmarshal(data, m) }

func encodeAttempt(a *relay.Attempt) ([]byte, error) {
	o := object{buf: make([]byte, 0, 512+len(a.Response)+len(a.Error)+2*len(a.Positions))}
	o.text("messageID", string(a.MessageID))
	o.int("shard", int64(a.Shard))
	o.position("position", a.Position)
	o.text("destination", string(a.Destination))
	o.text("conversation", a.Conversation)
	o.someInt("channelID", a.ChannelID)
	o.int("number", int64(a.Number))
	o.text("outcome", string(a.Outcome))
	o.text("reason", string(a.Reason))
	o.someInt("status", int64(a.Status))
	o.time("startedAt", a.StartedAt)
	o.text("duration", a.Duration.String())
	o.someTime("nextAt", a.NextAt)
	o.someText("response", a.Response)
	o.someText("error", a.Error)
	o.someText("by", a.By)
	o.someInt("ticketID", a.TicketID)
	if a.MovedTo != 0 {
		o.position("movedTo", a.MovedTo)
	}
	if len(a.Positions) > 0 {
		o.text("positions", base64.StdEncoding.EncodeToString(a.Positions))
	}
	o.someText("replay", a.Replay)
	data, err := o.end()
	if err != nil {
		return nil, fmt.Errorf("encoding the attempt of message %s: %w", a.MessageID, err)
	}
	return data, nil
}

func decodeAttempt(data []byte) (a relay.Attempt, err error) {
	err = jsonv2.Unmarshal(data, &a)
	return a, err
}

// object is a JSON object that is being written. The methods that begin with some leave out
// what is zero.
type object struct {
	buf []byte
	err error
}

// name begins a member; names need no quoting.
func (o *object) name(name string) {
	next := byte(',')
	if len(o.buf) == 0 {
		next = '{'
	}
	o.buf = append(o.buf, next, '"')
	o.buf = append(o.buf, name...)
	o.buf = append(o.buf, '"', ':')
}

func (o *object) text(name, v string) {
	o.name(name)
	// What is no valid UTF-8 becomes U+FFFD, as in encoding/json: a stored record is not
	// refused for what a receiver said.
	o.buf, _ = jsontext.AppendQuote(o.buf, v)
}

func (o *object) someText(name, v string) {
	if v != "" {
		o.text(name, v)
	}
}

func (o *object) int(name string, v int64) {
	o.name(name)
	o.buf = strconv.AppendInt(o.buf, v, 10)
}

func (o *object) someInt(name string, v int64) {
	if v != 0 {
		o.int(name, v)
	}
}

func (o *object) position(name string, v relay.Position) {
	o.name(name)
	o.buf = strconv.AppendUint(o.buf, v, 10)
}

func (o *object) time(name string, v time.Time) {
	o.name(name)
	o.buf = append(o.buf, '"')
	o.buf = v.AppendFormat(o.buf, time.RFC3339Nano)
	o.buf = append(o.buf, '"')
}

func (o *object) someTime(name string, v time.Time) {
	if !v.IsZero() {
		o.time(name, v)
	}
}

// value writes what is rare enough to be left to the library.
func (o *object) value(name string, v any) {
	o.name(name)
	data, err := json.Marshal(v)
	if err != nil && o.err == nil {
		o.err = err
	}
	o.buf = append(o.buf, data...)
}

func (o *object) end() ([]byte, error) { return append(o.buf, '}'), o.err }
