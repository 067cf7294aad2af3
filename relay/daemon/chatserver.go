package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"omnirelay/relay"
	"omnirelay/relay/chat"
	"omnirelay/relay/deliver"
	"omnirelay/relay/helpdesk"
)

// chatServers makes the targets of what agents send to customers in live chat: the hookpoints
// of the session's chat server, signed with the secret of the session's account.
type chatServers struct {
	accounts *chat.Accounts
	timeout  time.Duration
	open     helpdesk.OpenFile
}

func (c *chatServers) target(ctx context.Context, e *relay.Entry) (deliver.Target, error) {
	url, err := helpdesk.HookpointURL(&e.Message)
	if err != nil {
		return deliver.Target{}, err
	}
	t := deliver.Target{
		URL:     url,
		Timeout: withFiles(c.timeout, e),
		Render: func(e *relay.Entry) (deliver.Payload, error) {
			b, err := helpdesk.HookpointBody(&e.Message, c.open)
			return payload(b), err
		},
	}
	token := e.Fields["chatAccountToken"]
	if token == "" {
		return t, nil
	}
	account, err := c.accounts.ByToken(ctx, token)
	switch {
	case errors.Is(err, chat.ErrNoAccount):
		return deliver.Target{}, deliver.ErrGone // deleted, and its sessions with it
	case err != nil:
		return deliver.Target{}, fmt.Errorf("looking up the chat account: %w", err)
	}
	t.Secrets = account.Secrets(time.Now())
	return t, nil
}
