package deliver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"omnirelay/relay"
	"omnirelay/relay/egress"
	"omnirelay/signer"
)

// Options is what a Deliverer needs.
type Options struct {
	// Transport sends the requests. It is used directly, without an http.Client, so nothing
	// follows redirects or keeps cookies. Defaults to a transport of egress.New(nil), which
	// reaches public addresses only; whoever passes another decides what may be reached.
	Transport http.RoundTripper
	// Resolver says where each message goes. Required.
	Resolver Resolver
	// Version is the relay's, for the User-Agent header. Defaults to "dev".
	Version string
}

// Deliverer makes attempts. It may be used by many goroutines at once.
type Deliverer struct {
	transport http.RoundTripper
	resolver  Resolver
	userAgent []string
}

// New makes a Deliverer.
func New(o Options) *Deliverer {
	d := &Deliverer{transport: o.Transport, resolver: o.Resolver, userAgent: []string{"omnirelay/" + o.Version}}
	if o.Transport == nil {
		d.transport = egress.New(nil).Transport()
	}
	if o.Version == "" {
		d.userAgent = []string{"omnirelay/dev"}
	}
	return d
}

// timeoutError is the cause with which an attempt's context ends.
type timeoutError time.Duration

func (e timeoutError) Error() string   { return "no complete answer within " + time.Duration(e).String() }
func (e timeoutError) Timeout() bool   { return true }
func (e timeoutError) Temporary() bool { return true }

// Deliver makes one attempt and says what it came to; it never returns an outcome of more
// than one try.
//
// When ctx ends during the attempt, a Result with relay.ReasonOK still holds: the receiver
// took the message. Any other Result then says nothing about the receiver, and the caller,
// which can see that its ctx has ended, should ignore it.
func (d *Deliverer) Deliver(ctx context.Context, e *relay.Entry) relay.Result {
	target, err := d.resolver.Resolve(ctx, e)
	switch {
	case errors.Is(err, ErrGone):
		result := relay.Result{Reason: relay.ReasonDiscarded, Error: ErrGone.Error()}
		if gone, ok := errors.AsType[*GoneError](err); ok {
			result.By = gone.By
		}
		return result
	case errors.Is(err, ErrNotSent):
		return relay.Result{Reason: relay.ReasonKept}
	case err != nil:
		return failed(relay.ReasonUnresolved, fmt.Errorf("looking up destination %s: %w", e.Destination, err), nil)
	}
	to, err := parseURL(target.URL)
	if err != nil {
		return failed(relay.ReasonUnresolved, fmt.Errorf("destination %s: %w", e.Destination, err), nil)
	}
	render := target.Render
	if render == nil {
		render = JSON
	}
	payload, err := render(e)
	if err != nil {
		return failed(relay.ReasonUndeliverable, err, to)
	}
	timeout := target.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	start := time.Now()
	attempt, cancel := context.WithTimeoutCause(ctx, timeout, timeoutError(timeout))
	defer cancel()
	result := d.post(attempt, e, target, to, payload, start)
	result.Duration = time.Since(start)
	return result
}

// post sends the request and reads the answer.
func (d *Deliverer) post(ctx context.Context, e *relay.Entry, target Target, to *url.URL, payload Payload, now time.Time) relay.Result {
	req := (&http.Request{
		Method: http.MethodPost, URL: to, Host: to.Host, Header: d.header(target.Header, payload.ContentType),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	signature, err := payload.sign(ctx, string(e.ID), now, target.Secrets)
	if err == nil {
		err = payload.attach(req)
	}
	if err != nil {
		reason := relay.ReasonUnresolved
		if errors.Is(err, ErrUndeliverable) {
			reason = relay.ReasonUndeliverable
		}
		return failed(reason, fmt.Errorf("reading the body of message %s: %w", e.ID, err), to)
	}
	signer.SetSignature(req.Header, string(e.ID), now, signature)

	var sent *sentBody
	if target.Ambiguous != NotAmbiguous {
		sent = watchBody(req)
	}
	res, err := d.transport.RoundTrip(req)
	if err != nil {
		result := failed(reasonOf(ctx, err), err, to)
		if sent.whole() {
			target.Ambiguous.mark(&result)
		}
		return result
	}
	defer res.Body.Close()
	result := relay.Result{Status: res.StatusCode, Reason: Classify(res.StatusCode)}
	if res.StatusCode == http.StatusGatewayTimeout {
		target.Ambiguous.mark(&result) // a proxy says that no answer came
	}
	if result.Status == http.StatusTooManyRequests || result.Status == http.StatusServiceUnavailable {
		result.RetryAfter = retryAfter(res.Header, time.Now())
	}
	if result.Reason != relay.ReasonOK {
		result.Error = statusError(res)
	}
	if res.StatusCode == http.StatusSwitchingProtocols || res.Body == http.NoBody && target.Read == nil {
		return result // after a 101 the body is the raw connection, which need not end
	}
	// An answer that breaks off changes nothing: its status said what became of the message.
	body, _ := readAnswer(res.Body)
	defer body.release()
	result.Response = clean(body.buf.Bytes(), maxAnswerKept)
	if result.Reason == relay.ReasonOK && target.Read != nil {
		if result.TicketID, err = target.Read(res.Header, body.buf.Bytes()); err != nil {
			result.Reason, result.Error = relay.ReasonBadAnswer, errorText(err, to)
		}
	}
	return result
}

// header makes a request's headers, ours last.
func (d *Deliverer) header(extra http.Header, contentType string) http.Header {
	h := make(http.Header, len(extra)+5)
	for name, values := range extra {
		h[http.CanonicalHeaderKey(name)] = values
	}
	h["User-Agent"] = d.userAgent
	h["Content-Type"] = []string{contentType}
	return h
}

// parseURL reads a Target's URL. Its errors hold nothing of the URL, which may carry a token.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("its URL cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("its URL does not start with https:// or http://")
	case u.Hostname() == "":
		return nil, errors.New("its URL names no host")
	case u.User != nil:
		return nil, errors.New("its URL carries a user name or password, which are never sent")
	}
	return u, nil
}

// reasonOf classifies the error of a round trip. When the attempt's own time is up, that is
// the reason, whatever the transport was in the middle of.
func reasonOf(ctx context.Context, err error) relay.Reason {
	reason := ClassifyError(err)
	var timeout timeoutError
	if reason == relay.ReasonNetwork && errors.As(context.Cause(ctx), &timeout) {
		return relay.ReasonTimeout
	}
	return reason
}

// failed is the Result of an attempt without an answer.
func failed(reason relay.Reason, err error, to *url.URL) relay.Result {
	return relay.Result{Reason: reason, Error: errorText(err, to)}
}

// statusError says what a receiver answered. It names the host of a redirect, because that is
// what an operator needs to correct the URL, and leaves out the rest of it.
func statusError(res *http.Response) string {
	text := fmt.Sprintf("the receiver answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	if res.StatusCode >= 300 && res.StatusCode <= 399 {
		text += "; redirects are never followed"
		if to, err := url.Parse(res.Header.Get("Location")); err == nil && to.Host != "" {
			text += ", this one leads to " + to.Scheme + "://" + to.Host
		}
	}
	return clean([]byte(text), maxErrorKept)
}

// errorText is what is recorded of an error: short, printable, and without the URL, whose
// query may be a token. Errors that repeat the whole URL are replaced by what they wrap.
func errorText(err error, to *url.URL) string {
	var withURL *url.Error
	for errors.As(err, &withURL) {
		err = withURL.Err
	}
	text := err.Error()
	if to != nil && len(to.RawQuery) > 3 { // a shorter one is no token, and may be part of any word
		text = strings.ReplaceAll(text, to.RawQuery, "…")
	}
	return clean([]byte(text), maxErrorKept)
}
