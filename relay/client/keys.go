package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Key is an API key without its clear text, which nobody can get back.
type Key struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Permissions []string  `json:"permissions"`
	Channels    []int64   `json:"channels" doc:"The only channels that the key may use; empty means all."`
	CreatedAt   time.Time `json:"createdAt"`
	RevokedAt   time.Time `json:"revokedAt,omitzero" doc:"Since when the key is refused; left out for a key in force."`
}

// NewKey is a key that was just created, with its clear text: the only time it is shown.
type NewKey struct {
	Key
	APIKey string `json:"apiKey" doc:"The key to send in the apiKey header. It is shown this once."`
}

// KeyFields describe a key to create.
type KeyFields struct {
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"`
	Channels    []int64  `json:"channels,omitempty"` // empty means all
}

// Keys lists every key, revoked ones included.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	var list struct {
		Items []Key `json:"items"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/keys"}, &list)
	return list.Items, err
}

// CreateKey makes a key. Nobody can hand out a permission or channel that its own key lacks.
func (c *Client) CreateKey(ctx context.Context, f KeyFields) (NewKey, error) {
	var k item[NewKey]
	err := c.do(ctx, call{method: http.MethodPost, path: "/relay/v1/keys", body: f}, &k)
	return k.Item, err
}

// RevokeKey ends a key at once, on every instance.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/relay/v1/keys/" + url.PathEscape(id)}, nil)
}

// Version says which relay answers.
type Version struct {
	Version string `json:"version"`
	Go      string `json:"go" doc:"The Go version that the relay was built with."`
}

// Version asks the relay for its version.
func (c *Client) Version(ctx context.Context) (Version, error) {
	var v item[Version]
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/version"}, &v)
	return v.Item, err
}

// Stats are a few figures of the relay's state.
type Stats struct {
	Channels  int       `json:"channels" doc:"Channels that there are."`
	Keys      int       `json:"keys" doc:"API keys in force."`
	StartedAt time.Time `json:"startedAt" doc:"When the instance that answers was started."`
}

// Stats asks the relay for its figures.
func (c *Client) Stats(ctx context.Context) (Stats, error) {
	var s item[Stats]
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/stats"}, &s)
	return s.Item, err
}
