package helpdesk

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"omnirelay/relay"
)

// The types of live chat's messages. Those of custom channels are message.inbound and
// message.outbound.
const (
	TypeInbound = "message.inbound" // a custom channel's message, customer to agent

	// Customer to agent: each becomes the call of the Chat controller that made it.
	TypeChatMessage    = "chat.message"    // notifyUserNewChatMessage
	TypeChatEvent      = "chat.event"      // notifyUserNewChatEvent
	TypeChatVisited    = "chat.visited"    // notifyUserVisited
	TypeChatEnded      = "chat.ended"      // notifyUserEndChat
	TypeChatAttachment = "chat.attachment" // addAttachment

	// Agent to customer: each becomes the call of a hookpoint.
	TypeChatReply  = "chat.reply"  // messageForCustomer
	TypeChatUpload = "chat.upload" // uploadForCustomer
	TypeChatTyping = "chat.typing" // typingIndicatorForCustomer
)

// FieldRelayServer is the field of a chat message that holds the relay's own hook address:
// the helpdesk is told it in place of chatServer, so that its replies come through the relay.
const FieldRelayServer = "relayServer"

// OpenFile starts to read a stored file and says how many bytes it has.
type OpenFile func(ctx context.Context, file string) (io.ReadCloser, int64, error)

// Body is the body of a POST: Bytes, or, where Open is set, a stream of Size bytes that can
// be started more than once and gives the same bytes each time.
type Body struct {
	ContentType string
	Bytes       []byte
	Open        func(ctx context.Context) (io.ReadCloser, error)
	Size        int64
}

// outgoing is the call that a type of message becomes.
type outgoing struct {
	call   string
	fields []string // of the body, in the order of the specification
	query  []string // of the query
	file   bool     // the body holds the message's file too
}

// forwards is the table of the calls to the helpdesk.
func forwards(messageType string) (outgoing, bool) {
	switch messageType {
	case TypeInbound:
		return outgoing{
			call:   "channel/customChannelMessage",
			fields: []string{"ticketID", "channelID", "message", "title", "toAddress", "fromAddress", "userID"},
		}, true
	case TypeChatMessage:
		return outgoing{call: "chat/notifyUserNewChatMessage", fields: []string{
			"chatServer", "chatSessionID", "chatAccountToken", "channelID", "message", "url", "messageNumber", "usedPredefinedUserInput",
			"additionalData", "externalAddressOverwrite", "customerName", "emailAddress", "phoneNumber",
		}}, true
	case TypeChatEvent:
		return outgoing{call: "chat/notifyUserNewChatEvent", fields: []string{"chatServer", "chatSessionID", "event"}}, true
	case TypeChatVisited:
		return outgoing{call: "chat/notifyUserVisited", fields: []string{"chatServer", "chatSessionID", "url"}}, true
	case TypeChatEnded:
		return outgoing{call: "chat/notifyUserEndChat", fields: []string{"chatServer", "chatSessionID"}}, true
	case TypeChatAttachment:
		// The specification has the ids in the query, the guide in the body.
		return outgoing{
			call:  "chat/addAttachment",
			query: []string{"chatServer", "chatSessionID", "chatAccountToken", "phoneNumber", "messageNumber"}, file: true,
		}, true
	}
	return outgoing{}, false
}

// Forward says where and with which headers a message for the helpdesk is POSTed.
func (a Account) Forward(m *relay.Message) (address string, header http.Header, err error) {
	o, ok := forwards(m.Type)
	if !ok {
		return "", nil, fmt.Errorf("the helpdesk has no call for a message of type %q", clip(m.Type))
	}
	query := url.Values{}
	for _, name := range o.query {
		if value := forwarded(m, name); value != "" {
			query.Set(name, value)
		}
	}
	return a.url(o.call, query), a.header(), nil
}

// ForwardBody is the body of what Forward says: multipart/form-data without the optional
// fields that are empty, because an empty text breaks their own rules. A file is a part
// "file" with its bytes as they are; open gives them.
func ForwardBody(m *relay.Message, open OpenFile) (Body, error) {
	o, ok := forwards(m.Type)
	if !ok {
		return Body{}, fmt.Errorf("the helpdesk has no call for a message of type %q", clip(m.Type))
	}
	f, err := newForm(m.ID)
	if err != nil {
		return Body{}, err
	}
	for _, name := range o.fields {
		if value := forwarded(m, name); value != "" {
			if err := f.field(name, value); err != nil {
				return Body{}, err
			}
		}
	}
	if o.file {
		return f.withFile(m, open)
	}
	return f.plain()
}

// maxMessageNumber is the highest messageNumber that the helpdesk takes. A chat may well have
// more messages; the field is optional, so it is left out then.
const maxMessageNumber = 50

// forwarded is the value of a field as the helpdesk gets it; "" leaves it out.
func forwarded(m *relay.Message, name string) string {
	chat := m.Type != TypeInbound
	switch name {
	case "message":
		return first(m.Fields[name], m.Text)
	case "title":
		return m.Title
	case "toAddress":
		return m.ToAddress
	case "fromAddress":
		return m.FromAddress
	case "ticketID":
		return positive(m.TicketID)
	case "userID":
		return positive(m.UserID)
	case "channelID":
		if chat {
			return first(m.Fields[name], strconv.Itoa(LiveChat))
		}
		return positive(m.ChannelID)
	case "chatServer":
		return first(m.Fields[FieldRelayServer], m.Fields[name])
	case "messageNumber":
		n, err := strconv.Atoi(m.Fields[name])
		if err != nil || n < 1 || n > maxMessageNumber {
			return ""
		}
	}
	return m.Fields[name]
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func positive(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}
