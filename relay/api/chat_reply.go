package api

import (
	"context"
	"errors"
	"strconv"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/chat"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

// postReply takes an agent's message to a chat session: POST /api/v2/message with type 8. Its
// files follow it, each as a message of its own, because the hookpoint takes one at a time.
func (a *API) postReply(r *request) error {
	session, err := a.replySession(r)
	if err != nil {
		return err
	}
	ctx := r.Request().Context()
	account, err := a.sessionAccount(ctx, session)
	if err != nil {
		return err
	}
	m := replyMessage(helpdesk.TypeChatReply, relay.KindMessage, session, account)
	m.Text = r.values.Text("message")
	m.UserID = r.values.Integer("userID")
	if id := r.values.Integer("ticketID"); id != 0 {
		m.TicketID = id
	}
	if m.DueAt, err = a.dueAt(r); err != nil {
		return err
	}
	receipt, err := a.store(r, &m)
	if err != nil {
		return err
	}
	answer := client.Accepted{Type: "result", Message: "Message accepted.", TicketID: m.TicketID, MessageID: receipt.ID, Duplicate: receipt.Duplicate}
	if !m.DueAt.IsZero() && !receipt.Duplicate {
		answer.Message, answer.SendAt = "Message scheduled.", m.DueAt
	}
	// A repeat after a failure in the middle stores what is missing: the files' keys tell.
	if err := a.storeUploads(r, m, account, session); err != nil {
		return err
	}
	if m.DueAt.IsZero() {
		a.answered(ctx, session)
	}
	return r.accepted(answer)
}

// storeUploads stores a message for each file of a reply.
func (a *API) storeUploads(r *request, reply relay.Message, account chat.Account, session chat.Session) error {
	key, err := r.idempotencyKey()
	if err != nil {
		return err
	}
	files := r.files
	for i, f := range files {
		m := replyMessage(helpdesk.TypeChatUpload, relay.KindAttachment, session, account)
		m.UserID, m.TicketID, m.DueAt = reply.UserID, reply.TicketID, reply.DueAt
		m.Attachments = []relay.Attachment{f}
		fileKey := ""
		if key != "" {
			fileKey = scope(&m) + key + " file " + strconv.Itoa(i)
		}
		var receipt queue.Receipt
		if m.DueAt.IsZero() {
			receipt, err = a.o.Queue.Append(r.Request().Context(), &m, fileKey)
		} else {
			receipt, err = a.o.Schedule.Add(r.Request().Context(), &m, fileKey)
		}
		if err != nil {
			return err
		}
		if receipt.Duplicate {
			a.dropFiles(r.Request().Context(), files[i:i+1])
		}
		r.files = files[i+1:] // those that a failure may still take away
	}
	return nil
}

// replySession is the session that an agent's message names.
func (a *API) replySession(r *request) (chat.Session, error) {
	ctx := r.Request().Context()
	ticketID, id := r.values.Integer("ticketID"), r.values.Text("chatSessionID")
	var session chat.Session
	var err error
	field := "chatSessionID"
	switch {
	case id != "":
		session, err = a.o.Sessions.Get(ctx, id)
	case ticketID != 0:
		field = "ticketID"
		session, err = a.o.Sessions.ByTicket(ctx, ticketID)
	default:
		const rule = "is required: with type 8, one of ticketID and chatSessionID must be given"
		return session, badFields(relay.FieldError{Field: "ticketID", Rule: rule}, relay.FieldError{Field: "chatSessionID", Rule: rule})
	}
	if errors.Is(err, chat.ErrNoSession) {
		return session, badField(field, "must belong to a chat session that is known: there is none, or it was silent for too long")
	}
	return session, chatFailure(err)
}

// sessionAccount is the account of a session.
func (a *API) sessionAccount(ctx context.Context, session chat.Session) (chat.Account, error) {
	account, err := a.o.Accounts.Get(ctx, session.AccountID)
	if errors.Is(err, chat.ErrNoAccount) {
		return account, errNoSession() // it went with its account
	}
	if err != nil {
		return account, errUnavailable.because(err)
	}
	return account, nil
}

// replyMessage is what every message to a customer has in common.
func replyMessage(kind string, of relay.Kind, session chat.Session, account chat.Account) relay.Message {
	return relay.Message{
		Type:         kind,
		Direction:    relay.Outbound,
		Kind:         of,
		Destination:  relay.ChatDestination(session.Server),
		Conversation: relay.ConversationOf(0, session.ID, "", 0),
		ChannelID:    session.ChannelID,
		ChannelName:  account.Name,
		TicketID:     session.TicketID,
		Fields: map[string]string{
			"chatServer":       session.Server,
			"chatSessionID":    session.ID,
			"chatAccountToken": account.Token,
		},
	}
}

// answered notes that the customer waits no more. The reply is stored already, so a failure
// costs no more than a figure in the queue that visitors are told of.
func (a *API) answered(ctx context.Context, session chat.Session) {
	if _, err := a.o.Sessions.Answer(ctx, session.ID); err != nil && !errors.Is(err, chat.ErrNoSession) {
		a.o.Log.Warn().Err(err).Msg("a chat counts as waiting although an agent wrote")
	}
}
