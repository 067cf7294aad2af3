package api

import (
	"errors"
	"net/http"

	"omnirelay/queue"
	"omnirelay/relay/client"
)

type scheduledList struct {
	Type string `json:"type" doc:"Always list."`
	client.ScheduledPage
}

func (a *API) listScheduled(r *request) error {
	channelID := r.values.Integer("channelID")
	if channelID != 0 {
		if err := r.useChannel(channelID); err != nil {
			return err
		}
	}
	page, err := a.o.Schedule.List(r.Request().Context(), queue.ScheduledFilter{
		ChannelID: channelID, Channels: r.key.Channels, Limit: r.limit(), Cursor: r.values.Text("cursor"),
	})
	if err != nil {
		return err
	}
	list := scheduledList{Type: "list", ScheduledPage: client.ScheduledPage{Items: make([]client.Scheduled, 0, len(page.Items)), Next: page.Next}}
	for _, s := range page.Items {
		list.Items = append(list.Items, client.Scheduled{Message: s.Message, SendAt: s.Message.DueAt, Sending: s.Sending})
	}
	return r.JSON(http.StatusOK, list)
}

func (a *API) cancelScheduled(r *request) error {
	id, err := r.messageID()
	if err != nil {
		return err
	}
	ctx := r.Request().Context()
	missing := errNotFound.saying("There is no message %s that waits for its time.", id)
	waiting, err := a.o.Schedule.Get(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return missing
	}
	if err != nil {
		return err
	}
	if err := r.seeChannel(waiting.Message.ChannelID); err != nil {
		return err
	}
	switch err := a.o.Schedule.Cancel(ctx, id, r.operator()); {
	case errors.Is(err, queue.ErrConflict):
		return errConflict.saying("The time of message %s has come: it is being sent.", id).because(err)
	case errors.Is(err, queue.ErrNotFound):
		return missing
	case err != nil:
		return err
	}
	// Its files stay for as long as its history is readable; the store's sweep takes them.
	return r.JSON(http.StatusOK, result("Message cancelled."))
}
