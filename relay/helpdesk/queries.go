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
	"slices"
	"strings"
	"sync"
	"time"
)

// Queries asks an Omnidesk account the questions of live chat. Visitors ask them with every
// page, so an answer is kept for a short while, and longer when the helpdesk has none: a
// widget that worked a moment ago goes on working.
type Queries struct {
	account   Account
	transport http.RoundTripper

	mu      sync.Mutex
	entries map[string]*kept
}

const (
	queryFresh   = 30 * time.Second // for how long an answer is given again unasked
	queryAgain   = 5 * time.Second  // the pause after the helpdesk failed
	queryStale   = 24 * time.Hour   // for how long it is given when the helpdesk fails
	queryTimeout = 5 * time.Second  // of one question: somebody waits
	queryKept    = 1000             // answers at most
	queryAnswer  = 1 << 20          // bytes of one answer
)

// kept is one question's last answer. Its lock is held while the helpdesk is asked, so that
// visitors who ask the same at once ask it once.
type kept struct {
	mu       sync.Mutex
	answer   json.RawMessage
	at       time.Time // of answer
	failure  error     // of the last question, if it came to nothing
	failedAt time.Time
}

// RefusedError is the helpdesk's own refusal of a question.
type RefusedError struct {
	Status  int // HTTP status
	Message string
}

// Error is the helpdesk's sentence.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the helpdesk answered %d: %s", e.Status, e.Message)
}

// NewQueries makes Queries that asks through transport, which decides what may be reached.
func NewQueries(account Account, transport http.RoundTripper) *Queries {
	return &Queries{account: account, transport: transport, entries: map[string]*kept{}}
}

// Ask answers one of requestChatConfig, checkOriginAndIP, requestChatQueue and
// whitelistedDomainsAndBlacklistedIPs with the helpdesk's JSON object, or {} when it gave
// none. A *RefusedError is never held back by an older answer.
func (q *Queries) Ask(ctx context.Context, call string, fields Values) (json.RawMessage, error) {
	e := q.entry(call, fields)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if e.answer != nil && now.Sub(e.at) < queryFresh {
		return e.answer, nil
	}
	if e.failure == nil || now.Sub(e.failedAt) >= queryAgain {
		answer, err := q.ask(ctx, call, fields)
		if err == nil {
			e.answer, e.at, e.failure = answer, time.Now(), nil
			return answer, nil
		}
		e.failure, e.failedAt = err, time.Now()
	}
	if _, refused := errors.AsType[*RefusedError](e.failure); !refused && e.answer != nil && now.Sub(e.at) < queryStale {
		return e.answer, nil
	}
	return nil, e.failure
}

// entry finds the place of a question's answer, and makes room for it.
func (q *Queries) entry(call string, fields Values) *kept {
	var key strings.Builder
	key.WriteString(call)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&key, "\x00%s\x00%s", name, fields[name])
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.entries[key.String()]; e != nil {
		return e
	}
	if len(q.entries) >= queryKept {
		// Any will do: the questions that are asked often are asked again at once.
		for old := range q.entries {
			delete(q.entries, old)
			break
		}
	}
	e := &kept{}
	q.entries[key.String()] = e
	return e
}

// ask does one request.
func (q *Queries) ask(ctx context.Context, call string, fields Values) (json.RawMessage, error) {
	// Whoever asked may go; others wait for the same answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryTimeout)
	defer cancel()
	req, err := q.request(ctx, call, fields)
	if err != nil {
		return nil, err
	}
	res, err := q.transport.RoundTrip(req)
	if err != nil {
		// The error of a round trip does not hold the URL, which may hold the key.
		return nil, fmt.Errorf("asking the helpdesk for %s: %w", call, err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	body, err := io.ReadAll(io.LimitReader(res.Body, queryAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the helpdesk's answer to %s: %w", call, err)
	}
	if len(body) > queryAnswer {
		return nil, fmt.Errorf("the helpdesk's answer to %s is larger than %d bytes", call, queryAnswer)
	}
	return queryResult(call, res.StatusCode, res.Header, body)
}

func (q *Queries) request(ctx context.Context, call string, fields Values) (*http.Request, error) {
	method, contentType := http.MethodPost, ""
	var body bytes.Buffer
	if len(fields) == 0 {
		method = http.MethodGet
	} else {
		w := multipart.NewWriter(&body)
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if err := w.WriteField(name, fields[name]); err != nil {
				return nil, fmt.Errorf("writing the field %s: %w", name, err)
			}
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("writing a form: %w", err)
		}
		contentType = w.FormDataContentType()
	}
	req, err := http.NewRequestWithContext(ctx, method, q.account.url("chat/"+call, url.Values{}), &body)
	if err != nil {
		return nil, errors.New("the helpdesk's base_url cannot be used") // the error itself would repeat the key
	}
	maps.Copy(req.Header, q.account.header())
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return req, nil
}

// queryResult tells an answer from a refusal and from a failure.
func queryResult(call string, status int, header http.Header, body []byte) (json.RawMessage, error) {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	var object map[string]any
	isObject := json.Unmarshal(body, &object) == nil
	said := ""
	if isObject {
		said, _ = lookUp(object, "message").(string)
	}
	switch {
	case status >= 200 && status < 300:
		if _, err := ReadAnswer(header, body); err != nil {
			return nil, &RefusedError{Status: status, Message: clip(said)}
		}
		if isObject {
			return body, nil
		}
		if len(body) == 0 {
			return json.RawMessage("{}"), nil
		}
		// Text, or a list: an object all the same, as every other answer is.
		if json.Valid(body) {
			return json.Marshal(map[string]any{"type": "list", "items": json.RawMessage(body)})
		}
		return json.Marshal(map[string]string{"type": "result", "message": strings.ToValidUTF8(string(body), "�")})
	case status == http.StatusBadRequest || status == http.StatusNotFound || status == http.StatusConflict || status == http.StatusUnprocessableEntity:
		if said == "" {
			said = http.StatusText(status)
		}
		return nil, &RefusedError{Status: status, Message: strings.ToValidUTF8(said[:min(len(said), 500)], "")}
	}
	return nil, fmt.Errorf("the helpdesk answered %s with %d %s", call, status, http.StatusText(status))
}
