package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"omnirelay/relay"
)

// Hold is an operator's pause of a destination: it goes on accepting, nothing is sent.
type Hold struct {
	Destination relay.Destination `json:"destination" doc:"What is on hold: helpdesk, or channel- and an id."`
	ChannelID   int64             `json:"channelID,omitempty" doc:"The channel's id, where the destination is a channel."`
	Since       time.Time         `json:"since"`
	By          string            `json:"by" doc:"Whose key asked for it; relay for the relay itself, after a 410."`
	Why         string            `json:"why,omitempty" doc:"The reason that was given."`
}

// Replay is a request to send a destination everything since a time once more, which has
// not been carried out yet.
type Replay struct {
	ID          string            `json:"id"`
	Destination relay.Destination `json:"destination" doc:"What is replayed: helpdesk, or channel- and an id."`
	ChannelID   int64             `json:"channelID,omitempty" doc:"The channel's id, where the destination is a channel."`
	Since       time.Time         `json:"since" doc:"Messages stored from this time on are sent again."`
	By          string            `json:"by" doc:"Whose key asked for it."`
	RequestedAt time.Time         `json:"requestedAt" doc:"Messages stored from this time on are not part of it: they are sent anyway."`
}

// Holds lists the destinations on hold, by name.
func (c *Client) Holds(ctx context.Context) ([]Hold, error) {
	var list struct {
		Items []Hold `json:"items"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/holds"}, &list)
	return list.Items, err
}

// Hold pauses a destination. One that is on hold already keeps its beginning. why may be
// empty.
func (c *Client) Hold(ctx context.Context, d relay.Destination, why string) (Hold, error) {
	body := form{}
	body.text("destination", string(d))
	body.text("why", why)
	var h item[Hold]
	err := c.do(ctx, call{method: http.MethodPost, path: "/relay/v1/holds", body: body}, &h)
	return h.Item, err
}

// Resume ends a hold; the backlog is sent in order.
func (c *Client) Resume(ctx context.Context, d relay.Destination) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/relay/v1/holds/" + url.PathEscape(string(d))}, nil)
}

// Replays lists the replays that are not carried out yet, by destination.
func (c *Client) Replays(ctx context.Context) ([]Replay, error) {
	var list struct {
		Items []Replay `json:"items"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/replays"}, &list)
	return list.Items, err
}

// Replay asks for everything that a destination was sent since a time to be sent once more,
// oldest first, under the same ids.
func (c *Client) Replay(ctx context.Context, d relay.Destination, since time.Time) (Replay, error) {
	body := form{}
	body.text("destination", string(d))
	body.text("since", since.Format(time.RFC3339Nano))
	var r item[Replay]
	err := c.do(ctx, call{method: http.MethodPost, path: "/relay/v1/replays", body: body}, &r)
	return r.Item, err
}
