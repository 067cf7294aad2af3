package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/sink"
)

const (
	demoCustomer = "+31612345678"
	demoSession  = "0193a3b0-demo-session"
)

// story is what the demo shows, scene by scene.
func (d *demo) story(ctx context.Context) error {
	for _, scene := range []func(context.Context) error{d.talk, d.chat, d.appAway, d.helpdeskAway, d.count} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	return nil
}

// talk goes both ways on a custom channel.
func (d *demo) talk(ctx context.Context) error {
	if err := d.say("\nA customer writes in an app; an agent answers in the helpdesk.\n"); err != nil {
		return err
	}
	id, err := d.customer(ctx, "Where is my parcel?")
	if err != nil {
		return err
	}
	asked, err := d.timeline.settled(ctx, id)
	if err != nil {
		return err
	}
	return d.agent(ctx, asked.TicketID, "It is on its way.")
}

// chat goes both ways in live chat.
func (d *demo) chat(ctx context.Context) error {
	if err := d.say("\nA visitor chats on a web site. The helpdesk calls the relay's hook, and the relay the chat server.\n"); err != nil {
		return err
	}
	id, err := d.visitor(ctx, "Do you have it in blue?")
	if err != nil {
		return err
	}
	asked, err := d.timeline.settled(ctx, id)
	if err != nil {
		return err
	}
	return d.agent(ctx, asked.TicketID, "In three blues.")
}

// appAway has the app fail for a moment.
func (d *demo) appAway(ctx context.Context) error {
	if err := d.say("\nThe app answers 503 three times. What the agent writes meanwhile waits behind, in order.\n"); err != nil {
		return err
	}
	d.app.Misbehave(sink.Fault{Action: sink.Answer, Status: http.StatusServiceUnavailable, First: 3})
	var ids []relay.ID
	for n := range 3 {
		sent, err := d.SendOutbound(ctx, client.OutboundMessage{ChannelID: 1001, ToAddress: demoCustomer, Message: fmt.Sprintf("News of your parcel, part %d.", n+1)})
		if err != nil {
			return err
		}
		ids = append(ids, sent.MessageID)
	}
	_, err := d.timeline.settled(ctx, ids...)
	return err
}

// helpdeskAway has the helpdesk fail and come back.
func (d *demo) helpdeskAway(ctx context.Context) error {
	if err := d.say("\nThe helpdesk is down. Customers go on writing, and the app is told that it is stored.\n"); err != nil {
		return err
	}
	d.desk.Misbehave(sink.Fault{Action: sink.Answer, Status: http.StatusServiceUnavailable})
	var ids []relay.ID
	for _, text := range []string{"Hello?", "Is anybody there?", "I am still waiting."} {
		for _, say := range []func(context.Context, string) (relay.ID, error){d.customer, d.visitor} {
			id, err := say(ctx, text)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
	}
	if err := d.timeline.fails(ctx, 2); err != nil {
		return err
	}
	if err := d.say("\nThe helpdesk is back.\n"); err != nil {
		return err
	}
	d.desk.Misbehave()
	_, err := d.timeline.settled(ctx, ids...)
	return err
}

// count is the end: nothing is missing, nothing came twice, nothing is out of order.
func (d *demo) count(context.Context) error {
	for _, side := range []struct {
		name  string
		stats sink.Stats
	}{{"The helpdesk", d.desk.Stats()}, {"The app and the chat server", d.app.Stats()}} {
		s := side.stats
		if err := d.say("\n%s: %d messages in %d requests, %d repeats, %d out of order.", side.name, s.Accepted, s.Requests, s.Repeats, s.OutOfOrder); err != nil {
			return err
		}
	}
	return d.say("\n")
}

// customer writes on the custom channel.
func (d *demo) customer(ctx context.Context, text string) (relay.ID, error) {
	sent, err := d.SendInbound(ctx, client.InboundMessage{ChannelID: 1001, FromAddress: demoCustomer, Message: text})
	return sent.MessageID, err
}

// visitor writes in the chat.
func (d *demo) visitor(ctx context.Context, text string) (relay.ID, error) {
	sent, err := d.SendChat(ctx, client.ChatMessage{ChatServer: d.appAt + "/chat", SessionID: demoSession, Token: d.account.Token, Message: text})
	return sent.MessageID, err
}

// agent answers a ticket in the helpdesk, and waits until it has arrived.
func (d *demo) agent(ctx context.Context, ticket int64, text string) error {
	before := d.timeline.soFar()
	if _, err := d.desk.Reply(ctx, ticket, text); err != nil {
		return err
	}
	return d.timeline.until(ctx, func() bool { return d.timeline.arrived > before })
}

// invite prints lines to paste, and stays a while.
func (d *demo) invite(ctx context.Context, stay time.Duration) error {
	session, err := d.ChatSession(ctx, demoSession)
	if err != nil {
		return err
	}
	if err := d.say(`
Try it:

  curl -H "apiKey: %[1]s" "%[2]s/relay/v1/messages?limit=3"
  curl -H "apiKey: %[1]s" %[2]s/api/v2/channel/customChannelMessage -F channelID=1001 -F fromAddress=%[3]s -F message="Is it there yet?"
  curl -H "apiKey: %[1]s" %[2]s/api/v2/message -F type=1001 -F toAddress=%[3]s -F message="Nearly."
  curl %[4]s/agent/reply -F ticketID=%[5]d -F message="And one in green."

It ends after %[6]s, or with Ctrl-C.

`, d.key, d.base, demoCustomer, d.deskAt, session.TicketID, stay); err != nil {
		return err
	}
	select {
	case <-time.After(stay):
	case <-ctx.Done():
	}
	return nil
}
