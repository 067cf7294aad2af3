package daemon

import (
	"context"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"omnirelay/relay"
	"omnirelay/relay/chat"
	"omnirelay/relay/dispatch"
)

// learning is a Sender that remembers the ticket that the helpdesk's answer named: an agent's
// message in that ticket then finds the chat session, and the session's next answers name it.
type learning struct {
	dispatch.Sender
	sessions *chat.Sessions
	log      zerolog.Logger
}

// Deliver implements dispatch.Sender.
func (l *learning) Deliver(ctx context.Context, e *relay.Entry) relay.Result {
	r := l.Sender.Deliver(ctx, e)
	session, ok := strings.CutPrefix(e.Conversation, "session:")
	if !ok || r.TicketID == 0 || r.Reason != relay.ReasonOK {
		return r
	}
	// The message is delivered, whatever becomes of this; the attempt's record has the ticket
	// too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := l.sessions.Learn(ctx, session, r.TicketID); err != nil {
		l.log.Warn().Err(err).Str("id", string(e.ID)).Int64("ticket", r.TicketID).Msg("the ticket of a chat session was not remembered")
	}
	return r
}
