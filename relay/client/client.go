package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"omnirelay/relay"
)

// Options say how to reach a relay.
type Options struct {
	// BaseURL is where the API listens, such as http://127.0.0.1:8080. A path in it is kept.
	BaseURL string
	// Key is the API key. It is sent in the apiKey header and never part of an error.
	Key string
	// HTTP does the requests; it is copied, and follows no redirects. Defaults to a client of
	// its own with a timeout of 30 s.
	HTTP *http.Client
	// UserAgent defaults to omnirelay-client.
	UserAgent string
}

// Client calls a relay's API.
type Client struct {
	base  *url.URL
	key   string
	http  *http.Client
	agent string
}

// New checks the options and makes a Client. It does not connect.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.BaseURL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		// The text of err would repeat the URL, which may hold a password.
		return nil, errors.New("the relay's address must be an http or https URL such as http://127.0.0.1:8080")
	}
	base.RawQuery, base.Fragment = "", ""
	base.Path = strings.TrimSuffix(base.Path, "/")
	transport := http.Client{Timeout: 30 * time.Second}
	if o.HTTP != nil {
		transport = *o.HTTP
	}
	// A redirect would take the apiKey header along, to whatever host it names.
	transport.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: base, key: o.Key, http: &transport, agent: cmp.Or(o.UserAgent, "omnirelay-client")}, nil
}

// Error is the relay's refusal of a call.
type Error struct {
	Status     int                // HTTP status
	Code       string             // stable, for programs; "" when the answer was no error of the relay
	Message    string             // a sentence for people
	Fields     []relay.FieldError // what is wrong with which field
	RetryAfter time.Duration      // how long the relay asks to wait; 0 when it does not
}

// Error is the sentence, with the fields' own where there are several.
func (e *Error) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("the relay answered %d %s", e.Status, http.StatusText(e.Status))
	}
	if len(e.Fields) > 1 {
		return e.Message + ": " + relay.Problems(e.Fields).Error()
	}
	return e.Message
}

// call is one request.
type call struct {
	method string
	path   string
	query  url.Values
	header http.Header
	body   any // encoded as JSON; nil sends none
}

// maxAnswer bounds what is read of an answer, bytes; a page of 1000 large messages fits.
const maxAnswer = 256 << 20

// item is the envelope of one object.
type item[T any] struct {
	Item T `json:"item"`
}

// do sends a request and decodes the answer into out, unless out is nil.
func (c *Client) do(ctx context.Context, r call, out any) error {
	target := *c.base
	// JoinPath would resolve "..", which an escaped id may hold.
	target.RawPath = c.base.EscapedPath() + r.path
	path, err := url.PathUnescape(target.RawPath)
	if err != nil {
		return fmt.Errorf("calling %s: %w", r.path, err)
	}
	target.Path = path
	target.RawQuery = r.query.Encode()
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return fmt.Errorf("calling %s: %w", r.path, err)
	}
	maps.Copy(req.Header, r.header)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("apiKey", c.key)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("calling the relay: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the relay's answer: %w", err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return refusal(res, data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("reading the answer to %s %s, which may come from another server than a relay: %w", r.method, r.path, err)
	}
	return nil
}

// refusal reads an error answer; one that no relay wrote keeps its status only.
func refusal(res *http.Response, data []byte) error {
	e := &Error{Status: res.StatusCode}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	var body ErrorBody
	if media == "application/json" && json.Unmarshal(data, &body) == nil {
		e.Code, e.Message = body.Code, body.Message
		for _, f := range body.Errors {
			e.Fields = append(e.Fields, relay.FieldError{Field: f.Field, Rule: f.Message})
		}
	}
	return e
}

// ErrorBody is the body of every refusal.
type ErrorBody struct {
	Type    string       `json:"type" doc:"Always error."`
	Status  string       `json:"status" doc:"Always error: the helpdesk's older answers have this key."`
	Code    string       `json:"code" doc:"Stable, for programs."`
	Message string       `json:"message" doc:"A sentence for people."`
	Errors  []ErrorField `json:"errors,omitempty" doc:"What is wrong with which field."`
}

// ErrorField is one field's mistake.
type ErrorField struct {
	Field   string `json:"field"`
	Message string `json:"message" doc:"The rule that the field breaks, to be read after its name."`
}

// Result is the answer of a call that gives nothing back but its success.
type Result struct {
	Type    string `json:"type" doc:"Always result."`
	Message string `json:"message" doc:"A sentence for people."`
}
