package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"omnirelay/relay"
)

// Account is a chat account as the API shows it. Its secret is never shown.
type Account struct {
	ID                  string    `json:"id" doc:"32 hexadecimal digits; names the account, opens nothing."`
	Name                string    `json:"name"`
	Token               string    `json:"token,omitempty" doc:"For callers with RELAY_ADMIN: the chatAccountToken of the chat calls."`
	AllowedChatServers  []string  `json:"allowed_chat_servers" doc:"The chat servers that sessions may name, with what lies below; empty for any."`
	AllowedOrigins      []string  `json:"allowed_origins" doc:"Host names of web sites that may show the chat; empty for any."`
	BlacklistedIPs      []string  `json:"blacklisted_ips" doc:"Addresses and ranges that may not chat."`
	Languages           []string  `json:"languages"`
	OpeningHours        []string  `json:"opening_hours" doc:"Such as mon-fri 09:00-17:30; empty for always open."`
	TimeZone            string    `json:"time_zone" doc:"The zone of opening_hours."`
	MaxQueue            int       `json:"max_queue" doc:"Chats that may wait before visitors are told that it is full; 0 is no bound."`
	SecretSet           bool      `json:"secret_set" doc:"There is a secret, so what goes to chat servers is signed."`
	PreviousSecretUntil time.Time `json:"previous_secret_until,omitzero" doc:"While a secret is being replaced: until when requests carry the older signature too."`
	HookToken           string    `json:"hook_token,omitempty" doc:"For callers with RELAY_ADMIN: the secret part of hook_url."`
	HookURL             string    `json:"hook_url,omitempty" doc:"For callers with RELAY_ADMIN: what to give a helpdesk as chatServer."`
	CreatedAt           time.Time `json:"created_at"`
	UpdatedAt           time.Time `json:"updated_at"`
}

// AccountFields are what a chat account is created from or changed to. Nil fields are left to
// their defaults, or as they are; an empty list that is not nil empties the list. Name is
// needed to create one.
type AccountFields struct {
	Name               *string         `json:"name,omitempty"`
	Token              *string         `json:"token,omitempty"` // at creation only; nil makes one
	AllowedChatServers []string        `json:"allowed_chat_servers,omitzero"`
	AllowedOrigins     []string        `json:"allowed_origins,omitzero"`
	BlacklistedIPs     []string        `json:"blacklisted_ips,omitzero"`
	Languages          []string        `json:"languages,omitzero"`
	OpeningHours       []string        `json:"opening_hours,omitzero"`
	TimeZone           *string         `json:"time_zone,omitempty"`
	MaxQueue           *int            `json:"max_queue,omitempty"`
	Secret             *string         `json:"secret,omitempty"` // empty ends signing
	SecretOverlap      *relay.Duration `json:"secret_overlap,omitempty"`
}

// ChatSession is one customer's chat.
type ChatSession struct {
	ID           string            `json:"id" doc:"The chatSessionID."`
	AccountID    string            `json:"account" doc:"The chat account's id."`
	ChatServer   string            `json:"chatServer" doc:"Where the agent's replies go."`
	Destination  relay.Destination `json:"destination" doc:"The name of the chat server in messages, holds and attempts."`
	Conversation string            `json:"conversation" doc:"The name of the session in messages."`
	ChannelID    int64             `json:"channelID"`
	TicketID     int64             `json:"ticketID,omitempty" doc:"The helpdesk's ticket, once it has named it."`
	StartedAt    time.Time         `json:"startedAt"`
	SeenAt       time.Time         `json:"seenAt" doc:"The last activity, exact to some minutes."`
	AnsweredAt   time.Time         `json:"answeredAt,omitzero" doc:"An agent's first reply; left out while the customer waits."`
	EndedAt      time.Time         `json:"endedAt,omitzero"`
}

// ChatSessionPage is a page of sessions, the one that was written down longest ago first.
type ChatSessionPage struct {
	Items []ChatSession `json:"items"`
	Next  string        `json:"next,omitempty" doc:"The cursor of the next page; left out with the last."`
}

// ChatConfig is the answer of requestChatConfig.
type ChatConfig struct {
	Name               string    `json:"name" doc:"The account's name."`
	ChannelID          int64     `json:"channelID" doc:"8: live chat."`
	Available          bool      `json:"available" doc:"It is open and not full: the widget may show itself."`
	Open               bool      `json:"open" doc:"Now lies in the opening hours."`
	OpensAt            time.Time `json:"opensAt,omitzero" doc:"When closed: when it opens."`
	ClosesAt           time.Time `json:"closesAt,omitzero" doc:"When open: when it closes; left out when it never does."`
	OpeningHours       []string  `json:"openingHours" doc:"Empty for always open."`
	TimeZone           string    `json:"timeZone"`
	Languages          []string  `json:"languages" doc:"The preferred first; empty for no preference."`
	Queue              int       `json:"queue" doc:"How many chats wait for an agent's first word."`
	MaxQueue           int       `json:"maxQueue" doc:"0 is no bound."`
	MaxAttachmentBytes int64     `json:"maxAttachmentBytes" doc:"The largest file that addAttachment takes."`
	Events             []string  `json:"events" doc:"What notifyUserNewChatEvent takes as event."`
}

// ChatCheck is the answer of checkOriginAndIP.
type ChatCheck struct {
	Type    string   `json:"type" doc:"Always result."`
	Message string   `json:"message" doc:"A sentence for people."`
	Allowed bool     `json:"allowed" doc:"The visitor may chat."`
	Reasons []string `json:"reasons" doc:"What forbids it: chatServer, origin, ip."`
}

// ChatLists is the answer of whitelistedDomainsAndBlacklistedIPs.
type ChatLists struct {
	WhitelistedDomains []string           `json:"whitelistedDomains" doc:"Those of all accounts together."`
	BlacklistedIPs     []string           `json:"blacklistedIPs" doc:"Those of all accounts together."`
	Accounts           []ChatAccountLists `json:"accounts" doc:"The same for each account: only there an empty list means that any is allowed."`
}

// ChatAccountLists are one account's lists.
type ChatAccountLists struct {
	ID                 string   `json:"id"`
	Name               string   `json:"name"`
	WhitelistedDomains []string `json:"whitelistedDomains" doc:"Empty for any."`
	BlacklistedIPs     []string `json:"blacklistedIPs"`
}

// ChatQueue is the answer of requestChatQueue.
type ChatQueue struct {
	Type     string `json:"type" doc:"Always result."`
	Message  string `json:"message" doc:"A sentence for people."`
	Queue    int    `json:"queue" doc:"How many chats wait for an agent's first word."`
	MaxQueue int    `json:"maxQueue" doc:"0 is no bound."`
	Full     bool   `json:"full" doc:"As many wait as may."`
	Open     bool   `json:"open" doc:"Now lies in the opening hours."`
}

// Accounts lists the chat accounts, by name.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	var list struct {
		Items []Account `json:"items"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: accountsPath}, &list)
	return list.Items, err
}

// Account is one chat account.
func (c *Client) Account(ctx context.Context, id string) (Account, error) {
	return c.account(ctx, call{method: http.MethodGet, path: accountPath(id)})
}

// CreateAccount makes a chat account.
func (c *Client) CreateAccount(ctx context.Context, f AccountFields) (Account, error) {
	return c.account(ctx, call{method: http.MethodPost, path: accountsPath, body: f})
}

// UpdateAccount changes the fields that are not nil.
func (c *Client) UpdateAccount(ctx context.Context, id string, f AccountFields) (Account, error) {
	return c.account(ctx, call{method: http.MethodPut, path: accountPath(id), body: f})
}

// DeleteAccount removes a chat account, and its sessions with it.
func (c *Client) DeleteAccount(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: accountPath(id)}, nil)
}

// ChatSessionFilter selects sessions; zero fields select all.
type ChatSessionFilter struct {
	AccountID string
	Limit     int    // a page's size, 1 to 1000; 0 means 50
	Cursor    string // from the page before
}

// ChatSessions is one page of sessions.
func (c *Client) ChatSessions(ctx context.Context, f ChatSessionFilter) (ChatSessionPage, error) {
	q := query{}
	q.text("account", f.AccountID)
	q.integer("limit", int64(f.Limit))
	q.text("cursor", f.Cursor)
	var page ChatSessionPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/chat/sessions", query: url.Values(q)}, &page)
	return page, err
}

// ChatSession is one session.
func (c *Client) ChatSession(ctx context.Context, id string) (ChatSession, error) {
	var one item[ChatSession]
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/chat/sessions/" + url.PathEscape(id)}, &one)
	return one.Item, err
}

// ChatMessage is a customer's message in live chat. The first of a session begins it.
type ChatMessage struct {
	ChatServer string // the base of the hookpoints that get the agent's replies
	SessionID  string // 10 to 65 letters, digits and hyphens, made by the caller
	Token      string // of the chat account
	Message    string
	URL        string // the page that the chat is on
	// IdempotencyKey makes sending again safe: 1 to 255 printable ASCII characters.
	IdempotencyKey string
}

// SendChat hands over a customer's message (POST /api/v2/chat/notifyUserNewChatMessage).
func (c *Client) SendChat(ctx context.Context, m ChatMessage) (Accepted, error) {
	body := form{}
	body.text("chatServer", m.ChatServer)
	body.text("chatSessionID", m.SessionID)
	body.text("chatAccountToken", m.Token)
	body.text("message", m.Message)
	body.text("url", m.URL)
	return c.accept(ctx, "/api/v2/chat/notifyUserNewChatMessage", body, m.IdempotencyKey)
}

// ChatReply is an agent's message in live chat. One of SessionID and TicketID must be set.
type ChatReply struct {
	SessionID string
	TicketID  int64
	Message   string
	UserID    int64
	// IdempotencyKey makes sending again safe: 1 to 255 printable ASCII characters.
	IdempotencyKey string
}

// SendReply hands over an agent's message (POST /api/v2/message with type 8).
func (c *Client) SendReply(ctx context.Context, m ChatReply) (Accepted, error) {
	body := form{"type": liveChat}
	body.text("chatSessionID", m.SessionID)
	body.integer("ticketID", m.TicketID)
	body.text("message", m.Message)
	body.integer("userID", m.UserID)
	return c.accept(ctx, "/api/v2/message", body, m.IdempotencyKey)
}

// liveChat stands for live chat where a channel's id is asked for.
const liveChat = 8

func (c *Client) account(ctx context.Context, r call) (Account, error) {
	var one item[Account]
	err := c.do(ctx, r, &one)
	return one.Item, err
}

const accountsPath = "/relay/v1/chat/accounts"

func accountPath(id string) string { return accountsPath + "/" + url.PathEscape(id) }
