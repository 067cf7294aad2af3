package helpdesk

import "regexp"

// The patterns of the Chat controller. A session's id may begin with a plus sign where it is
// sent with a token, and nowhere else.
var (
	chatServer   = regexp.MustCompile(`^[a-zA-Z0-9\.\:\/\-]+$`)
	chatSession  = regexp.MustCompile(`^\+?[a-zA-Z0-9\-]+$`)
	chatEvent    = regexp.MustCompile(`^[a-zA-Z0-9\-]+$`)
	chatToken    = regexp.MustCompile(`^[a-zA-Z0-9]+$`)
	customerName = regexp.MustCompile(`^[a-zA-Z 0-9]+$`)
	phoneNumber  = regexp.MustCompile(`^\+[0-9]+$`)
	filePhone    = regexp.MustCompile(`^\+?[0-9]+$`)
	origin       = regexp.MustCompile(`^[a-zA-Z0-9\.\-]+$`)
	// emailAddress is the production of HTML's input element (WHATWG HTML, "valid e-mail
	// address"), which is what a format of "email" asks for in practice.
	emailAddress = regexp.MustCompile("^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$")
)

// The events of a customer.
const (
	EventStartedTyping = "startedtyping"
	EventStoppedTyping = "stoppedtyping"
	EventExpandedChat  = "expandedchat"
	EventMinimizedChat = "minimizedchat"
)

// ChatEvents lists the values of event. The older specification has them in a pattern that
// is anchored on one side only (^startedtyping|…$); exactly these four are meant.
func ChatEvents() []string {
	return []string{EventStartedTyping, EventStoppedTyping, EventExpandedChat, EventMinimizedChat}
}

func chatServerField() Field {
	return Field{Name: "chatServer", Min: 5, Pattern: chatServer, Required: true, Doc: "The base of the hookpoints that get the agent's replies."}
}

func chatTokenField() Field {
	return Field{Name: "chatAccountToken", Min: 10, Pattern: chatToken, Required: true, Doc: "The token of the chat account."}
}

func chatSessionField() Field {
	return Field{Name: "chatSessionID", Min: 10, Pattern: chatSession, Required: true, Doc: "The session's id, made by the caller."}
}

// chatEventSessionField is the session of the calls that carry no token.
func chatEventSessionField() Field {
	f := chatSessionField()
	f.Pattern = chatEvent
	return f
}

// RequestChatConfig is POST /api/v2/chat/requestChatConfig.
func RequestChatConfig() Call {
	return Call{Fields: []Field{chatServerField(), chatTokenField()}}
}

// NotifyUserNewChatMessage is POST /api/v2/chat/notifyUserNewChatMessage: a customer's
// message. The user of these calls' names is the agent.
func NotifyUserNewChatMessage() Call {
	session := chatSessionField()
	session.Max = 65
	return Call{Fields: []Field{
		chatServerField(), session, chatTokenField(),
		{Name: "channelID", Kind: Integer, Low: 1, Default: "8", Doc: "8 is live chat."},
		{Name: "message", Min: 1, Required: true, Doc: "The text."},
		{Name: "url", Min: 1, Doc: "The page that the chat is on."},
		{Name: "messageNumber", Kind: Integer, Low: 1, High: 50, Default: "1", Doc: "1 for the session's first message."},
		{Name: "usedPredefinedUserInput", Min: 1, Default: "false", Doc: "Whether the customer chose an offered text."},
		{Name: "additionalData", Min: 1, Doc: "Whatever the agent should see besides."},
		{Name: "externalAddressOverwrite", Min: 1, Doc: "The customer's address, in place of the session's."},
		{Name: "customerName", Pattern: customerName, Doc: "ASCII letters, digits and spaces."},
		{Name: "emailAddress", Pattern: emailAddress, Max: 254, Doc: "The customer's e-mail address."},
		{Name: "phoneNumber", Pattern: phoneNumber, Doc: "The customer's telephone number, with a plus sign."},
	}}
}

// NotifyUserNewChatEvent is POST /api/v2/chat/notifyUserNewChatEvent.
func NotifyUserNewChatEvent() Call {
	return Call{Fields: []Field{
		chatServerField(), chatEventSessionField(),
		{Name: "event", Enum: ChatEvents(), Required: true, Doc: "What the customer did."},
	}}
}

// NotifyUserVisited is POST /api/v2/chat/notifyUserVisited.
func NotifyUserVisited() Call {
	return Call{Fields: []Field{
		chatServerField(), chatEventSessionField(),
		{Name: "url", Min: 4, Required: true, Doc: "The page that the customer went to."},
	}}
}

// NotifyUserEndChat is POST /api/v2/chat/notifyUserEndChat.
func NotifyUserEndChat() Call {
	return Call{Fields: []Field{chatServerField(), chatEventSessionField()}}
}

// AddAttachment is POST /api/v2/chat/addAttachment. The specification has the ids in the
// query and the guide in the body: both are understood.
func AddAttachment() Call {
	return Call{Query: true, Fields: []Field{
		chatServerField(), chatSessionField(), chatTokenField(),
		{Name: "phoneNumber", Pattern: filePhone, Doc: "The customer's telephone number."},
		{Name: "messageNumber", Kind: Integer, Doc: "The file's number in the session."},
		{Name: "file", Kind: File, Required: true, Doc: "The file: a part of a multipart body with the bytes as they are, or a text in base64 in any encoding."},
	}}
}

// CheckOriginAndIP is POST /api/v2/chat/checkOriginAndIP.
func CheckOriginAndIP() Call {
	return Call{Fields: []Field{
		chatServerField(), chatTokenField(),
		{Name: "origin", Min: 1, Pattern: origin, Required: true, Doc: "The host name of the web site."},
		{Name: "ip", Min: 5, Required: true, Doc: "The visitor's address."},
	}}
}

// WhitelistedDomainsAndBlacklistedIPs is GET /api/v2/chat/whitelistedDomainsAndBlacklistedIPs.
func WhitelistedDomainsAndBlacklistedIPs() Call { return Call{} }

// RequestChatQueue is POST /api/v2/chat/requestChatQueue.
func RequestChatQueue() Call { return Call{Fields: []Field{chatTokenField()}} }
