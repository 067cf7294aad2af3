package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"omnirelay/relay"
)

// Accepted is the answer to a message: it is stored, and what becomes of it can be looked
// up under MessageID.
type Accepted struct {
	Type      string    `json:"type" doc:"Always result."`
	Message   string    `json:"message" doc:"A sentence for people."`
	MessageID relay.ID  `json:"messageID,omitempty" doc:"The message's id, also its webhook-id. Left out only for a duplicate whose first message is no longer stored."`
	TicketID  int64     `json:"ticketID,omitempty" doc:"With live chat: the session's ticket, once the helpdesk has named it."`
	SendAt    time.Time `json:"sendAt,omitzero" doc:"With sendAt in the future: when the message will be sent."`
	Duplicate bool      `json:"duplicate,omitempty" doc:"The idempotency key was used before; messageID is the first message's."`
}

// State is where a message stands.
type State string

// The states.
const (
	StateQueued    State = "queued"    // accepted, not tried yet
	StateRetrying  State = "retrying"  // tried; waits for its next attempt
	StateDelivered State = "delivered" // answered with 2xx
	StateDead      State = "dead"      // a dead letter

	// StateScheduled is that of a message that waits for its time, NextAt. It is in no list of
	// messages yet; see Client.Scheduled.
	StateScheduled State = "scheduled"
)

// States lists the states of messages in lists.
func States() []State {
	return []State{StateQueued, StateRetrying, StateDelivered, StateDead}
}

// Message is a stored message and what became of it so far.
type Message struct {
	relay.Message
	Sequence          relay.Position  `json:"sequence" doc:"The message's place in the log; grows within a conversation."`
	State             State           `json:"state" doc:"queued, retrying, delivered or dead; scheduled while it waits for its time."`
	LastAttempt       *relay.Attempt  `json:"lastAttempt,omitempty" doc:"The latest attempt that ended."`
	NextAt            time.Time       `json:"nextAt,omitzero" doc:"When it is tried next, where that is known."`
	Attempts          []relay.Attempt `json:"attempts,omitempty" doc:"Every attempt that ended, oldest first; with one message only, not in lists."`
	AttemptsTruncated bool            `json:"attemptsTruncated,omitempty" doc:"There were more attempts than are shown."`
}

// MessagePage is a page of messages, newest first.
type MessagePage struct {
	Items []Message `json:"items"`
	Next  string    `json:"next,omitempty" doc:"The cursor of the next page; left out with the last."`
}

// DeadLetter is a message that will not be tried again by itself.
type DeadLetter struct {
	Message relay.Message `json:"message"`
	Attempt relay.Attempt `json:"attempt" doc:"The attempt that ended it, with the reason."`
	DiedAt  time.Time     `json:"diedAt"`
}

// DeadPage is a page of dead letters, oldest first: the order in which a replay should go.
type DeadPage struct {
	Items []DeadLetter `json:"items"`
	Next  string       `json:"next,omitempty" doc:"The cursor of the next page; left out with the last."`
}

// InboundMessage is a customer's message. ChannelID or TicketID must be set.
type InboundMessage struct {
	ChannelID   int64
	TicketID    int64
	Message     string
	Title       string
	ToAddress   string
	FromAddress string
	UserID      int64
	// IdempotencyKey makes sending again safe: 1 to 255 printable ASCII characters.
	IdempotencyKey string
}

// OutboundMessage is an agent's message. ChannelID and one of TicketID and ToAddress must
// be set.
type OutboundMessage struct {
	ChannelID   int64
	TicketID    int64
	Message     string
	Title       string
	ToAddress   string
	FromAddress string
	UserID      int64
	Signature   string
	// SendAt is when to send it, YYYY-MM-DD HH:MM:SS in the relay's zone for such times (UTC by
	// default); empty for at once.
	SendAt string
	// IdempotencyKey makes sending again safe: 1 to 255 printable ASCII characters.
	IdempotencyKey string
}

// SendInbound hands over a customer's message (POST /api/v2/channel/customChannelMessage).
func (c *Client) SendInbound(ctx context.Context, m InboundMessage) (Accepted, error) {
	body := form{}
	body.integer("channelID", m.ChannelID)
	body.integer("ticketID", m.TicketID)
	body.text("message", m.Message)
	body.text("title", m.Title)
	body.text("toAddress", m.ToAddress)
	body.text("fromAddress", m.FromAddress)
	body.integer("userID", m.UserID)
	return c.accept(ctx, "/api/v2/channel/customChannelMessage", body, m.IdempotencyKey)
}

// SendOutbound hands over an agent's message (POST /api/v2/message).
func (c *Client) SendOutbound(ctx context.Context, m OutboundMessage) (Accepted, error) {
	body := form{}
	body.integer("type", m.ChannelID)
	body.integer("ticketID", m.TicketID)
	body.text("message", m.Message)
	body.text("title", m.Title)
	body.text("toAddress", m.ToAddress)
	body.text("fromAddress", m.FromAddress)
	body.integer("userID", m.UserID)
	body.text("signature", m.Signature)
	body.text("sendAt", m.SendAt)
	return c.accept(ctx, "/api/v2/message", body, m.IdempotencyKey)
}

func (c *Client) accept(ctx context.Context, path string, body form, idempotencyKey string) (Accepted, error) {
	header := http.Header{}
	if idempotencyKey != "" {
		header.Set("Idempotency-Key", idempotencyKey)
	}
	var a Accepted
	err := c.do(ctx, call{method: http.MethodPost, path: path, body: body, header: header}, &a)
	return a, err
}

// MessageFilter selects messages; zero fields select all.
type MessageFilter struct {
	Destination  relay.Destination
	Direction    relay.Direction
	ChannelID    int64
	Conversation string
	State        State
	Since, Until time.Time
	Limit        int    // a page's size, 1 to 1000; 0 means 50
	Cursor       string // from the page before
}

func (f MessageFilter) query() url.Values {
	q := query{}
	q.text("destination", string(f.Destination))
	q.text("direction", string(f.Direction))
	q.integer("channelID", f.ChannelID)
	q.text("conversation", f.Conversation)
	q.text("state", string(f.State))
	q.time("since", f.Since)
	q.time("until", f.Until)
	q.integer("limit", int64(f.Limit))
	q.text("cursor", f.Cursor)
	return url.Values(q)
}

// Messages is one page of messages, newest first.
func (c *Client) Messages(ctx context.Context, f MessageFilter) (MessagePage, error) {
	var page MessagePage
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/messages", query: f.query()}, &page)
	return page, err
}

// AllMessages walks all pages from f.Cursor on. It ends with the first error.
func (c *Client) AllMessages(ctx context.Context, f MessageFilter) iter.Seq2[Message, error] {
	return pages(f.Cursor, func(cursor string) ([]Message, string, error) {
		f.Cursor = cursor
		page, err := c.Messages(ctx, f)
		return page.Items, page.Next, err
	})
}

// Message is one message with all its attempts.
func (c *Client) Message(ctx context.Context, id relay.ID) (Message, error) {
	var m item[Message]
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/messages/" + url.PathEscape(string(id))}, &m)
	return m.Item, err
}

// DeadFilter selects dead letters; zero fields select all.
type DeadFilter struct {
	Destination  relay.Destination
	ChannelID    int64
	Reason       relay.Reason
	Since, Until time.Time
	Limit        int    // a page's size, 1 to 1000; 0 means 50
	Cursor       string // from the page before
}

func (f DeadFilter) query() url.Values {
	q := query{}
	q.text("destination", string(f.Destination))
	q.integer("channelID", f.ChannelID)
	q.text("reason", string(f.Reason))
	q.time("since", f.Since)
	q.time("until", f.Until)
	q.integer("limit", int64(f.Limit))
	q.text("cursor", f.Cursor)
	return url.Values(q)
}

// Dead is one page of dead letters, oldest first.
func (c *Client) Dead(ctx context.Context, f DeadFilter) (DeadPage, error) {
	var page DeadPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/dead", query: f.query()}, &page)
	return page, err
}

// AllDead walks all pages from f.Cursor on. It ends with the first error.
func (c *Client) AllDead(ctx context.Context, f DeadFilter) iter.Seq2[DeadLetter, error] {
	return pages(f.Cursor, func(cursor string) ([]DeadLetter, string, error) {
		f.Cursor = cursor
		page, err := c.Dead(ctx, f)
		return page.Items, page.Next, err
	})
}

// DeadLetter is one dead letter.
func (c *Client) DeadLetter(ctx context.Context, id relay.ID) (DeadLetter, error) {
	var d item[DeadLetter]
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/dead/" + url.PathEscape(string(id))}, &d)
	return d.Item, err
}

// ReplayDead puts a dead letter back into the queue, under the same id.
func (c *Client) ReplayDead(ctx context.Context, id relay.ID) (Accepted, error) {
	var a Accepted
	err := c.do(ctx, call{method: http.MethodPost, path: "/relay/v1/dead/" + url.PathEscape(string(id)) + "/replay"}, &a)
	return a, err
}

// DiscardDead removes a dead letter from the box for good. The message's history stays.
func (c *Client) DiscardDead(ctx context.Context, id relay.ID) error {
	return c.do(ctx, call{method: http.MethodPost, path: "/relay/v1/dead/" + url.PathEscape(string(id)) + "/discard"}, nil)
}

// pages walks the pages of a list.
func pages[T any](cursor string, page func(cursor string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			items, next, err := page(cursor)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, i := range items {
				if !yield(i, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			cursor = next
		}
	}
}

// query and form collect what is not zero.
type query url.Values

func (q query) text(name, value string) {
	if value != "" {
		url.Values(q).Set(name, value)
	}
}

func (q query) integer(name string, value int64) {
	if value != 0 {
		url.Values(q).Set(name, strconv.FormatInt(value, 10))
	}
}

func (q query) time(name string, value time.Time) {
	if !value.IsZero() {
		url.Values(q).Set(name, value.Format(time.RFC3339Nano))
	}
}

type form map[string]any

func (f form) text(name, value string) {
	if value != "" {
		f[name] = value
	}
}

func (f form) integer(name string, value int64) {
	if value != 0 {
		f[name] = value
	}
}
