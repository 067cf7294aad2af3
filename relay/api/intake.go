package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"omnirelay/endpoints"
	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

// The types of the messages that come in here, as receivers see them.
const (
	typeInbound  = "message.inbound"
	typeOutbound = "message.outbound"
)

// idempotencyField may stand in for the header Idempotency-Key.
func idempotencyField() helpdesk.Field {
	return helpdesk.Field{Name: "messageID", Max: maxIdempotencyKey, Doc: "Extension: the sender's own id of the message, in place of the header Idempotency-Key."}
}

// customChannelMessage takes a customer's message for the helpdesk.
func (a *API) customChannelMessage(r *request) error {
	m := relay.Message{
		Type:        typeInbound,
		Direction:   relay.Inbound,
		Kind:        relay.KindMessage,
		Destination: relay.Helpdesk,
		ChannelID:   r.values.Integer("channelID"),
	}
	text(&m, r.values)
	m.Conversation = relay.ConversationOf(m.TicketID, "", m.FromAddress, m.ChannelID)
	if m.ChannelID == 0 && m.TicketID == 0 {
		const rule = "is required: one of ticketID and channelID must be given"
		return badFields(relay.FieldError{Field: "ticketID", Rule: rule}, relay.FieldError{Field: "channelID", Rule: rule})
	}
	if m.ChannelID == 0 && r.limited() {
		return errChannel.saying("The API key %q is limited to %s: give channelID.", r.key.Name, list(r.key.Channels))
	}
	if m.ChannelID != 0 {
		if err := r.useChannel(m.ChannelID); err != nil {
			return err
		}
		c, err := a.find(r.Request().Context(), m.ChannelID, "channelID")
		if err != nil {
			return err
		}
		m.ChannelName = c.Name
	}
	return a.accept(r, &m)
}

// postMessage takes an agent's message for a channel's endpoint.
func (a *API) postMessage(r *request) error {
	kind := r.values.Text("type")
	id, err := strconv.ParseInt(kind, 10, 64)
	switch {
	case err != nil:
		return badField("type", "must be the id of a custom channel: "+kind+" entries stay in the helpdesk")
	case id == helpdesk.LiveChat:
		return badField("type", "must be the id of a custom channel: live chat (8) is not relayed")
	}
	if err := r.useChannel(id); err != nil {
		return err
	}
	c, err := a.find(r.Request().Context(), id, "type")
	if err != nil {
		return err
	}
	return a.acceptOutbound(r, c)
}

// find is the channel that a field names.
func (a *API) find(ctx context.Context, id int64, field string) (endpoints.Channel, error) {
	c, err := a.o.Channels.Get(ctx, id)
	if errors.Is(err, endpoints.ErrNotFound) {
		return c, badField(field, "must be the id of a channel, which "+strconv.FormatInt(id, 10)+" is not")
	}
	if err != nil {
		return c, errUnavailable.because(err)
	}
	return c, nil
}

// acceptOutbound takes the request's fields as a message to the channel's endpoint.
func (a *API) acceptOutbound(r *request, c endpoints.Channel) error {
	m := relay.Message{
		Type:        typeOutbound,
		Direction:   relay.Outbound,
		Kind:        relay.KindMessage,
		Destination: relay.ChannelDestination(c.ID),
		ChannelID:   c.ID,
		ChannelName: c.Name,
	}
	text(&m, r.values)
	if m.TicketID == 0 && m.ToAddress == "" {
		const rule = "is required: one of ticketID and toAddress must be given"
		return badFields(relay.FieldError{Field: "ticketID", Rule: rule}, relay.FieldError{Field: "toAddress", Rule: rule})
	}
	m.Conversation = relay.ConversationOf(m.TicketID, "", m.ToAddress, m.ChannelID)
	if c.IncludeSignature {
		m.Signature = r.values.Text("signature")
	}
	return a.accept(r, &m)
}

// text copies the fields that messages of both directions have.
func text(m *relay.Message, v helpdesk.Values) {
	m.TicketID = v.Integer("ticketID")
	m.Text = v.Text("message")
	m.Title = v.Text("title")
	m.ToAddress = v.Text("toAddress")
	m.FromAddress = v.Text("fromAddress")
	m.UserID = v.Integer("userID")
}

// accept stores the message, and answers only then.
func (a *API) accept(r *request, m *relay.Message) error {
	key, err := r.idempotencyKey()
	if err != nil {
		return err
	}
	if key != "" {
		key = scope(m) + key
	}
	receipt, err := a.o.Queue.Append(r.Request().Context(), m, key)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, client.Accepted{
		Type: "result", Message: "Message accepted.", MessageID: receipt.ID, Duplicate: receipt.Duplicate,
	})
}

// scope keeps the idempotency keys of different senders apart: two channels may count their
// messages alike, and all inbound messages share one destination.
func scope(m *relay.Message) string {
	if m.ChannelID != 0 {
		return string(m.Direction) + ":" + strconv.FormatInt(m.ChannelID, 10) + ":"
	}
	return string(m.Direction) + ":ticket-" + strconv.FormatInt(m.TicketID, 10) + ":"
}
