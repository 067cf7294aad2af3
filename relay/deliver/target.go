package deliver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"omnirelay/relay"
	"omnirelay/signer"
)

// DefaultTimeout is the timeout of a Target that sets none.
const DefaultTimeout = 15 * time.Second

// What a Resolver returns when there is nowhere to send a message. Any other error means that
// it could not find out now (relay.ReasonUnresolved).
var (
	// ErrGone: the destination was deleted; the message is to be discarded. A *GoneError is
	// an ErrGone that also says by whom.
	ErrGone = errors.New("the destination no longer exists")
	// ErrNotSent: by its settings the destination sends nothing; the message is kept for
	// readers and counts as done.
	ErrNotSent = errors.New("the destination keeps messages and sends none")
)

// ErrUndeliverable is what a Payload's Open returns when the body can never be read again.
var ErrUndeliverable = errors.New("the body is gone")

// GoneError is an ErrGone that names who deleted the destination, for the message's record.
type GoneError struct {
	By string
}

// Error says who deleted the destination.
func (e *GoneError) Error() string { return ErrGone.Error() + ": it was deleted by " + e.By }

// Is makes errors.Is(err, ErrGone) hold.
func (e *GoneError) Is(target error) bool { return target == ErrGone }

// Resolver finds out where a message goes. It is asked at every attempt, so that a corrected
// URL helps the messages that are waiting already. Its errors must not contain secrets.
type Resolver interface {
	Resolve(ctx context.Context, e *relay.Entry) (Target, error)
}

// Target is where a message is POSTed now, and how.
type Target struct {
	// URL is http or https, without user name and password.
	URL string
	// Secrets sign the request, each with a signature of its own; none means that it goes
	// unsigned. During a rotation there are two.
	Secrets []signer.Secret
	// Header is sent along. It cannot replace the headers that this package sets itself:
	// Content-Type, User-Agent and the three of Standard Webhooks.
	Header http.Header
	// Timeout bounds the attempt from dialling to the end of the answer. Defaults to
	// DefaultTimeout.
	Timeout time.Duration
	// Render makes the body. Defaults to JSON.
	Render Renderer
	// Ambiguous says what a request without an answer means at a receiver that cannot tell a
	// repeat from a new message. Defaults to NotAmbiguous: receivers know repeats by their
	// webhook-id.
	Ambiguous Ambiguity
	// Read understands the body of a 2xx answer. Defaults to nil: a 2xx is a success
	// whatever its body says.
	Read AnswerReader
}

// Renderer makes a message's body. It depends on the message alone: every attempt sends the
// same bytes, and an error means that the message can never be sent
// (relay.ReasonUndeliverable).
type Renderer func(e *relay.Entry) (Payload, error)

// AnswerReader reads the body of a 2xx answer, of which it gets at most the first 64 KiB,
// less when the answer broke off. An error means that the receiver said 2xx but failed
// (relay.ReasonBadAnswer); its text is recorded. The ticket is 0 when the answer names none.
type AnswerReader func(header http.Header, body []byte) (ticketID int64, err error)

// Payload is a request's body: Bytes, or a stream that Open starts.
type Payload struct {
	ContentType string
	Bytes       []byte
	// Open starts a body too large to hold in memory, of exactly Size bytes. It is called
	// more than once when the body is signed as well as sent, and must give the same bytes
	// each time. An error means that it cannot be read now, ErrUndeliverable that it never
	// can. When Open is nil, Bytes is the body.
	Open func(ctx context.Context) (io.ReadCloser, error)
	Size int64 // of what Open gives, in bytes
}

// sign returns the webhook-signature header's value.
func (p Payload) sign(ctx context.Context, id string, at time.Time, secrets []signer.Secret) (string, error) {
	if p.Open == nil || len(secrets) == 0 {
		return signer.Sign(id, at, p.Bytes, secrets...), nil
	}
	body, err := p.Open(ctx)
	if err != nil {
		return "", err
	}
	signature, err := signer.SignReader(id, at, body, secrets...)
	return signature, errors.Join(err, body.Close())
}

// attach gives the request the body, with its length and the means to send it again should
// the transport find a kept connection closed before it wrote to it.
func (p Payload) attach(req *http.Request) error {
	if p.Open == nil {
		req.ContentLength = int64(len(p.Bytes))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.Bytes)), nil }
	} else {
		req.ContentLength = p.Size
		req.GetBody = func() (io.ReadCloser, error) { return p.Open(req.Context()) }
	}
	if req.ContentLength == 0 {
		req.Body = http.NoBody // otherwise a length of 0 stands for unknown, and the body is chunked
		return nil
	}
	body, err := req.GetBody()
	req.Body = body
	return err
}
