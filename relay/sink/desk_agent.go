package sink

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"omnirelay/endpoints"
	"omnirelay/relay/helpdesk"
)

// serveChannels is the Channel controller. id is what follows in the path.
func (d *Desk) serveChannels(w http.ResponseWriter, r *http.Request, id string) {
	values, err := d.fields(w, r)
	if err == nil {
		err = channelRules(r.Method, id).Check(values)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if id == "" {
		switch r.Method {
		case http.MethodGet:
			items := []map[string]any{}
			for _, id := range slices.Sorted(maps.Keys(d.channels)) {
				items = append(items, d.channel(id))
			}
			writeJSON(w, http.StatusOK, map[string]any{"type": "list", "itemStart": 0, "itemTotal": len(items), "itemLimit": len(items), "items": items})
		case http.MethodPost:
			n := int64(firstChannel + len(d.channels))
			d.channels[n] = values
			writeJSON(w, http.StatusOK, map[string]any{"type": "result", "message": "Channel created.", "id": n})
		default:
			refuse(w, http.StatusMethodNotAllowed, "Use GET or POST.")
		}
		return
	}
	n, _ := strconv.ParseInt(id, 10, 64) // 0 is none
	if d.channels[n] == nil {
		refuse(w, http.StatusNotFound, "This channel does not exist.")
		return
	}
	switch r.Method {
	case http.MethodGet:
		writeJSON(w, http.StatusOK, map[string]any{"type": "item", "item": d.channel(n)})
	case http.MethodPut:
		maps.Copy(d.channels[n], values)
		writeJSON(w, http.StatusOK, map[string]any{"type": "result", "message": "Channel updated."})
	case http.MethodDelete:
		delete(d.channels, n)
		writeJSON(w, http.StatusOK, map[string]any{"type": "result", "message": "Channel deleted."})
	default:
		refuse(w, http.StatusMethodNotAllowed, "Use GET, PUT or DELETE.")
	}
}

// channelRules are the published rules of a call of the Channel controller: what has no
// default must be given to create a channel.
func channelRules(method, id string) helpdesk.Call {
	creates, changes := method == http.MethodPost && id == "", method == http.MethodPut
	if !creates && !changes {
		return helpdesk.Call{}
	}
	text := func(name string, required bool) helpdesk.Field {
		return helpdesk.Field{Name: name, Pattern: endpoints.Pattern(name), Required: required, Clearable: !required}
	}
	c := helpdesk.Call{Fields: []helpdesk.Field{
		text("name", creates), text("icon", false), text("custom_channel_endpoint", creates), text("custom_channel_secret", false),
		{Name: "include_signature", Kind: helpdesk.Boolean},
	}}
	if changes {
		c = c.With(text("custom_channel_warning_en", false), text("custom_channel_warning_nl", false),
			helpdesk.Field{Name: "custom_channel_available_in_quick_ticket", Kind: helpdesk.Boolean})
	}
	return c
}

// channel is a channel as it is shown: without its secret.
func (d *Desk) channel(id int64) map[string]any {
	shown := map[string]any{"id": id}
	for name, value := range d.channels[id] {
		if name != "custom_channel_secret" {
			shown[name] = value
		}
	}
	return shown
}

// fields reads the fields of a call that is not counted.
func (d *Desk) fields(w http.ResponseWriter, r *http.Request) (helpdesk.Values, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, d.bodyLimit))
	if err != nil {
		return nil, err
	}
	return helpdesk.ParseBody(r.Header.Get("Content-Type"), body, helpdesk.DefaultLimits())
}

// serveQuery answers what a widget asks. The specification shows no answers; these have the
// form of the helpdesk's envelopes.
func (d *Desk) serveQuery(w http.ResponseWriter, r *http.Request, name string) {
	rules, known := map[string]helpdesk.Call{
		"requestChatConfig":                   helpdesk.RequestChatConfig(),
		"checkOriginAndIP":                    helpdesk.CheckOriginAndIP(),
		"requestChatQueue":                    helpdesk.RequestChatQueue(),
		"whitelistedDomainsAndBlacklistedIPs": helpdesk.WhitelistedDomainsAndBlacklistedIPs(),
	}[name]
	want := http.MethodPost
	if name == "whitelistedDomainsAndBlacklistedIPs" {
		want = http.MethodGet
	}
	if !known || r.Method != want {
		refuse(w, http.StatusNotFound, "There is no such call.")
		return
	}
	values, err := d.fields(w, r)
	if err == nil {
		err = rules.Check(values)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	waiting := 0
	for _, t := range d.Tickets() {
		if t.Session != "" && !t.Ended {
			waiting++
		}
	}
	writeJSON(w, http.StatusOK, map[string]map[string]any{
		"requestChatConfig":                   {"type": "item", "item": map[string]any{"available": true, "languages": []string{"en"}}},
		"checkOriginAndIP":                    {"type": "result", "message": "Allowed.", "allowed": true},
		"requestChatQueue":                    {"type": "item", "item": map[string]any{"waiting": waiting}},
		"whitelistedDomainsAndBlacklistedIPs": {"type": "item", "item": map[string]any{"domains": []string{}, "ips": []string{}}},
	}[name])
}

// serveReply lets an agent answer a ticket.
func (d *Desk) serveReply(w http.ResponseWriter, r *http.Request) {
	values, err := d.fields(w, r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	status, err := d.Reply(r.Context(), values.Integer("ticketID"), values.Text("message"))
	if err != nil {
		refuse(w, http.StatusBadGateway, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"type": "result", "message": "Message has been sent and the ticket status was updated.", "answer": status})
}

// Reply sends an agent's message to where the ticket's customer is: to the hookpoint of a
// chat's server, or to the endpoint of a custom channel. It returns the receiver's status.
func (d *Desk) Reply(ctx context.Context, ticketID int64, message string) (status int, err error) {
	d.mu.Lock()
	t := d.tickets[ticketID]
	if t == nil || message == "" {
		d.mu.Unlock()
		return 0, fmt.Errorf("ticket %d does not exist, or the message is empty", ticketID)
	}
	form := url.Values{"message": {message}, "ticketID": {strconv.FormatInt(t.ID, 10)}}
	var to string
	channel := t.ChannelID
	if t.Session != "" {
		to = t.Server
		if !strings.Contains(to, "://") {
			to = "https://" + to
		}
		to = strings.TrimRight(to, "/") + "/" + helpdesk.HookMessage
		form.Set("chatSessionID", t.Session)
	} else {
		to = d.channels[channel]["custom_channel_endpoint"]
		form.Set("toAddress", t.Address)
	}
	d.mu.Unlock()
	if to == "" {
		return 0, fmt.Errorf("channel %d has no custom_channel_endpoint here", channel)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, fmt.Errorf("answering ticket %d: %w", ticketID, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := d.client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("answering ticket %d: %w", ticketID, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err != nil || res.StatusCode/100 != 2 {
		return res.StatusCode, fmt.Errorf("answering ticket %d: the receiver said %d %s", ticketID, res.StatusCode, word(string(text)))
	}
	return res.StatusCode, nil
}
