package deliver

import (
	"io"
	"net/http"
	"sync/atomic"

	"omnirelay/relay"
)

// Ambiguity is how an attempt counts that was sent and got no answer, so that the receiver
// may have taken the message or not. An answer of 504 counts as none: a proxy in between
// waited in vain.
type Ambiguity int

// The ambiguities.
const (
	NotAmbiguous   Ambiguity = iota // like any failure
	AmbiguousRetry                  // relay.ReasonAmbiguous: try again, and so perhaps deliver twice
	AmbiguousDead                   // relay.ReasonAmbiguous, final: leave it to an operator, and so perhaps never deliver
)

// mark turns a failure without an answer into an ambiguous one.
func (a Ambiguity) mark(r *relay.Result) {
	if a != NotAmbiguous {
		r.Reason, r.Final = relay.ReasonAmbiguous, a == AmbiguousDead
	}
}

// sentBody knows whether a request was handed to the connection whole. While part of it is
// missing, no receiver can have taken it.
type sentBody struct {
	left atomic.Int64
}

// watchBody has the request's body watched, and those that take its place when the transport
// finds a kept connection closed and sends again.
func watchBody(req *http.Request) *sentBody {
	s := &sentBody{}
	s.left.Store(1)
	if req.ContentLength <= 0 {
		return s // without a body there is nothing to know it by
	}
	watch := func(body io.ReadCloser) io.ReadCloser {
		s.left.Store(req.ContentLength)
		return &watchedBody{ReadCloser: body, sent: s}
	}
	again := req.GetBody
	req.Body = watch(req.Body)
	if again != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			body, err := again()
			if err != nil {
				return nil, err
			}
			return watch(body), nil
		}
	}
	return s
}

func (s *sentBody) whole() bool { return s != nil && s.left.Load() <= 0 }

type watchedBody struct {
	io.ReadCloser
	sent *sentBody
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sent.left.Add(-int64(n))
	return n, err
}
