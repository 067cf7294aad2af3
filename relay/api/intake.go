package api

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"omnirelay/endpoints"
	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
	"omnirelay/relay/jsonobject"
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
	}
	if err := r.useChannel(id); err != nil {
		return err
	}
	if id == helpdesk.LiveChat {
		return a.postReply(r)
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
	if m.ToAddress == "" && a.o.Tickets != nil {
		// Agents know the ticket; an app may know its customers by their addresses only.
		address, err := a.o.Tickets.Address(r.Request().Context(), c.ID, m.TicketID)
		if err != nil {
			return errUnavailable.because(err)
		}
		m.ToAddress = address
	}
	if c.IncludeSignature {
		m.Signature = r.values.Text("signature")
	}
	m.Attachments = r.files
	var err error
	if m.DueAt, err = a.dueAt(r); err != nil {
		return err
	}
	return a.accept(r, &m)
}

// sendAtPattern is that of the published Message controller.
var sendAtPattern = regexp.MustCompile(`^(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})$`)

// sendAtMost is how far ahead a message may be scheduled.
const sendAtMost = 366 * 24 * time.Hour

// dueAt reads sendAt, which carries no zone; the zero time sends at once.
func (a *API) dueAt(r *request) (time.Time, error) {
	text := r.values.Text("sendAt")
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.ParseInLocation(time.DateTime, text, a.o.SendAtZone)
	now := a.o.Now()
	switch {
	case err != nil:
		return time.Time{}, badField("sendAt", "must be a date and time that exist, such as 2026-11-22 10:00:00")
	case at.Sub(now) > sendAtMost:
		return time.Time{}, badField("sendAt", "must be within a year")
	case !at.After(now):
		return time.Time{}, nil
	}
	return at.UTC(), nil
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
	receipt, err := a.store(r, m)
	if err != nil {
		return err
	}
	answer := client.Accepted{Type: "result", Message: "Message accepted.", MessageID: receipt.ID, Duplicate: receipt.Duplicate}
	switch {
	case receipt.Duplicate:
		a.dropFiles(r.Request().Context(), r.files) // the first message has its own
	case !m.DueAt.IsZero():
		answer.Message, answer.SendAt = "Message scheduled.", m.DueAt
	}
	return r.accepted(answer)
}

// accepted answers that a message is stored.
func (r *request) accepted(a client.Accepted) error {
	data, err := encodeAccepted(a)
	if err != nil {
		return err
	}
	return r.JSONBlob(http.StatusOK, data)
}

// encodeAccepted writes the one answer that every message gets.
func encodeAccepted(a client.Accepted) ([]byte, error) {
	o := jsonobject.New(192)
	o.Text("type", a.Type)
	o.Text("message", a.Message)
	o.SomeText("messageID", string(a.MessageID))
	o.SomeInt("ticketID", a.TicketID)
	o.SomeTime("sendAt", a.SendAt, time.RFC3339Nano)
	if a.Duplicate {
		o.Raw("duplicate", "true")
	}
	data, err := o.Bytes()
	return append(data, '\n'), err
}

// store appends the message to the log, or to the schedule when its time has not come.
func (a *API) store(r *request, m *relay.Message) (queue.Receipt, error) {
	key, err := r.idempotencyKey()
	if err != nil {
		return queue.Receipt{}, err
	}
	if key != "" {
		key = scope(m) + key
	}
	if !m.DueAt.IsZero() {
		return a.o.Schedule.Add(r.Request().Context(), m, key)
	}
	receipt, err := a.o.Queue.Append(r.Request().Context(), m, key)
	if err == nil && !receipt.Duplicate {
		a.tellQueued(r.Request().Context(), m, receipt.Position)
	}
	return receipt, err
}

// tellQueued tells a channel's status_callback that a message is stored. Should it fail, the
// first attempt tells it instead.
func (a *API) tellQueued(ctx context.Context, m *relay.Message, at relay.Position) {
	if !m.Told() {
		return
	}
	c, err := a.o.Channels.Get(ctx, m.ChannelID)
	if err != nil || c.StatusCallback == "" {
		return
	}
	status, key := relay.QueuedStatus(m, at)
	if _, err := a.o.Queue.Append(ctx, &status, key); err != nil {
		a.o.Log.Warn().Err(err).Str("id", string(m.ID)).Msg("the status callback is not told yet that a message is stored")
	}
}

// scope keeps the idempotency keys of different senders apart: two channels may count their
// messages alike, and all inbound messages share one destination.
func scope(m *relay.Message) string {
	if strings.HasPrefix(m.Type, "chat.") {
		// Each call of each session has keys of its own.
		return string(m.Direction) + ":" + m.Type + ":" + m.Conversation + ":"
	}
	if m.ChannelID != 0 {
		return string(m.Direction) + ":" + strconv.FormatInt(m.ChannelID, 10) + ":"
	}
	return string(m.Direction) + ":ticket-" + strconv.FormatInt(m.TicketID, 10) + ":"
}
