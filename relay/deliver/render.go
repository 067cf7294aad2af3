package deliver

import (
	"fmt"
	"maps"
	"time"

	"omnirelay/relay"
	"omnirelay/relay/helpdesk"
	"omnirelay/relay/jsonobject"
)

// timestampFormat is RFC 3339 with milliseconds.
const timestampFormat = "2006-01-02T15:04:05.000Z07:00"

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
// Its structure is the one that Standard Webhooks 1.0.0 recommends. The timestamp is when the
// relay accepted the message, in UTC. The sequence grows within a conversation; gaps are normal.
// ticketID is left out when there is none, and signature (the agent's text, nothing
// cryptographic) when the message carries none. An attachment has name, contentType, size in
// bytes and, with JSONWith, the url to fetch it from. A message of live chat has fields, the
// documented ones of the call that it came with, by their names; chatServer is the relay's own
// address there, so that an answer to it comes through the relay.
func JSON(e *relay.Entry) (Payload, error) { return renderJSON(e, nil) }

// JSONWith is JSON with the addresses of attachments.
func JSONWith(address AttachmentURL) Renderer {
	return func(e *relay.Entry) (Payload, error) { return renderJSON(e, address) }
}

func renderJSON(e *relay.Entry, address AttachmentURL) (Payload, error) {
	m := &e.Message
	o := jsonobject.New(512 + len(m.Text) + len(m.Title))
	o.Text("type", m.Type)
	o.Time("timestamp", m.AcceptedAt.UTC(), timestampFormat)
	o.Begin("data")
	o.Text("messageID", string(m.ID))
	o.Int("channelID", m.ChannelID)
	o.Text("channelName", m.ChannelName)
	o.SomeInt("ticketID", m.TicketID)
	o.Text("conversation", m.Conversation)
	o.Uint("sequence", e.Position)
	o.Text("message", m.Text)
	o.Text("title", m.Title)
	o.Text("toAddress", m.ToAddress)
	o.Text("fromAddress", m.FromAddress)
	o.Int("userID", m.UserID)
	o.SomeText("signature", m.Signature)
	if len(m.Attachments) == 0 {
		o.Raw("attachments", "[]")
	} else {
		o.Value("attachments", shownAttachments(m, address))
	}
	if fields := shownFields(m); len(fields) > 0 {
		o.Value("fields", fields)
	}
	o.End()
	data, err := o.Bytes()
	if err != nil {
		return Payload{}, fmt.Errorf("rendering message %s as JSON: %w", m.ID, err)
	}
	return Payload{ContentType: "application/json", Bytes: data}, nil
}

// shownAttachments are the files of a message as a receiver sees them.
func shownAttachments(m *relay.Message, address AttachmentURL) []attachment {
	shown := make([]attachment, len(m.Attachments))
	for i, a := range m.Attachments {
		shown[i] = attachment{Name: a.Name, ContentType: a.ContentType, Size: a.Size}
		if address != nil {
			shown[i].URL = address(a, m.AcceptedAt)
		}
	}
	return shown
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
