package daemon

import (
	"time"

	"omnirelay/relay"
	"omnirelay/relay/config"
	"omnirelay/relay/deliver"
	"omnirelay/relay/helpdesk"
)

// omnidesk makes the targets of messages to an Omnidesk account: each type of message is a
// call of its own there.
type omnidesk struct {
	account   helpdesk.Account
	ambiguous deliver.Ambiguity
	timeout   time.Duration
	open      helpdesk.OpenFile
}

func newOmnidesk(h config.Helpdesk, open helpdesk.OpenFile) *omnidesk {
	o := &omnidesk{
		account: helpdeskAccount(h),
		// The helpdesk has nothing by which it could tell a repeat from a new message.
		ambiguous: deliver.AmbiguousRetry,
		timeout:   time.Duration(h.Timeout),
		open:      open,
	}
	if h.OnTimeout == config.OnTimeoutDead {
		o.ambiguous = deliver.AmbiguousDead
	}
	return o
}

// helpdeskAccount is the account that the configuration names.
func helpdeskAccount(h config.Helpdesk) helpdesk.Account {
	a := helpdesk.NewAccount(h.BaseURL, h.APIKey.Reveal())
	a.KeyInQuery = h.APIKeyIn == config.KeyInQuery
	return a
}

func (o *omnidesk) target(e *relay.Entry) (deliver.Target, error) {
	url, header, err := o.account.Forward(&e.Message)
	if err != nil {
		// No later attempt could send it either, which only a renderer can say.
		return deliver.Target{URL: o.account.BaseURL, Render: func(*relay.Entry) (deliver.Payload, error) { //nolint:nilerr // the renderer reports it
			return deliver.Payload{}, err
		}}, nil
	}
	return deliver.Target{
		URL:       url,
		Header:    header,
		Timeout:   withFiles(o.timeout, e),
		Ambiguous: o.ambiguous,
		Render: func(e *relay.Entry) (deliver.Payload, error) {
			b, err := helpdesk.ForwardBody(&e.Message, o.open)
			return payload(b), err
		},
		Read: helpdesk.ReadAnswer,
	}, nil
}

func payload(b helpdesk.Body) deliver.Payload {
	return deliver.Payload{ContentType: b.ContentType, Bytes: b.Bytes, Open: b.Open, Size: b.Size}
}

// fileRate is the slowest rate, bytes a second, at which a file may go out before its attempt
// counts as timed out.
const fileRate = 512 << 10

// withFiles gives a message with a file the time that the file takes, besides its timeout.
func withFiles(timeout time.Duration, e *relay.Entry) time.Duration {
	for _, a := range e.Attachments {
		timeout += time.Duration(a.Size) * time.Second / fileRate
	}
	return timeout
}
