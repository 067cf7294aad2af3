package api

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"omnirelay/relay"
	"omnirelay/relay/chat"
	"omnirelay/relay/helpdesk"
	"omnirelay/signer"
)

// The hookpoints that a helpdesk calls for an agent. How it writes their fields is not
// documented, so any encoding and the usual names are understood; the answer is the documented
// plain ok.

// hookGate lets in who knows an account's hook token. A wrong one looks like a hook that is
// not there.
func (a *API) hookGate(r *request) error {
	account, err := a.o.Accounts.ByHookToken(r.Request().Context(), r.Param("token"))
	if errors.Is(err, chat.ErrNoAccount) {
		return errNotFound.saying("There is no such hook; a chat account's hook_url is its address.")
	}
	if err != nil {
		return errUnavailable.because(err)
	}
	r.account = account
	return nil
}

func (a *API) messageForCustomer(r *request) error {
	return a.chatHook(r, helpdesk.HookMessage, helpdesk.MessageForCustomerHook(), helpdesk.TypeChatReply, relay.KindMessage)
}

func (a *API) uploadForCustomer(r *request) error {
	return a.chatHook(r, helpdesk.HookUpload, helpdesk.UploadForCustomerHook(), helpdesk.TypeChatUpload, relay.KindAttachment)
}

func (a *API) typingIndicatorForCustomer(r *request) error {
	return a.chatHook(r, helpdesk.HookTyping, helpdesk.TypingIndicatorForCustomerHook(), helpdesk.TypeChatTyping, relay.KindEvent)
}

// chatHook stores what a hookpoint was called with, for the session's real chat server.
func (a *API) chatHook(r *request, hookpoint string, call helpdesk.Call, kind string, of relay.Kind) error {
	if err := a.hookValues(r, hookpoint); err != nil {
		return err
	}
	if err := call.Check(r.values); err != nil {
		return err
	}
	if kind == helpdesk.TypeChatUpload && len(r.files) == 0 && !r.values.Given("url") {
		return badField("file", "is required, or a url in its place")
	}
	ctx := r.Request().Context()
	session, err := a.o.Sessions.Get(ctx, r.values.Text("chatSessionID"))
	if err == nil && session.AccountID != r.account.ID {
		err = chat.ErrNoSession
	}
	if errors.Is(err, chat.ErrNoSession) {
		return errNotFound.saying("There is no such chat session, or it was silent for too long.")
	}
	if err != nil {
		return chatFailure(err)
	}
	m := replyMessage(kind, of, session, r.account)
	m.UserID = r.values.Integer("userID")
	m.Text = r.values.Text("message")
	m.Attachments = r.files
	if id := r.values.Integer("ticketID"); id != 0 {
		m.TicketID = id
		if id != session.TicketID {
			if err := a.o.Sessions.Learn(ctx, session.ID, id); err != nil {
				return chatFailure(err)
			}
		}
	}
	for _, name := range []string{"event", "userName", "url"} {
		if v := r.values.Text(name); v != "" {
			m.Fields[name] = v
		}
	}
	if kind == helpdesk.TypeChatTyping && m.Fields["event"] == "" {
		m.Fields["event"] = helpdesk.EventStartedTyping
	}
	receipt, err := a.store(r, &m)
	if err != nil {
		return err
	}
	if receipt.Duplicate {
		a.dropFiles(ctx, r.files)
	}
	if of != relay.KindEvent {
		a.answered(ctx, session)
	}
	return r.String(http.StatusOK, "ok")
}

// hookValues reads the fields in whatever form they came.
func (a *API) hookValues(r *request, hookpoint string) error {
	req := r.Request()
	if r.values == nil {
		body, err := helpdesk.ParseBody(req.Header.Get("Content-Type"), r.body, helpdesk.DefaultLimits())
		if err != nil {
			return err
		}
		query, err := helpdesk.ParseQuery(req.URL.RawQuery, helpdesk.DefaultLimits())
		if err != nil {
			return err
		}
		if err := body.Merge(query); err != nil {
			return err
		}
		r.values = body
	}
	r.values = helpdesk.FromChatHook(hookpoint, r.values)
	// Standard Webhooks 1.0.0: webhook-id stays the same over the sender's retries.
	if id := req.Header.Get(signer.HeaderID); id != "" && !r.values.Given("messageID") {
		r.values["messageID"] = id
	}
	return nil
}

// unknownHookpoint answers what the helpdesk calls and nobody has documented: with ok, so
// that it does not count its own call as failed, and with a line in the log that tells the
// fields' names and nothing they hold. It also understands a known hookpoint behind a double
// slash, as from a chatServer that ends with one.
func (a *API) unknownHookpoint(r *request) error {
	name := strings.Trim(r.Param("*"), "/")
	for _, known := range a.chatRoutes() {
		if known.path == hookPath+name && known.gate != nil {
			return a.serve(r, known)
		}
	}
	req := r.Request()
	// Best effort: the call is answered whatever its body is.
	body, _ := io.ReadAll(io.LimitReader(req.Body, a.o.BodyLimit))
	values, _ := helpdesk.ParseBody(req.Header.Get("Content-Type"), body, helpdesk.DefaultLimits())
	names := slices.Sorted(maps.Keys(values))
	a.o.Log.Info().Str("hookpoint", name[:min(len(name), 64)]).Str("account", r.account.ID).
		Strs("fields", names[:min(len(names), 50)]).Int64("bytes", req.ContentLength).
		Msg("the helpdesk called a hookpoint that is not known; nothing was relayed")
	return r.String(http.StatusOK, "ok")
}
