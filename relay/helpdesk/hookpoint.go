package helpdesk

import (
	"fmt"
	"net/url"
	"strings"

	"omnirelay/relay"
)

// The hookpoints: the calls that a helpdesk makes to a chat server, below the address that
// the chat server gave as chatServer (Omnidesk, "Livechat chatbot and app integration").
const (
	HookMessage = "messageForCustomer"
	HookUpload  = "uploadForCustomer"
	HookTyping  = "typingIndicatorForCustomer"
)

// hookpoint is the call that a message for a customer becomes.
func hookpoint(messageType string) (name string, ok bool) {
	switch messageType {
	case TypeChatReply:
		return HookMessage, true
	case TypeChatUpload:
		return HookUpload, true
	case TypeChatTyping:
		return HookTyping, true
	}
	return "", false
}

// HookpointURL is where a message for a customer is POSTed: the hookpoint below the session's
// chatServer. A chatServer may be a bare host, which is reached by https.
func HookpointURL(m *relay.Message) (string, error) {
	name, ok := hookpoint(m.Type)
	if !ok {
		return "", fmt.Errorf("chat servers have no hookpoint for a message of type %q", clip(m.Type))
	}
	server := m.Fields["chatServer"]
	if server == "" {
		return "", fmt.Errorf("message %s names no chatServer", m.ID)
	}
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	return strings.TrimRight(server, "/") + "/" + name, nil
}

// hookpointFields are the fields of the hookpoints. The specification does not list them:
// chatSessionID is what routes a call, the rest has the names that the calls in the other
// direction use.
func hookpointFields() []string {
	return []string{"chatSessionID", "message", "event", "ticketID", "userID", "userName", "messageNumber", "url"}
}

// HookpointBody is the body of a hookpoint's call: a form with the fields that are not empty
// and messageID, which stays the same when the relay repeats the call. An upload is
// multipart with the file's bytes as the part "file"; open gives them.
func HookpointBody(m *relay.Message, open OpenFile) (Body, error) {
	if _, ok := hookpoint(m.Type); !ok {
		return Body{}, fmt.Errorf("chat servers have no hookpoint for a message of type %q", clip(m.Type))
	}
	values := url.Values{}
	for _, name := range hookpointFields() {
		if value := hooked(m, name); value != "" {
			values.Set(name, value)
		}
	}
	values.Set("messageID", string(m.ID))
	// A helpdesk may hand in an address in place of the file.
	if m.Type != TypeChatUpload || len(m.Attachments) == 0 && values.Has("url") {
		return Body{ContentType: "application/x-www-form-urlencoded", Bytes: []byte(values.Encode())}, nil
	}
	f, err := newForm(m.ID)
	if err != nil {
		return Body{}, err
	}
	for _, name := range append(hookpointFields(), "messageID") {
		if value := values.Get(name); value != "" {
			if err := f.field(name, value); err != nil {
				return Body{}, err
			}
		}
	}
	return f.withFile(m, open)
}

// hooked is the value of a hookpoint's field.
func hooked(m *relay.Message, name string) string {
	value := m.Fields[name]
	switch name {
	case "message":
		return first(value, m.Text)
	case "ticketID":
		return first(positive(m.TicketID), value)
	case "userID":
		return first(positive(m.UserID), value)
	}
	return value
}
