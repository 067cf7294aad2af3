package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"

	"omnirelay/relay"
)

// Scheduled is a message that waits for its time.
type Scheduled struct {
	Message relay.Message `json:"message"`
	SendAt  time.Time     `json:"sendAt"`
	Sending bool          `json:"sending,omitempty" doc:"Its time has come: it can no longer be cancelled."`
}

// ScheduledPage is a page of messages that wait, the next to be sent first.
type ScheduledPage struct {
	Items []Scheduled `json:"items"`
	Next  string      `json:"next,omitempty" doc:"The cursor of the next page; left out with the last."`
}

// ScheduledFilter selects messages that wait; zero fields select all.
type ScheduledFilter struct {
	ChannelID int64
	Limit     int    // a page's size, 1 to 1000; 0 means 50
	Cursor    string // from the page before
}

// Scheduled is one page of messages that wait for their time.
func (c *Client) Scheduled(ctx context.Context, f ScheduledFilter) (ScheduledPage, error) {
	q := query{}
	q.integer("channelID", f.ChannelID)
	q.integer("limit", int64(f.Limit))
	q.text("cursor", f.Cursor)
	var page ScheduledPage
	err := c.do(ctx, call{method: http.MethodGet, path: "/relay/v1/scheduled", query: url.Values(q)}, &page)
	return page, err
}

// AllScheduled walks all pages from f.Cursor on. It ends with the first error.
func (c *Client) AllScheduled(ctx context.Context, f ScheduledFilter) iter.Seq2[Scheduled, error] {
	return pages(f.Cursor, func(cursor string) ([]Scheduled, string, error) {
		f.Cursor = cursor
		page, err := c.Scheduled(ctx, f)
		return page.Items, page.Next, err
	})
}

// CancelScheduled takes a message out of the schedule for good.
func (c *Client) CancelScheduled(ctx context.Context, id relay.ID) error {
	return c.do(ctx, call{method: http.MethodDelete, path: "/relay/v1/scheduled/" + url.PathEscape(string(id))}, nil)
}
