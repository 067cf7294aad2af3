package helpdesk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Channel is a custom channel as an Omnidesk account has it.
type Channel struct {
	ID       int64
	Name     string
	Icon     string
	Endpoint string // custom_channel_endpoint; empty for a channel of another sort
}

// Channels lists and changes the custom channels of an Omnidesk account.
type Channels struct {
	account   Account
	transport http.RoundTripper
}

// NewChannels makes Channels that calls through transport. The account's key needs the
// permissions CHANNEL_READ and CHANNEL_CUD.
func NewChannels(account Account, transport http.RoundTripper) *Channels {
	return &Channels{account: account, transport: transport}
}

const (
	channelTimeout = 30 * time.Second // of one call
	channelAnswer  = 8 << 20          // bytes of one answer
	channelPages   = 1000             // of a list, so that one without an end ends
)

// List returns all channels. The specification shows no pages, the envelope of lists has
// them, so what is missing from the first answer is asked for.
func (c *Channels) List(ctx context.Context) ([]Channel, error) {
	var list []Channel
	seen := map[int64]bool{}
	for range channelPages {
		query := url.Values{}
		if len(list) > 0 {
			query.Set("itemStart", strconv.Itoa(len(list)))
		}
		body, err := c.do(ctx, http.MethodGet, "channel", query, nil)
		if err != nil {
			return nil, err
		}
		page, total, err := readChannels(body)
		if err != nil {
			return nil, err
		}
		before := len(list)
		for _, channel := range page {
			if !seen[channel.ID] {
				seen[channel.ID] = true
				list = append(list, channel)
			}
		}
		if len(list) == before || int64(len(list)) >= total {
			return list, nil
		}
	}
	return nil, errors.New("the helpdesk's list of channels has no end")
}

// readChannels reads a list: the envelope with items, or the items alone.
func readChannels(body []byte) (list []Channel, total int64, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var answer any
	if err := d.Decode(&answer); err != nil {
		return nil, 0, fmt.Errorf("the helpdesk's list of channels is no JSON: %w", err)
	}
	if envelope, ok := answer.(map[string]any); ok {
		total = whole(lookUp(envelope, "itemtotal"))
		answer = lookUp(envelope, "items")
	}
	items, ok := answer.([]any)
	if !ok {
		return nil, 0, errors.New("the helpdesk's list of channels holds no items")
	}
	for _, item := range items {
		object, _ := item.(map[string]any) // not an object has no id
		id := whole(lookUp(object, "id"))
		if id == 0 {
			return nil, 0, errors.New("a channel in the helpdesk's list has no id")
		}
		list = append(list, Channel{
			ID: id, Name: text(object, "name"), Icon: text(object, "icon"), Endpoint: text(object, "customchannelendpoint"),
		})
	}
	return list, total, nil
}

func text(object map[string]any, key string) string {
	s, _ := lookUp(object, key).(string)
	return s
}

// Create makes a channel and returns its id there; 0 when the answer does not name it.
func (c *Channels) Create(ctx context.Context, channel Channel) (id int64, err error) {
	body, err := c.do(ctx, http.MethodPost, "channel", nil, channel.fields())
	if err != nil {
		return 0, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var answer map[string]any
	if d.Decode(&answer) != nil {
		return 0, nil //nolint:nilerr // an answer without an id is a success too
	}
	item, _ := lookUp(answer, "item").(map[string]any) // absent in a result
	for _, v := range []any{lookUp(answer, "id"), lookUp(answer, "channelid"), lookUp(item, "id")} {
		if id := whole(v); id != 0 {
			return id, nil
		}
	}
	return 0, nil
}

// Update changes a channel's name, icon and endpoint.
func (c *Channels) Update(ctx context.Context, channel Channel) error {
	_, err := c.do(ctx, http.MethodPut, "channel/"+strconv.FormatInt(channel.ID, 10), nil, channel.fields())
	return err
}

// fields are the fields that are not empty.
func (c Channel) fields() Values {
	v := Values{"name": c.Name, "icon": c.Icon, "custom_channel_endpoint": c.Endpoint}
	maps.DeleteFunc(v, func(_, value string) bool { return value == "" })
	return v
}

// do makes one call and returns the body of a success.
func (c *Channels) do(ctx context.Context, method, call string, query url.Values, fields Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, channelTimeout)
	defer cancel()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range fields {
		if err := w.WriteField(name, value); err != nil {
			return nil, fmt.Errorf("writing the field %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("writing a form: %w", err)
	}
	if len(fields) == 0 {
		body.Reset()
	}
	req, err := http.NewRequestWithContext(ctx, method, c.account.url(call, query), &body)
	if err != nil {
		return nil, errors.New("the helpdesk's base_url cannot be used") // the error itself would repeat the key
	}
	maps.Copy(req.Header, c.account.header())
	if len(fields) > 0 {
		req.Header.Set("Content-Type", w.FormDataContentType())
	}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("calling the helpdesk (%s %s): %w", method, call, err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	answer, err := io.ReadAll(io.LimitReader(res.Body, channelAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the helpdesk's answer (%s %s): %w", method, call, err)
	}
	if res.StatusCode/100 == 2 {
		if _, err := ReadAnswer(res.Header, answer); err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, call, err)
		}
		return answer, nil
	}
	var refused map[string]any
	said := ""
	if json.Unmarshal(answer, &refused) == nil {
		said = ": " + strings.TrimSpace(text(refused, "message"))
	}
	return nil, fmt.Errorf("%s %s: the helpdesk answered %d %s%s", method, call, res.StatusCode, http.StatusText(res.StatusCode), said)
}
