package queue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// acknowledged takes the server's word on a record.
func (p *publisher) acknowledged(m *nats.Msg) {
	token, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, p.prefix), 36, 64)
	if err != nil {
		return
	}
	a, err := readAck(m)
	p.mu.Lock()
	s := p.waiting[token]
	if s == nil {
		p.mu.Unlock()
		p.lost()
		return
	}
	// Whoever waits may give up as soon as the lock is open, and s be used again.
	hook, group := s.hook, s.group
	s.landed()
	if group == nil || err != nil {
		delete(p.waiting, token)
		group = nil
	}
	p.mu.Unlock()
	if hook != nil && err == nil {
		hook(a)
	}
	if group != nil {
		group.add(unflushed{s, token, a})
		return
	}
	s.came <- acknowledgement{a, storeError(err)}
}

// unflushed is a record that was acknowledged and waits for a flush.
type unflushed struct {
	*publication
	token uint64 // as it was then: it may have been given up meanwhile
	ack   ack
}

// flushed answers what waited for a flush.
func (p *publisher) flushed(group []unflushed, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range group {
		if p.waiting[s.token] == s.publication {
			delete(p.waiting, s.token)
			s.came <- acknowledgement{s.ack, err}
		}
	}
}

// disconnected answers all that waits: the answers would have come over the connection that
// is gone.
func (p *publisher) disconnected() {
	defer p.lost()
	p.mu.Lock()
	defer p.mu.Unlock()
	for token, s := range p.waiting {
		delete(p.waiting, token)
		s.landed()
		s.came <- acknowledgement{err: storeError(nats.ErrDisconnected)}
	}
}

// overdue gives up what has waited for longer than patience. One alarm for all is set anew
// when it has rung, so that a record costs no timer.
func (p *publisher) overdue() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = len(p.waiting) > 0
	next := p.patience
	for token, s := range p.waiting {
		left := p.patience - time.Since(s.sent)
		if left > 0 {
			next = min(next, left)
			continue
		}
		missing := "flush"
		if s.away || s.group == nil {
			missing = "acknowledgement"
		}
		delete(p.waiting, token)
		s.landed()
		s.came <- acknowledgement{err: fmt.Errorf("%w: no %s within %s", ErrUnavailable, missing, p.patience)}
	}
	if p.armed {
		p.alarm.Reset(next)
	}
}

// readAck decodes an acknowledgement. Nearly all of them are {"stream":"…","seq":17}, which
// needs no decoder.
func readAck(m *nats.Msg) (ack, error) {
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
		return ack{}, jetstream.ErrNoStreamResponse
	}
	if body, ok := bytes.CutPrefix(m.Data, []byte(`{"stream":"`)); ok {
		if name, digits, ok := bytes.Cut(body, []byte(`","seq":`)); ok && len(name) > 0 {
			digits, ends := bytes.CutSuffix(digits, []byte("}"))
			if seq, err := strconv.ParseUint(string(digits), 10, 64); ends && err == nil && seq > 0 {
				return ack{seq: seq}, nil
			}
		}
	}
	var answer struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return ack{}, fmt.Errorf("%w: %w", jetstream.ErrInvalidJSAck, err)
	}
	switch {
	case answer.Error != nil:
		return ack{}, answer.Error
	case answer.Stream == "":
		return ack{}, jetstream.ErrInvalidJSAck
	}
	return ack{seq: answer.Sequence, duplicate: answer.Duplicate}, nil
}
