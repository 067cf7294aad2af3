package api

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"strconv"

	"omnirelay/relay"
	"omnirelay/relay/chat"
	"omnirelay/relay/client"
	"omnirelay/relay/egress"
	"omnirelay/relay/helpdesk"
)

// The handlers of the Chat controller's calls that relay something from a customer to the
// agents. The order is always the same: the session is written down, then the message is
// stored, then the caller is answered, so that an agent's reply finds the session.

// newChatMessage takes a customer's message; the first one begins the session.
func (a *API) newChatMessage(r *request) error {
	channelID := cmp.Or(r.values.Integer("channelID"), helpdesk.LiveChat)
	session, account, err := a.begin(r, channelID)
	if err != nil {
		return err
	}
	m := chatMessage(helpdesk.TypeChatMessage, relay.KindMessage, session, account)
	m.Text = r.values.Text("message")
	m.FromAddress = cmp.Or(r.values.Text("externalAddressOverwrite"), r.values.Text("emailAddress"), r.values.Text("phoneNumber"))
	a.fields(r, &m, helpdesk.NotifyUserNewChatMessage(), account)
	return a.acceptChat(r, &m, "Message sent.")
}

// newChatEvent takes what a customer does beside writing.
func (a *API) newChatEvent(r *request) error {
	return a.chatEvent(r, helpdesk.TypeChatEvent, relay.KindEvent, helpdesk.NotifyUserNewChatEvent(), a.o.Sessions.Visit, "Event sent.")
}

// visited takes the page that a customer went to.
func (a *API) visited(r *request) error {
	return a.chatEvent(r, helpdesk.TypeChatVisited, relay.KindEvent, helpdesk.NotifyUserVisited(), a.o.Sessions.Visit, "Visit sent.")
}

// endChat takes the end of a chat. It is no event that may be dropped: the helpdesk's chat
// would stay open for ever.
func (a *API) endChat(r *request) error {
	return a.chatEvent(r, helpdesk.TypeChatEnded, relay.KindMessage, helpdesk.NotifyUserEndChat(), a.o.Sessions.End, "Chat ended.")
}

// chatEvent takes a call that carries no token: the session must be known.
func (a *API) chatEvent(r *request, kind string, of relay.Kind, call helpdesk.Call,
	visit func(ctx context.Context, id, server string) (chat.Session, error), done string,
) error {
	ctx := r.Request().Context()
	session, err := visit(ctx, r.values.Text("chatSessionID"), r.values.Text("chatServer"))
	if err != nil {
		return chatFailure(err)
	}
	if err := r.useChannel(session.ChannelID); err != nil {
		return err
	}
	account, err := a.o.Accounts.Get(ctx, session.AccountID)
	if errors.Is(err, chat.ErrNoAccount) {
		return errNoSession() // it went with its account
	}
	if err != nil {
		return errUnavailable.because(err)
	}
	m := chatMessage(kind, of, session, account)
	a.fields(r, &m, call, account)
	return a.acceptChat(r, &m, done)
}

// addAttachment takes a customer's file, which is stored already.
func (a *API) addAttachment(r *request) error {
	if len(r.files) == 0 {
		return badField("file", "is required")
	}
	session, account, err := a.begin(r, helpdesk.LiveChat)
	if err != nil {
		return err
	}
	m := chatMessage(helpdesk.TypeChatAttachment, relay.KindAttachment, session, account)
	m.FromAddress = r.values.Text("phoneNumber")
	m.Attachments = r.files
	a.fields(r, &m, helpdesk.AddAttachment(), account)
	return a.acceptChat(r, &m, "Attachment sent.")
}

// knownAttachment refuses a file for an account that is not there before it is stored, where
// the token came first: as it does in the query.
func (a *API) knownAttachment(r *request) error {
	if token := r.values.Text("chatAccountToken"); token != "" {
		_, err := a.account(r.Request().Context(), token)
		return err
	}
	return nil
}

// begin finds the account and the session of a call that carries a token.
func (a *API) begin(r *request, channelID int64) (chat.Session, chat.Account, error) {
	ctx := r.Request().Context()
	id, server := r.values.Text("chatSessionID"), r.values.Text("chatServer")
	if len(id) > chat.MaxSessionID {
		return chat.Session{}, chat.Account{}, badField("chatSessionID", "must have at most "+strconv.Itoa(chat.MaxSessionID)+" characters, as that of every message")
	}
	if err := r.useChannel(channelID); err != nil {
		return chat.Session{}, chat.Account{}, err
	}
	account, err := a.account(ctx, r.values.Text("chatAccountToken"))
	if err != nil {
		return chat.Session{}, account, err
	}
	if !account.AllowsServer(server) {
		return chat.Session{}, account, errServer
	}
	if err := a.checkServer(ctx, account, id, server); err != nil {
		return chat.Session{}, account, err
	}
	session, err := a.o.Sessions.Begin(ctx, account, id, server, channelID)
	return session, account, chatFailure(err)
}

// checkServer holds a session's chat server against the egress rules, unless the account's
// list names it, which was held against them when the account was saved. Deliveries ask again
// each time; this is so that the caller hears of it while somebody is there to mend it.
func (a *API) checkServer(ctx context.Context, account chat.Account, id, server string) error {
	if account.VouchesFor(server) {
		return nil
	}
	session, err := a.o.Sessions.Get(ctx, id)
	if err == nil && chat.SameServer(session.Server, server) {
		return nil
	}
	if err != nil && !errors.Is(err, chat.ErrNoSession) {
		return errUnavailable.because(err)
	}
	ctx, cancel := context.WithTimeout(ctx, checkURLTimeout)
	defer cancel()
	err = a.o.CheckURL(ctx, chat.ServerURL(server))
	if _, unresolved := errors.AsType[*egress.UnresolvedError](err); unresolved || err == nil {
		return nil
	}
	return badField("chatServer", "cannot be used: "+err.Error())
}

// account is the one whose token a call carries.
func (a *API) account(ctx context.Context, token string) (chat.Account, error) {
	account, err := a.o.Accounts.ByToken(ctx, token)
	if errors.Is(err, chat.ErrNoAccount) {
		return account, badField("chatAccountToken", "must be the token of a chat account of this relay")
	}
	if err != nil {
		return account, errUnavailable.because(err)
	}
	return account, nil
}

func errNoSession() *Error {
	return errNotFound.saying("There is no such chat session, or it was silent for too long: a message with its chatAccountToken begins it.")
}

// chatFailure puts an error of the sessions in the API's terms.
func chatFailure(err error) error {
	for _, known := range []error{chat.ErrNoSession, chat.ErrSessionTaken, chat.ErrServerChanged, chat.ErrConflict} {
		if err == nil || errors.Is(err, known) {
			return err
		}
	}
	return errUnavailable.because(err)
}

// chatMessage is what every message from a customer has in common.
func chatMessage(kind string, of relay.Kind, session chat.Session, account chat.Account) relay.Message {
	return relay.Message{
		Type:         kind,
		Direction:    relay.Inbound,
		Kind:         of,
		Destination:  relay.Helpdesk,
		Conversation: relay.ConversationOf(0, session.ID, "", 0),
		ChannelID:    session.ChannelID,
		ChannelName:  account.Name,
		TicketID:     session.TicketID,
	}
}

// fields keeps the call's documented fields by their names, with the chat server and the
// token of the session in any case. The text of a message is kept once, as the message's.
func (a *API) fields(r *request, m *relay.Message, call helpdesk.Call, account chat.Account) {
	m.Fields = map[string]string{}
	for _, f := range call.Fields {
		if v := r.values.Text(f.Name); v != "" && f.Name != "message" {
			m.Fields[f.Name] = v
		}
	}
	maps.Copy(m.Fields, map[string]string{
		"chatAccountToken":        account.Token,
		helpdesk.FieldRelayServer: a.hookBase(account),
	})
}

// hookBase is the relay's own chatServer for an account: what a helpdesk is told, so that its
// replies come through the relay.
func (a *API) hookBase(account chat.Account) string {
	return a.o.PublicURL + "/hooks/chat/" + account.HookToken.Reveal()
}

// acceptChat stores a message of live chat, and answers only then.
func (a *API) acceptChat(r *request, m *relay.Message, done string) error {
	receipt, err := a.store(r, m)
	if err != nil {
		return err
	}
	if receipt.Duplicate {
		a.dropFiles(r.Request().Context(), r.files) // the first message has its own
	}
	return r.accepted(client.Accepted{
		Type: "result", Message: done, TicketID: m.TicketID, MessageID: receipt.ID, Duplicate: receipt.Duplicate,
	})
}
