package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"omnirelay/relay"
	"omnirelay/relay/auth"
	"omnirelay/relay/chat"
	"omnirelay/relay/client"
	"omnirelay/relay/egress"
	"omnirelay/relay/helpdesk"
)

type (
	accountList struct {
		Type  string           `json:"type" doc:"Always list."`
		Items []client.Account `json:"items"`
	}
	sessionList struct {
		Type string `json:"type" doc:"Always list."`
		client.ChatSessionPage
	}
)

// accountFields describes what an account can be given. Only the kind of each value is
// checked here; its pattern and range are the account registry's business.
func accountFields() []helpdesk.Field {
	return []helpdesk.Field{
		{Name: "name", Doc: "Letters, digits, spaces and . - _; needed to create an account."},
		{Name: "token", Doc: "The chatAccountToken: 10 to 128 letters and digits, such as the helpdesk's own; made when not given, and never changed."},
		{Name: "allowed_chat_servers", Kind: helpdesk.List, Doc: "The chat servers that sessions may name; an entry covers what lies below its path. None allows any. An empty list, or text, empties it."},
		{Name: "allowed_origins", Kind: helpdesk.List, Doc: "Host names of web sites that may show the chat; *. at the front covers every host below. None allows any. An empty list, or text, empties it."},
		{Name: "blacklisted_ips", Kind: helpdesk.List, Doc: "Addresses and ranges that may not chat, such as 192.0.2.7 or 2001:db8::/32. An empty list, or text, empties it."},
		{Name: "languages", Kind: helpdesk.List, Doc: "Such as nl or en-GB, the preferred first. An empty list, or text, empties it."},
		{Name: "opening_hours", Kind: helpdesk.List, Doc: "Such as mon-fri 09:00-17:30. None means always open. An empty list, or text, empties it."},
		{Name: "time_zone", Default: "UTC", Doc: "The zone of opening_hours, such as Europe/Amsterdam."},
		{Name: "max_queue", Kind: helpdesk.Integer, High: 1 << 31, Default: "0", Doc: "Chats that may wait before visitors are told that it is full; 0 is no bound. No message is refused for it."},
		{Name: "secret", Clearable: true, Doc: "Signs what goes to the chat servers (Standard Webhooks): whsec_ and base64, or any text. Empty signs nothing. Never shown again."},
		{Name: "secret_overlap", Kind: helpdesk.Duration, Default: "24h", Doc: "How long a secret that a new one replaces still signs too; 0s ends it at once."},
	}
}

func accountID() helpdesk.Field {
	return helpdesk.Field{Name: "id", Required: true, Path: true, Doc: "The account's id, 32 hexadecimal digits."}
}

func (a *API) listAccounts(r *request) error {
	if err := r.useChannel(helpdesk.LiveChat); err != nil {
		return err
	}
	list := accountList{Type: "list", Items: []client.Account{}}
	for _, account := range a.o.Accounts.List() {
		list.Items = append(list.Items, a.accountView(r.key, account))
	}
	return r.JSON(http.StatusOK, list)
}

func (a *API) createAccount(r *request) error {
	if err := r.useChannel(helpdesk.LiveChat); err != nil {
		return err
	}
	patch, err := a.accountPatch(r, chat.Account{})
	if err != nil {
		return err
	}
	account, err := a.o.Accounts.Create(r.Request().Context(), patch)
	if errors.Is(err, chat.ErrAccountExists) {
		return errConflict.saying("There is a chat account with this token already.").because(err)
	}
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(a.accountView(r.key, account)))
}

func (a *API) getAccount(r *request) error {
	account, err := a.accountOf(r)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(a.accountView(r.key, account)))
}

func (a *API) updateAccount(r *request) error {
	before, err := a.accountOf(r)
	if err != nil {
		return err
	}
	patch, err := a.accountPatch(r, before)
	if err != nil {
		return err
	}
	account, err := a.o.Accounts.Update(r.Request().Context(), before.ID, patch)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(a.accountView(r.key, account)))
}

func (a *API) deleteAccount(r *request) error {
	account, err := a.accountOf(r)
	if err != nil {
		return err
	}
	if err := a.o.Accounts.Delete(r.Request().Context(), account.ID); err != nil {
		return err
	}
	a.o.Log.Info().Str("account", account.ID).Str("by", r.operator()).Msg("chat account deleted")
	return r.JSON(http.StatusOK, result("Chat account deleted."))
}

// accountOf is the account that the path names.
func (a *API) accountOf(r *request) (chat.Account, error) {
	if err := r.useChannel(helpdesk.LiveChat); err != nil {
		return chat.Account{}, err
	}
	account, err := a.o.Accounts.Get(r.Request().Context(), r.Param("id"))
	if errors.Is(err, chat.ErrNoAccount) {
		return account, errNotFound.saying("There is no chat account with this id.")
	}
	return account, err
}

// accountPatch turns the given fields into a change, and finds all that is wrong with it.
func (a *API) accountPatch(r *request, to chat.Account) (chat.Patch, error) {
	var patch chat.Patch
	var problems relay.Problems
	for _, f := range accountFields() {
		texts := []string{r.values.Text(f.Name)}
		given := r.values.Given(f.Name)
		if f.Kind == helpdesk.List {
			texts = r.values.List(f.Name)
			given = given || len(texts) > 0 || r.values.Given(f.Name+"[0]")
		}
		if !given {
			continue
		}
		if err := patch.Set(f.Name, texts...); err != nil {
			if problem, ok := errors.AsType[relay.FieldError](err); ok {
				problems = append(problems, problem)
				continue
			}
			return patch, err
		}
	}
	if err := problems.Err(); err != nil {
		return patch, err
	}
	problems = patch.Check(to)
	if len(problems) == 0 && patch.AllowedServers != nil {
		a.checkServers(r.Request().Context(), *patch.AllowedServers, &problems)
	}
	return patch, problems.Err()
}

// checkServers holds the chat servers against the egress rules.
func (a *API) checkServers(ctx context.Context, servers []string, problems *relay.Problems) {
	ctx, cancel := context.WithTimeout(ctx, checkURLTimeout)
	defer cancel()
	for i, server := range servers {
		err := a.o.CheckURL(ctx, chat.ServerURL(server))
		if _, unresolved := errors.AsType[*egress.UnresolvedError](err); unresolved || err == nil {
			continue
		}
		problems.Add("allowed_chat_servers", "cannot be used, entry "+strconv.Itoa(i+1)+": "+err.Error())
	}
}

// accountView is the account as the key's holder may see it: the tokens are for those who may
// change it.
func (a *API) accountView(key auth.Key, c chat.Account) client.Account {
	v := client.Account{
		ID: c.ID, Name: c.Name, AllowedChatServers: list0(c.AllowedServers), AllowedOrigins: list0(c.AllowedOrigins),
		BlacklistedIPs: list0(c.BlacklistedIPs()), Languages: list0(c.Languages), OpeningHours: list0(c.OpeningHours()),
		TimeZone: zoneOf(c), MaxQueue: c.MaxQueue, SecretSet: !c.Secret.IsZero(),
		CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	if now := a.o.Now(); c.Previous.Until.After(now) {
		v.PreviousSecretUntil = c.Previous.Until
	}
	if key.Can(auth.RelayAdmin) {
		v.Token, v.HookToken, v.HookURL = c.Token, c.HookToken.Reveal(), a.hookBase(c)
	}
	return v
}

func listSessions() helpdesk.Call {
	return helpdesk.Call{Query: true, Strict: true, Fields: []helpdesk.Field{
		{Name: "account", Max: 64, Doc: "Only sessions of the account with this id."},
		{Name: "limit", Kind: helpdesk.Integer, Low: 1, High: 1000, Default: "50", Doc: "How many sessions to list at most."},
		{Name: "cursor", Kind: helpdesk.Integer, Doc: "Where the page before ended: its next."},
	}}
}

func (a *API) listSessions(r *request) error {
	page, err := a.o.Sessions.List(r.Request().Context(), chat.SessionFilter{
		AccountID: r.values.Text("account"), Limit: r.limit(), After: uint64(r.values.Integer("cursor")),
	})
	if err != nil {
		return errUnavailable.because(err)
	}
	list := sessionList{Type: "list", ChatSessionPage: client.ChatSessionPage{Items: []client.ChatSession{}}}
	for _, s := range page.Items {
		if r.key.CanChannel(s.ChannelID) {
			list.Items = append(list.Items, sessionView(s))
		}
	}
	if page.Next > 0 {
		list.Next = strconv.FormatUint(page.Next, 10)
	}
	return r.JSON(http.StatusOK, list)
}

func (a *API) getSession(r *request) error {
	session, err := a.o.Sessions.Get(r.Request().Context(), r.Param("id"))
	if err != nil {
		return chatFailure(err)
	}
	if err := r.useChannel(session.ChannelID); err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(sessionView(session)))
}

func sessionView(s chat.Session) client.ChatSession {
	return client.ChatSession{
		ID: s.ID, AccountID: s.AccountID, ChatServer: s.Server, ChannelID: s.ChannelID, TicketID: s.TicketID,
		Destination: relay.ChatDestination(s.Server), Conversation: relay.ConversationOf(0, s.ID, "", 0),
		StartedAt: s.StartedAt, SeenAt: s.SeenAt, AnsweredAt: s.AnsweredAt, EndedAt: s.EndedAt,
	}
}

// listScheduled are the fields of the list of messages that wait for their time.
func listScheduled() helpdesk.Call {
	return helpdesk.Call{Query: true, Strict: true, Fields: slices.DeleteFunc(pageFields(), func(f helpdesk.Field) bool {
		return f.Name == "since" || f.Name == "until" || f.Name == "destination"
	})}
}
