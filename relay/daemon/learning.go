package daemon

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"omnirelay/relay"
	"omnirelay/relay/chat"
	"omnirelay/relay/dispatch"
	"omnirelay/relay/helpdesk"
	"omnirelay/relay/tickets"
)

// learning is a Sender that remembers the ticket that the helpdesk's answer named, and uses
// what it remembers.
//
// In live chat an agent's message in the ticket then finds the chat session, and the
// session's next answers name it. On a custom channel the customer's next message carries it
// to the helpdesk. That is done here, when a message is sent, and not when it comes in: the
// stored message, and with it the conversation that keeps its order, stays what the sender
// made it, and what waited through an outage profits as well.
type learning struct {
	dispatch.Sender
	sessions *chat.Sessions
	tickets  *tickets.Tickets // nil remembers none
	log      zerolog.Logger
}

// Deliver implements dispatch.Sender.
func (l *learning) Deliver(ctx context.Context, e *relay.Entry) relay.Result {
	if c, ok := l.customer(e); ok {
		return l.deliver(ctx, e, c)
	}
	r := l.Sender.Deliver(ctx, e)
	if session, ok := strings.CutPrefix(e.Conversation, "session:"); ok && r.TicketID != 0 && r.Reason == relay.ReasonOK {
		l.note(ctx, e, r.TicketID, func(ctx context.Context) error { return l.sessions.Learn(ctx, session, r.TicketID) })
	}
	return r
}

// customer is who sent a message of a custom channel that names no ticket. Without an address
// nobody can tell one customer from another.
func (l *learning) customer(e *relay.Entry) (tickets.Customer, bool) {
	c := tickets.Customer{ChannelID: e.ChannelID, Address: e.FromAddress}
	return c, l.tickets != nil && e.Type == helpdesk.TypeInbound && e.TicketID == 0 && c.ChannelID != 0 && c.Address != ""
}

// deliver sends a customer's message with the ticket that is remembered for them.
func (l *learning) deliver(ctx context.Context, e *relay.Entry, c tickets.Customer) relay.Result {
	known, err := l.tickets.Of(ctx, c)
	if err != nil {
		// Without its ticket the message might open a second one.
		return relay.Result{Reason: relay.ReasonUnresolved, Error: err.Error()}
	}
	if known != 0 {
		sent := *e
		sent.TicketID = known
		e = &sent
	}
	r := l.Sender.Deliver(ctx, e)
	switch {
	case r.Reason == relay.ReasonOK:
		if r.TicketID = cmp.Or(r.TicketID, known); r.TicketID != 0 {
			l.note(ctx, e, r.TicketID, func(ctx context.Context) error { return l.tickets.Learn(ctx, c, r.TicketID) })
		}
	case known != 0 && mayRefuseTicket(r):
		// The ticket may be gone or merged: the next attempt goes without it, and the helpdesk
		// finds or makes one. The customer's message is worth more than its place.
		l.note(ctx, e, known, func(ctx context.Context) error { return l.tickets.Forget(ctx, c) })
	}
	return r
}

// mayRefuseTicket reports whether an answer refuses what the message says, rather than who
// sends it or how often.
func mayRefuseTicket(r relay.Result) bool {
	switch r.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return r.Reason == relay.ReasonBadAnswer
}

// note writes down what an attempt taught. The attempt is over, whatever becomes of this; its
// record has the ticket too.
func (l *learning) note(ctx context.Context, e *relay.Entry, ticketID int64, write func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := write(ctx); err != nil {
		l.log.Warn().Err(err).Str("id", string(e.ID)).Int64("ticket", ticketID).Msg("what the helpdesk's answer said of the ticket was not remembered")
	}
}
