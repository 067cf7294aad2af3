package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"omnirelay/relay"
)

// Event is something that has just happened: either of its fields is set.
type Event struct {
	Message *Message       `json:"message,omitempty"` // was accepted
	Attempt *relay.Attempt `json:"attempt,omitempty"` // ended, or is an operator's deed
}

// TailFilter selects events; zero fields select all.
type TailFilter struct {
	Destination relay.Destination
	ChannelID   int64
}

// Tail is a stream of events.
type Tail struct {
	body    io.Closer
	scanner *bufio.Scanner
}

// maxEvent bounds one event, bytes.
const maxEvent = 16 << 20

// Tail follows what happens from now on: when it returns, everything that happens later will
// be seen. The HTTP client's timeout counts for the whole stream, so give Options.HTTP one
// without. Close the Tail.
func (c *Client) Tail(ctx context.Context, f TailFilter) (*Tail, error) {
	q := query{}
	q.text("destination", string(f.Destination))
	q.integer("channelID", f.ChannelID)
	target := c.base.JoinPath("/relay/v1/tail")
	target.RawQuery = url.Values(q).Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("calling %s: %w", "/relay/v1/tail", err)
	}
	if c.key != "" {
		req.Header.Set("apiKey", c.key)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("User-Agent", c.agent)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("calling the relay: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		defer func() { _ = res.Body.Close() }()
		data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		if err != nil {
			return nil, fmt.Errorf("reading the relay's answer: %w", err)
		}
		return nil, refusal(res, data)
	}
	scanner := bufio.NewScanner(res.Body)
	scanner.Buffer(nil, maxEvent)
	return &Tail{body: res.Body, scanner: scanner}, nil
}

// ErrTailEnded means that the relay ended the stream, as it does when it stops.
var ErrTailEnded = errors.New("the relay ended the stream")

// Next waits for the next event. The events are Server-Sent Events (WHATWG HTML, section
// 9.2): each has its JSON in one data line.
func (t *Tail) Next() (Event, error) {
	for t.scanner.Scan() {
		data, ok := bytes.CutPrefix(t.scanner.Bytes(), []byte("data:"))
		if !ok {
			continue // a comment, a name, or the end of an event
		}
		var e Event
		if err := json.Unmarshal(data, &e); err != nil {
			return e, fmt.Errorf("reading an event, which may come from another server than a relay: %w", err)
		}
		return e, nil
	}
	if err := t.scanner.Err(); err != nil {
		return Event{}, fmt.Errorf("following the relay: %w", err)
	}
	return Event{}, ErrTailEnded
}

// Close ends the stream.
func (t *Tail) Close() error {
	if err := t.body.Close(); err != nil {
		return fmt.Errorf("ending the stream: %w", err)
	}
	return nil
}
