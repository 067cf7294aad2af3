package api

import (
	"errors"
	"net/http"
	"time"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

type (
	holdList struct {
		Type  string        `json:"type" doc:"Always list."`
		Items []client.Hold `json:"items"`
	}
	replayList struct {
		Type  string          `json:"type" doc:"Always list."`
		Items []client.Replay `json:"items"`
	}
)

// maxWhy bounds what an operator says of a hold, characters.
const maxWhy = 500

func destinationFields() []helpdesk.Field {
	return []helpdesk.Field{
		{Name: "destination", Max: 64, Doc: "The destination: helpdesk, or channel- and an id. channelID may stand in for it."},
		{Name: "channelID", Kind: helpdesk.Integer, Low: 1, Doc: "The channel whose endpoint is meant."},
	}
}

func createHold() helpdesk.Call {
	return helpdesk.Call{Strict: true, Fields: append(destinationFields(),
		helpdesk.Field{Name: "why", Max: maxWhy, Doc: "The reason, for whoever finds the hold."},
	)}
}

func holdPath() helpdesk.Call {
	return helpdesk.Call{Strict: true, Fields: []helpdesk.Field{
		{Name: "destination", Required: true, Path: true, Doc: "The destination on hold: helpdesk, or channel- and an id."},
	}}
}

func createReplay() helpdesk.Call {
	return helpdesk.Call{Strict: true, Fields: append(destinationFields(),
		helpdesk.Field{Name: "since", Kind: helpdesk.Timestamp, Required: true, Doc: "Messages stored from this time on are sent again."},
	)}
}

// parseDestination reads a destination that an operator can name. Which field held it is
// for the refusal.
func parseDestination(field, text string) (relay.Destination, error) {
	d, err := relay.ParseDestination(text)
	if err == nil && d != relay.Helpdesk && !d.Chat() {
		// The id's own text must come back: channel-0001001 would be a second name of one channel.
		if id, ok := d.Channel(); !ok || relay.ChannelDestination(id) != d {
			err = errors.New("not a channel")
		}
	}
	if err != nil {
		return "", badField(field, "must be helpdesk, or channel- and an id")
	}
	return d, nil
}

// useDestination refuses a destination that the key is not for.
func (r *request) useDestination(d relay.Destination) error {
	if id, ok := d.Channel(); ok {
		return r.useChannel(id)
	}
	if r.limited() {
		return errChannel.saying("The API key %q is limited to %s, and %s is none of them.", r.key.Name, list(r.key.Channels), d)
	}
	return nil
}

// destination is the one that the body names, which the key is for and which exists.
func (a *API) destination(r *request) (relay.Destination, error) {
	text, id := r.values.Text("destination"), r.values.Integer("channelID")
	if (text == "") == (id == 0) {
		const rule = "is required: one of destination and channelID must be given, not both"
		return "", badFields(relay.FieldError{Field: "destination", Rule: rule}, relay.FieldError{Field: "channelID", Rule: rule})
	}
	field := "channelID"
	d := relay.ChannelDestination(id)
	if text != "" {
		var err error
		field = "destination"
		if d, err = parseDestination(field, text); err != nil {
			return "", err
		}
	}
	if err := r.useDestination(d); err != nil {
		return "", err
	}
	if id, ok := d.Channel(); ok {
		if _, err := a.find(r.Request().Context(), id, field); err != nil {
			return "", err
		}
	}
	return d, nil
}

func (a *API) listHolds(r *request) error {
	list := holdList{Type: "list", Items: []client.Hold{}}
	for _, h := range a.o.Holds.List() {
		if r.useDestination(h.Destination) == nil {
			list.Items = append(list.Items, hold(h))
		}
	}
	return r.JSON(http.StatusOK, list)
}

func (a *API) createHold(r *request) error {
	d, err := a.destination(r)
	if err != nil {
		return err
	}
	if err := a.o.Holds.Hold(r.Request().Context(), d, r.operator(), r.values.Text("why")); err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(hold(a.o.Holds.Get(d))))
}

func (a *API) deleteHold(r *request) error {
	d, err := parseDestination("destination", r.Param("destination"))
	if err != nil {
		return err
	}
	if err := r.useDestination(d); err != nil {
		return err
	}
	err = a.o.Holds.Resume(r.Request().Context(), d, r.operator())
	if errors.Is(err, queue.ErrNotFound) {
		return errNotFound.saying("%s is not on hold.", d)
	}
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, result("Hold ended."))
}

func hold(h queue.Hold) client.Hold {
	id, _ := h.Destination.Channel()
	return client.Hold{Destination: h.Destination, ChannelID: id, Since: h.Since, By: h.By, Why: h.Why}
}

func (a *API) listReplays(r *request) error {
	list := replayList{Type: "list", Items: []client.Replay{}}
	for _, p := range a.o.Replays.List() {
		if r.useDestination(p.Destination) == nil {
			list.Items = append(list.Items, replay(p))
		}
	}
	return r.JSON(http.StatusOK, list)
}

func (a *API) createReplay(r *request) error {
	d, err := a.destination(r)
	if err != nil {
		return err
	}
	since := r.values.Timestamp("since")
	if since.After(a.o.Now().Add(clockSlack)) {
		return badField("since", "must not be in the future")
	}
	p, err := a.o.Replays.Request(r.Request().Context(), d, since, r.operator())
	if errors.Is(err, queue.ErrConflict) {
		return errConflict.saying("A replay of %s is under way already.", d).because(err)
	}
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(replay(p)))
}

// clockSlack is how far a caller's clock may be ahead.
const clockSlack = time.Minute

func replay(p queue.Replay) client.Replay {
	id, _ := p.Destination.Channel()
	return client.Replay{ID: p.ID, Destination: p.Destination, ChannelID: id, Since: p.Since, By: p.By, RequestedAt: p.RequestedAt}
}
