package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"

	"github.com/labstack/echo/v4"

	"omnirelay/relay/chat"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

// Queries asks a helpdesk what the four questions of live chat ask. call is the call's name,
// such as requestChatQueue; the answer is a JSON object. A *helpdesk.RefusedError is the
// helpdesk's own refusal; any other error says that it cannot be asked now.
type Queries interface {
	Ask(ctx context.Context, call string, fields helpdesk.Values) (json.RawMessage, error)
}

// ask passes a question on and its answer back.
func (a *API) ask(r *request, call string, fields helpdesk.Values) error {
	body, err := a.o.Queries.Ask(r.Request().Context(), call, fields)
	if refused, ok := errors.AsType[*helpdesk.RefusedError](err); ok {
		return errDeskSaysNo.saying("The helpdesk refuses the call: %s", refused.Message).because(err)
	}
	if err != nil {
		return errDesk.because(err)
	}
	return r.Blob(http.StatusOK, echo.MIMEApplicationJSON, body)
}

// question is the account of a question, and the fields as the helpdesk is to see them: with
// the relay's own address as the chat server.
func (a *API) question(r *request) (chat.Account, helpdesk.Values, error) {
	account, err := a.account(r.Request().Context(), r.values.Text("chatAccountToken"))
	if err == nil {
		err = r.useChannel(helpdesk.LiveChat)
	}
	fields := helpdesk.Values{}
	maps.Copy(fields, r.values)
	if fields.Given("chatServer") {
		fields["chatServer"] = a.hookBase(account)
	}
	return account, fields, err
}

// chatConfig tells a widget whether and how it may show itself.
func (a *API) chatConfig(r *request) error {
	account, fields, err := a.question(r)
	if err != nil {
		return err
	}
	if !account.AllowsServer(r.values.Text("chatServer")) {
		return errServer
	}
	if a.o.Queries != nil {
		return a.ask(r, "requestChatConfig", fields)
	}
	queue := a.chatQueueOf(account)
	c := client.ChatConfig{
		Name: account.Name, ChannelID: helpdesk.LiveChat,
		Available: queue.Open && !queue.Full, Open: queue.Open,
		Languages: list0(account.Languages), OpeningHours: list0(account.OpeningHours()), TimeZone: zoneOf(account),
		Queue: queue.Queue, MaxQueue: queue.MaxQueue,
		MaxAttachmentBytes: a.o.AttachmentLimit, Events: helpdesk.ChatEvents(),
	}
	if open, until := account.Hours.Open(a.o.Now()); open {
		c.ClosesAt = until
	} else {
		c.OpensAt = until
	}
	return r.JSON(http.StatusOK, item(c))
}

// checkOriginAndIP tells whether a visitor of a web site may chat.
func (a *API) checkOriginAndIP(r *request) error {
	account, fields, err := a.question(r)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(r.values.Text("ip"))
	if err != nil {
		return badField("ip", "must be an IP address such as 192.0.2.7 or 2001:db8::7")
	}
	if a.o.Queries != nil {
		if !account.AllowsServer(r.values.Text("chatServer")) {
			return errServer
		}
		return a.ask(r, "checkOriginAndIP", fields)
	}
	check := client.ChatCheck{Type: "result", Message: "The visitor may chat.", Reasons: []string{}}
	for _, rule := range []struct {
		reason string
		holds  bool
	}{
		{"chatServer", account.AllowsServer(r.values.Text("chatServer"))},
		{"origin", account.AllowsOrigin(r.values.Text("origin"))},
		{"ip", account.AllowsIP(ip)},
	} {
		if !rule.holds {
			check.Reasons = append(check.Reasons, rule.reason)
		}
	}
	if check.Allowed = len(check.Reasons) == 0; !check.Allowed {
		check.Message = "The visitor may not chat."
	}
	return r.JSON(http.StatusOK, check)
}

// chatLists tells all that the accounts allow and forbid.
func (a *API) chatLists(r *request) error {
	if err := r.useChannel(helpdesk.LiveChat); err != nil {
		return err
	}
	if a.o.Queries != nil {
		return a.ask(r, "whitelistedDomainsAndBlacklistedIPs", helpdesk.Values{})
	}
	lists := client.ChatLists{Accounts: []client.ChatAccountLists{}, WhitelistedDomains: []string{}, BlacklistedIPs: []string{}}
	for _, account := range a.o.Accounts.List() {
		one := client.ChatAccountLists{
			ID: account.ID, Name: account.Name,
			WhitelistedDomains: list0(account.AllowedOrigins), BlacklistedIPs: list0(account.BlacklistedIPs()),
		}
		lists.Accounts = append(lists.Accounts, one)
		lists.WhitelistedDomains = append(lists.WhitelistedDomains, one.WhitelistedDomains...)
		lists.BlacklistedIPs = append(lists.BlacklistedIPs, one.BlacklistedIPs...)
	}
	for _, l := range []*[]string{&lists.WhitelistedDomains, &lists.BlacklistedIPs} {
		slices.Sort(*l)
		*l = slices.Compact(*l)
	}
	return r.JSON(http.StatusOK, item(lists))
}

// chatQueue tells a visitor how many others wait.
func (a *API) chatQueue(r *request) error {
	account, fields, err := a.question(r)
	if err != nil {
		return err
	}
	if a.o.Queries != nil {
		return a.ask(r, "requestChatQueue", fields)
	}
	return r.JSON(http.StatusOK, a.chatQueueOf(account))
}

func (a *API) chatQueueOf(account chat.Account) client.ChatQueue {
	q := client.ChatQueue{Type: "result", Queue: a.o.Sessions.Waiting(account.ID), MaxQueue: account.MaxQueue}
	q.Open, _ = account.Hours.Open(a.o.Now())
	q.Full = q.MaxQueue > 0 && q.Queue >= q.MaxQueue
	switch q.Queue {
	case 0:
		q.Message = "No chat waits for an agent."
	case 1:
		q.Message = "1 chat waits for an agent."
	default:
		q.Message = fmt.Sprintf("%d chats wait for an agent.", q.Queue)
	}
	return q
}

// list0 is a list that JSON shows as [] when it is empty.
func list0(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func zoneOf(account chat.Account) string {
	if account.Hours.Zone == "" {
		return "UTC"
	}
	return account.Hours.Zone
}
