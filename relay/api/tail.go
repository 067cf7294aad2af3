package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/helpdesk"
)

func tailCall() helpdesk.Call {
	return helpdesk.Call{Query: true, Strict: true, Fields: []helpdesk.Field{
		{Name: "channelID", Kind: helpdesk.Integer, Low: 1, Doc: "Only what concerns this channel."},
		{Name: "destination", Max: 64, Doc: "Only what concerns this destination: helpdesk, or channel- and an id."},
	}}
}

// tailBeat is how often a quiet stream says that it lives, so that proxies keep it and a
// reader that is gone is noticed.
const tailBeat = 15 * time.Second

var errTailEnds = errors.New("the relay is stopping")

// tail streams what happens from now on as Server-Sent Events (WHATWG HTML, section 9.2).
func (a *API) tail(r *request) error {
	destination, channelID, channels, err := r.selected()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(r.Request().Context())
	defer cancel(nil)
	defer context.AfterFunc(a.ending, func() { cancel(errTailEnds) })()
	tail, err := a.o.Queue.Tail(ctx)
	if err != nil {
		return err
	}
	defer tail.Close()

	w := r.Response()
	control := http.NewResponseController(w)
	// The server's limit on the time of a request is not meant for this one. A server without
	// deadlines needs none lifted.
	_ = control.SetReadDeadline(time.Time{})
	w.Header().Set(echo.HeaderContentType, "text/event-stream")
	w.WriteHeader(http.StatusOK)
	if err := control.Flush(); err != nil {
		return nil // the reader is gone already, and was answered
	}
	for {
		beat, end := context.WithTimeout(ctx, tailBeat)
		e, err := tail.Next(beat)
		end()
		text := ":\n\n"
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if text = tailText(e, destination, channelID, channels); text == "" {
				continue
			}
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return nil
		}
		if err := control.Flush(); err != nil {
			return nil
		}
	}
}

// tailText is the event as it is sent; "" for one that was not asked for.
func tailText(e queue.Event, destination relay.Destination, channelID int64, channels []int64) string {
	var event client.Event
	var to relay.Destination
	var id int64
	name := "message"
	if e.Message != nil {
		to, id = e.Message.Destination, e.Message.ChannelID
		m := message(queue.Status{Entry: *e.Message, State: queue.StateQueued})
		event.Message = &m
	} else {
		name = "attempt"
		to, id = e.Attempt.Destination, e.Attempt.ChannelID
		event.Attempt = e.Attempt
	}
	if destination != "" && to != destination || channelID != 0 && id != channelID || len(channels) > 0 && !slices.Contains(channels, id) {
		return ""
	}
	data, err := json.Marshal(event)
	if err != nil {
		return "" // it was JSON when it was stored
	}
	return fmt.Sprintf("event: %s\ndata: %s\n\n", name, data)
}

// Close ends the streams that are open, which would otherwise keep the server from stopping.
func (a *API) Close() { a.end() }
