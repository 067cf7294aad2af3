package api

import (
	"context"
	"errors"
	"net/http"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

// pageSize is how many records a page of /relay/v1 has unless the caller says otherwise.
const pageSize = 50

// lists of /relay/v1 have the envelope of the helpdesk's lists, and a cursor.
type (
	messageList struct {
		Type string `json:"type" doc:"Always list."`
		client.MessagePage
	}
	deadList struct {
		Type string `json:"type" doc:"Always list."`
		client.DeadPage
	}
)

func pageFields() []helpdesk.Field {
	return []helpdesk.Field{
		{Name: "limit", Kind: helpdesk.Integer, Low: 1, High: 1000, Default: "50", Doc: "How many records to list at most."},
		{Name: "cursor", Max: 1000, Doc: "Where the page before ended: its next."},
		{Name: "since", Kind: helpdesk.Timestamp, Doc: "Only records from this time on."},
		{Name: "until", Kind: helpdesk.Timestamp, Doc: "Only records before this time."},
		{Name: "channelID", Kind: helpdesk.Integer, Low: 1, Doc: "Only records of this channel."},
		{Name: "destination", Max: 64, Doc: "Only records for this destination: helpdesk, channel- and an id, or chat- and a digest."},
	}
}

func listMessages() helpdesk.Call {
	states := make([]string, 0, len(client.States()))
	for _, s := range client.States() {
		states = append(states, string(s))
	}
	return helpdesk.Call{Query: true, Strict: true, Fields: append(pageFields(),
		helpdesk.Field{Name: "direction", Enum: []string{string(relay.Inbound), string(relay.Outbound)}, Doc: "Only messages this way: in for customer to agent, out for agent to customer."},
		helpdesk.Field{Name: "conversation", Max: maxConversation, Doc: "Only messages of this conversation, such as ticket:858462."},
		helpdesk.Field{Name: "state", Enum: states, Doc: "Only messages in this state."},
	)}
}

// maxConversation bounds a conversation's name, characters: an address with its prefix.
const maxConversation = 1100

func messageIDPath() helpdesk.Field {
	return helpdesk.Field{Name: "id", Required: true, Path: true, Doc: "The message's id, msg_ and a UUIDv7."}
}

// selected reads what both lists filter by. channels are those that a limited key may see.
func (r *request) selected() (destination relay.Destination, channelID int64, channels []int64, err error) {
	if text := r.values.Text("destination"); text != "" {
		if destination, err = relay.ParseDestination(text); err != nil {
			return "", 0, nil, badField("destination", "must be helpdesk, or channel- and an id")
		}
	}
	if channelID = r.values.Integer("channelID"); channelID != 0 {
		if err := r.useChannel(channelID); err != nil {
			return "", 0, nil, err
		}
	}
	if channelID == helpdesk.LiveChat {
		// Its messages go to chat servers, not to one endpoint with the channel's number.
		return destination, 0, []int64{channelID}, nil
	}
	return destination, channelID, r.key.Channels, nil
}

func (r *request) limit() int {
	if n := r.values.Integer("limit"); n != 0 {
		return int(n)
	}
	return pageSize
}

func (a *API) listMessages(r *request) error {
	destination, channelID, channels, err := r.selected()
	if err != nil {
		return err
	}
	page, err := a.o.Queue.List(r.Request().Context(), queue.Filter{
		Destination:  destination,
		Direction:    relay.Direction(r.values.Text("direction")),
		ChannelID:    channelID,
		Channels:     channels,
		Conversation: r.values.Text("conversation"),
		State:        queue.State(r.values.Text("state")),
		Since:        r.values.Timestamp("since"),
		Until:        r.values.Timestamp("until"),
		Limit:        r.limit(),
		Cursor:       r.values.Text("cursor"),
	})
	if err != nil {
		return err
	}
	list := messageList{Type: "list", MessagePage: client.MessagePage{Items: make([]client.Message, 0, len(page.Items)), Next: page.Next}}
	for _, s := range page.Items {
		m := message(s)
		m.Attempts, m.AttemptsTruncated = nil, false
		list.Items = append(list.Items, m)
	}
	return r.JSON(http.StatusOK, list)
}

func (a *API) getMessage(r *request) error {
	status, err := a.message(r)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(message(status)))
}

// message is the one that the path names, if the key may see it.
func (a *API) message(r *request) (queue.Status, error) {
	id, err := r.messageID()
	if err != nil {
		return queue.Status{}, err
	}
	status, err := a.o.Queue.Find(r.Request().Context(), id)
	if errors.Is(err, queue.ErrNotFound) {
		return status, errNotFound.saying("There is no message %s, or its history has ended.", id)
	}
	if err != nil {
		return status, err
	}
	return status, r.seeChannel(status.Entry.ChannelID)
}

// seeChannel refuses a record of a channel that the key is not for; id 0 is a record of no
// channel, which a limited key does not see.
func (r *request) seeChannel(id int64) error {
	if id == 0 && r.limited() {
		return errChannel.saying("The API key %q is limited to %s; the message belongs to no channel.", r.key.Name, list(r.key.Channels))
	}
	return r.useChannel(id)
}

// message is a stored message in the API's shape.
func message(s queue.Status) client.Message {
	m := client.Message{
		Message:           s.Entry.Message,
		Sequence:          s.Entry.Position,
		State:             client.State(s.State),
		NextAt:            s.NextAt,
		Attempts:          s.Attempts,
		AttemptsTruncated: s.AttemptsTruncated,
	}
	if n := len(s.Attempts); n > 0 {
		m.LastAttempt = &s.Attempts[n-1]
	}
	for _, attempt := range s.Attempts {
		if s.Entry.TicketID == 0 && attempt.TicketID != 0 {
			m.TicketID = attempt.TicketID // the latest that the helpdesk named
		}
	}
	return m
}

func listDead() helpdesk.Call {
	reasons := make([]string, 0, len(relay.Reasons()))
	for _, reason := range relay.Reasons() {
		reasons = append(reasons, string(reason))
	}
	return helpdesk.Call{Query: true, Strict: true, Fields: append(pageFields(),
		helpdesk.Field{Name: "reason", Enum: reasons, Doc: "Only dead letters with this reason."},
	)}
}

func (a *API) listDead(r *request) error {
	destination, channelID, channels, err := r.selected()
	if err != nil {
		return err
	}
	page, err := a.o.Queue.Dead(r.Request().Context(), queue.DeadFilter{
		Destination: destination,
		ChannelID:   channelID,
		Channels:    channels,
		Reason:      relay.Reason(r.values.Text("reason")),
		Since:       r.values.Timestamp("since"),
		Until:       r.values.Timestamp("until"),
		Limit:       r.limit(),
		Cursor:      r.values.Text("cursor"),
	})
	if err != nil {
		return err
	}
	list := deadList{Type: "list", DeadPage: client.DeadPage{Items: make([]client.DeadLetter, 0, len(page.Items)), Next: page.Next}}
	for _, d := range page.Items {
		list.Items = append(list.Items, deadLetter(d))
	}
	return r.JSON(http.StatusOK, list)
}

func deadLetter(d queue.DeadLetter) client.DeadLetter {
	return client.DeadLetter{Message: d.Message, Attempt: d.Attempt, DiedAt: d.DiedAt}
}

func (a *API) getDead(r *request) error {
	letter, err := a.dead(r)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(deadLetter(letter)))
}

func (a *API) replayDead(r *request) error {
	letter, err := a.dead(r)
	if err != nil {
		return err
	}
	id := letter.Message.ID
	receipt, err := a.o.Queue.ReplayDead(r.Request().Context(), id, r.operator())
	if err != nil {
		return err
	}
	return r.accepted(client.Accepted{Type: "result", Message: "Message replayed.", MessageID: receipt.ID, Duplicate: receipt.Duplicate})
}

func (a *API) discardDead(r *request) error {
	letter, err := a.dead(r)
	if err != nil {
		return err
	}
	if err := a.o.Queue.DiscardDead(r.Request().Context(), letter.Message.ID, r.operator()); err != nil {
		return err
	}
	return r.JSON(http.StatusOK, result("Message discarded."))
}

// dead is the dead letter that the path names, if the key may see it.
func (a *API) dead(r *request) (queue.DeadLetter, error) {
	id, err := r.messageID()
	if err != nil {
		return queue.DeadLetter{}, err
	}
	letter, err := a.findDead(r.Request().Context(), id)
	if err != nil {
		return letter, err
	}
	return letter, r.seeChannel(letter.Message.ChannelID)
}

func (a *API) findDead(ctx context.Context, id relay.ID) (queue.DeadLetter, error) {
	letter, err := a.o.Queue.FindDead(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return letter, errNotFound.saying("There is no dead letter %s.", id)
	}
	return letter, err
}
