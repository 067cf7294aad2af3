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

// Channel is a custom channel as the API shows it, with the limits that count. Its secret is
// never shown.
type Channel struct {
	ID                     int64     `json:"id" doc:"The channel's id; equal to the helpdesk's where it was given."`
	Name                   string    `json:"name"`
	Icon                   string    `json:"icon"`
	Endpoint               string    `json:"custom_channel_endpoint" doc:"Where agents' messages are POSTed to."`
	SecretSet              bool      `json:"custom_channel_secret_set" doc:"There is a secret, so requests are signed."`
	PreviousSecretsUntil   time.Time `json:"custom_channel_previous_secrets_until,omitzero" doc:"While a secret is being replaced: until when requests carry the older signature too."`
	IncludeSignature       bool      `json:"include_signature" doc:"Messages carry the agent's text signature."`
	WarningEN              string    `json:"custom_channel_warning_en"`
	WarningNL              string    `json:"custom_channel_warning_nl"`
	AvailableInQuickTicket bool      `json:"custom_channel_available_in_quick_ticket"`
	relay.Policy
	StatusCallback string    `json:"status_callback" doc:"Where news of messages is POSTed to; empty for none."`
	HookToken      string    `json:"hook_token,omitempty" doc:"For callers with CHANNEL_CUD: the secret part of hook_url."`
	HookURL        string    `json:"hook_url,omitempty" doc:"For callers with CHANNEL_CUD: where a helpdesk can POST agents' messages without a key."`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
}

// ChannelFields are what a channel is created from or changed to. Nil fields are left to
// their defaults, or as they are. Name and Endpoint are needed to create one.
type ChannelFields struct {
	ID                     *int64  `json:"id,omitempty"` // at creation only; nil takes the next free one
	Name                   *string `json:"name,omitempty"`
	Icon                   *string `json:"icon,omitempty"`
	Endpoint               *string `json:"custom_channel_endpoint,omitempty"`
	Secret                 *string `json:"custom_channel_secret,omitempty"` // empty ends signing
	IncludeSignature       *bool   `json:"include_signature,omitempty"`
	WarningEN              *string `json:"custom_channel_warning_en,omitempty"`
	WarningNL              *string `json:"custom_channel_warning_nl,omitempty"`
	AvailableInQuickTicket *bool   `json:"custom_channel_available_in_quick_ticket,omitempty"`

	Concurrency    *int            `json:"concurrency,omitempty"`
	Timeout        *relay.Duration `json:"timeout,omitempty"`
	MaxAttempts    *int            `json:"max_attempts,omitempty"`
	MaxAge         *relay.Duration `json:"max_age,omitempty"`
	RetryInitial   *relay.Duration `json:"retry_initial,omitempty"`
	RetryMax       *relay.Duration `json:"retry_max,omitempty"`
	RateLimit      *float64        `json:"rate_limit,omitempty"`
	RateBurst      *int            `json:"rate_burst,omitempty"`
	StatusCallback *string         `json:"status_callback,omitempty"`
	// SecretOverlap is how long a secret that Secret replaces stays valid beside it.
	SecretOverlap *relay.Duration `json:"custom_channel_secret_overlap,omitempty"`
}

// ChannelPage is a page of channels by id.
type ChannelPage struct {
	ItemStart int       `json:"itemStart" doc:"How many channels come before the page."`
	ItemTotal int       `json:"itemTotal" doc:"How many channels there are."`
	ItemLimit int       `json:"itemLimit" doc:"The page's largest size."`
	Items     []Channel `json:"items"`
}

// Channels is one page of channels: limit of them, 1 to 9999, after skipping start.
func (c *Client) Channels(ctx context.Context, start, limit int) (ChannelPage, error) {
	q := url.Values{"itemStart": {strconv.Itoa(start)}, "itemLimit": {strconv.Itoa(limit)}}
	var page ChannelPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/api/v2/channel", query: q}, &page)
	return page, err
}

// AllChannels walks all channels by id. It ends with the first error.
func (c *Client) AllChannels(ctx context.Context) iter.Seq2[Channel, error] {
	const size = 1000
	start := 0
	return pages("", func(string) ([]Channel, string, error) {
		page, err := c.Channels(ctx, start, size)
		start += len(page.Items)
		next := ""
		if len(page.Items) > 0 && start < page.ItemTotal {
			next = strconv.Itoa(start)
		}
		return page.Items, next, err
	})
}

// Channel is one channel.
func (c *Client) Channel(ctx context.Context, id int64) (Channel, error) {
	return c.channel(ctx, call{method: http.MethodGet, path: channelPath(id)})
}

// CreateChannel makes a channel.
func (c *Client) CreateChannel(ctx context.Context, f ChannelFields) (Channel, error) {
	return c.channel(ctx, call{method: http.MethodPost, path: "/api/v2/channel", body: f})
}

// UpdateChannel changes the fields that are not nil.
func (c *Client) UpdateChannel(ctx context.Context, id int64, f ChannelFields) (Channel, error) {
	return c.channel(ctx, call{method: http.MethodPut, path: channelPath(id), body: f})
}

// DeleteChannel removes a channel. Its messages that were not delivered yet become dead
// letters.
func (c *Client) DeleteChannel(ctx context.Context, id int64) error {
	return c.do(ctx, call{method: http.MethodDelete, path: channelPath(id)}, nil)
}

func (c *Client) channel(ctx context.Context, r call) (Channel, error) {
	var one item[Channel]
	err := c.do(ctx, r, &one)
	return one.Item, err
}

func channelPath(id int64) string { return "/api/v2/channel/" + strconv.FormatInt(id, 10) }
