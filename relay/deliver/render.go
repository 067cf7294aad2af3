package deliver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	"omnirelay/relay"
	"omnirelay/relay/helpdesk"
)

// timestampFormat is RFC 3339 with milliseconds.
const timestampFormat = "2006-01-02T15:04:05.000Z07:00"

// envelope follows the payload structure that Standard Webhooks 1.0.0 recommends.
type envelope struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	Data      data   `json:"data"`
}

type data struct {
	MessageID    relay.ID     `json:"messageID"`
	ChannelID    int64        `json:"channelID"`
	ChannelName  string       `json:"channelName"`
	TicketID     int64        `json:"ticketID,omitempty"`
	Conversation string       `json:"conversation"`
	Sequence     uint64       `json:"sequence"`
	Message      string       `json:"message"`
	Title        string       `json:"title"`
	ToAddress    string       `json:"toAddress"`
	FromAddress  string       `json:"fromAddress"`
	UserID       int64        `json:"userID"`
	Signature    string       `json:"signature,omitempty"`
	Attachments  []attachment `json:"attachments"`

	Fields map[string]string `json:"fields,omitempty"`
}

type attachment struct {
	Name        string `json:"name"`
	ContentType string `json:"contentType"`
	Size        int64  `json:"size"`
	URL         string `json:"url,omitempty"`
}

// AttachmentURL makes the address under which a receiver fetches a message's file. It must
// depend on nothing else: every attempt sends the same bytes.
type AttachmentURL func(a relay.Attachment, acceptedAt time.Time) string

// JSON is the Renderer of custom channels' endpoints and of webhook helpdesks:
//
//	{"type":"message.outbound","timestamp":"2026-11-22T10:00:00.123Z",
//	 "data":{"messageID":"msg_…","channelID":1001,"channelName":"…","ticketID":858462,
//	  "conversation":"ticket:858462","sequence":17,"message":"…","title":"","toAddress":"…",
//	  "fromAddress":"…","userID":254,"signature":"…","attachments":[]}}
//
// The timestamp is when the relay accepted the message, in UTC. The sequence grows within a
// conversation; gaps are normal. ticketID is left out when there is none, and signature (the
// agent's text, nothing cryptographic) when the message carries none. An attachment has
// name, contentType, size in bytes and, with JSONWith, the url to fetch it from. A message of
// live chat has fields, the documented ones of the call that it came with, by their names;
// chatServer is the relay's own address there, so that an answer to it comes through the relay.
func JSON(e *relay.Entry) (Payload, error) { return renderJSON(e, nil) }

// JSONWith is JSON with the addresses of attachments.
func JSONWith(address AttachmentURL) Renderer {
	return func(e *relay.Entry) (Payload, error) { return renderJSON(e, address) }
}

func renderJSON(e *relay.Entry, address AttachmentURL) (Payload, error) {
	m := &e.Message
	body := envelope{
		Type:      m.Type,
		Timestamp: m.AcceptedAt.UTC().Format(timestampFormat),
		Data: data{
			MessageID:    m.ID,
			ChannelID:    m.ChannelID,
			ChannelName:  m.ChannelName,
			TicketID:     m.TicketID,
			Conversation: m.Conversation,
			Sequence:     e.Position,
			Message:      m.Text,
			Title:        m.Title,
			ToAddress:    m.ToAddress,
			FromAddress:  m.FromAddress,
			UserID:       m.UserID,
			Signature:    m.Signature,
			Attachments:  make([]attachment, 0, len(m.Attachments)),
			Fields:       shownFields(m),
		},
	}
	for _, a := range m.Attachments {
		shown := attachment{Name: a.Name, ContentType: a.ContentType, Size: a.Size}
		if address != nil {
			shown.URL = address(a, m.AcceptedAt)
		}
		body.Data.Attachments = append(body.Data.Attachments, shown)
	}
	enc := encoders.Get().(*encoder)
	defer encoders.Put(enc)
	enc.buf.Reset()
	if err := enc.json.Encode(&body); err != nil {
		return Payload{}, fmt.Errorf("rendering message %s as JSON: %w", m.ID, err)
	}
	// A copy, because the transport may still be sending when the attempt is over, and the
	// buffer is used again.
	return Payload{ContentType: "application/json", Bytes: bytes.Clone(bytes.TrimSuffix(enc.buf.Bytes(), []byte("\n")))}, nil
}

// shownFields are the fields of a chat call as a receiver sees them.
func shownFields(m *relay.Message) map[string]string {
	server, ok := m.Fields[helpdesk.FieldRelayServer]
	if !ok {
		return m.Fields
	}
	shown := maps.Clone(m.Fields)
	delete(shown, helpdesk.FieldRelayServer)
	shown["chatServer"] = server
	return shown
}

// encoder is a JSON encoder and the buffer it writes to. It writes <, > and & as they are:
// the body is no HTML, and receivers' logs stay readable.
type encoder struct {
	buf  bytes.Buffer
	json *json.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := &encoder{}
	e.json = json.NewEncoder(&e.buf)
	e.json.SetEscapeHTML(false)
	return e
}}
