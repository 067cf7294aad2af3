package helpdesk

// The hookpoints that the helpdesk calls under a chatServer. Their parameters are not
// documented, so the names are those of the documented calls and the usual ones.

// chatAliases are the fields that every hookpoint may carry.
var chatAliases = []alias{
	{"chatSessionID", []string{"chatSessionID", "sessionID", "chatSession", "chatID", "session", "session[id]", "chat[sessionID]", "chat[id]"}},
	{"chatAccountToken", []string{"chatAccountToken", "accountToken"}},
	{"ticketID", []string{"ticketID", "ticket", "ticket[id]"}},
	{"userID", []string{"userID", "agentID", "user[id]", "agent[id]"}},
	{"userName", []string{"userName", "agentName", "user[name]", "agent[name]", "name"}},
	{"messageID", []string{"messageID", "message[id]"}},
}

var (
	replyAliases = append([]alias{
		{"message", []string{"message", "text", "body", "content", "message[text]", "message[content]", "message[body]"}},
	}, chatAliases...)
	uploadAliases = append([]alias{
		{"url", []string{"url", "fileURL", "link", "attachmentURL", "file[url]", "attachment[url]"}},
		{"fileName", []string{"fileName", "originalName", "file[name]", "attachment[name]"}},
		{"message", []string{"message", "text", "caption"}},
	}, chatAliases...)
	typingAliases = append([]alias{
		{"event", []string{"event", "typing", "isTyping", "status", "state", "action", "type"}},
	}, chatAliases...)
)

// chatHook are the fields of every hookpoint, after FromChatHook.
func chatHook(fields ...Field) Call {
	return Call{Query: true, Fields: append(append([]Field{
		{Name: "chatSessionID", Required: true, Max: 65, Doc: "The session that the customer chats in."},
	}, fields...),
		Field{Name: "ticketID", Kind: Integer, Doc: "The session's ticket."},
		Field{Name: "userID", Kind: Integer, Default: "0", Doc: "The agent; 0 is nobody in particular."},
		Field{Name: "userName", Max: maxAddress, Doc: "The agent's name."},
		Field{Name: "messageID", Max: 255, Doc: "The sender's own id: the same id again is answered as the first was."},
	)}
}

// MessageForCustomerHook is POST {chatServer}/messageForCustomer, after FromChatHook.
func MessageForCustomerHook() Call {
	return chatHook(Field{Name: "message", Min: 1, Required: true, Doc: "The agent's text."})
}

// UploadForCustomerHook is POST {chatServer}/uploadForCustomer, after FromChatHook: a file
// part, or a url in its place.
func UploadForCustomerHook() Call {
	return chatHook(
		Field{Name: "url", Max: 4096, Doc: "Where the file is, when it does not come along."},
		Field{Name: "fileName", Max: 255, Doc: "The file's name."},
		Field{Name: "message", Doc: "A text to go with it."},
	)
}

// TypingIndicatorForCustomerHook is POST {chatServer}/typingIndicatorForCustomer, after
// FromChatHook.
func TypingIndicatorForCustomerHook() Call {
	return chatHook(Field{Name: "event", Enum: []string{EventStartedTyping, EventStoppedTyping}, Default: EventStartedTyping, Doc: "Whether the agent began or stopped."})
}

// FromChatHook picks the fields of a hookpoint out of whatever names the helpdesk gave them,
// as FromHook does. An event that says neither that typing begins nor that it ends is left
// out: the call itself says that somebody types.
func FromChatHook(hookpoint string, v Values) Values {
	switch hookpoint {
	case HookMessage:
		return pick(v, replyAliases)
	case HookUpload:
		return pick(v, uploadAliases)
	}
	picked := pick(v, typingAliases)
	switch spelling(picked["event"]) {
	case "startedtyping", "starttyping", "started", "start", "typing", "true", "1", "on":
		picked["event"] = EventStartedTyping
	case "stoppedtyping", "stoptyping", "stopped", "stop", "idle", "false", "0", "off":
		picked["event"] = EventStoppedTyping
	default:
		delete(picked, "event")
	}
	return picked
}
