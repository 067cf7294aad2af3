package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"

	"github.com/rs/zerolog"

	"omnirelay/endpoints"
	"omnirelay/queue"
	"omnirelay/queue/natsd"
	"omnirelay/relay/api"
	"omnirelay/relay/auth"
	"omnirelay/relay/chat"
	"omnirelay/relay/client"
	"omnirelay/relay/download"
)

// startRelay runs the API on an embedded JetStream, as omnirelay serve does.
func startRelay(ctx context.Context) (url, key string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "omnirelay")
	if err != nil {
		return "", "", nil, err
	}
	conn, err := natsd.Embedded(natsd.EmbeddedOptions{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		return "", "", nil, err
	}
	channels, err1 := endpoints.Open(ctx, conn.JetStream(), endpoints.Options{Log: zerolog.Nop()})
	keys, err2 := auth.Open(ctx, conn.JetStream(), auth.Options{Log: zerolog.Nop()})
	log, err3 := queue.Open(ctx, conn.JetStream(), queue.Options{Log: zerolog.Nop()})
	if err := errors.Join(err1, err2, err3); err != nil {
		return "", "", nil, err
	}
	holds, err1 := log.OpenHolds(ctx)
	replays, err2 := log.OpenReplays(ctx)
	files, err3 := log.OpenFiles(ctx)
	schedule, err4 := log.OpenSchedule(ctx)
	accounts, err5 := chat.OpenAccounts(ctx, conn.JetStream(), chat.AccountOptions{Log: zerolog.Nop()})
	sessions, err6 := chat.OpenSessions(ctx, conn.JetStream(), chat.SessionOptions{Log: zerolog.Nop()})
	links, err7 := download.Open(ctx, conn.JetStream(), download.Options{})
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		return "", "", nil, err
	}
	handler, err := api.New(api.Options{
		Channels: channels, Keys: keys, Queue: log, Holds: holds, Replays: replays, Log: zerolog.Nop(),
		Files: files, Schedule: schedule, Accounts: accounts, Sessions: sessions, Links: links,
		CheckURL: func(context.Context, string) error { return nil },
	})
	if err != nil {
		return "", "", nil, err
	}
	made, _, err := keys.Create(ctx, auth.CreateRequest{Name: "example", Permissions: auth.Permissions()})
	if err != nil {
		return "", "", nil, err
	}
	server := httptest.NewServer(handler)
	return server.URL, made.Reveal(), func() {
		server.Close()
		sessions.Close()
		accounts.Close()
		schedule.Close()
		replays.Close()
		holds.Close()
		log.Close()
		keys.Close()
		channels.Close()
		_ = conn.Close()
		_ = os.RemoveAll(dir)
	}, nil
}

func Example() {
	ctx := context.Background()
	url, key, stop, err := startRelay(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	c, err := client.New(client.Options{BaseURL: url, Key: key})
	if err != nil {
		fmt.Println(err)
		return
	}
	channel, err := c.CreateChannel(ctx, client.ChannelFields{
		Name:     new("Example channel"),
		Endpoint: new("https://api.example.com/message"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("channel", channel.ID)

	message := client.OutboundMessage{ChannelID: channel.ID, TicketID: 858462, Message: "Hello!", IdempotencyKey: "order-7"}
	first, err := c.SendOutbound(ctx, message)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := c.SendOutbound(ctx, message)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the same message:", again.Duplicate && again.MessageID == first.MessageID)

	_, err = c.SendOutbound(ctx, client.OutboundMessage{ChannelID: 4711, TicketID: 1, Message: "Hello?"})
	if refusal, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(refusal.Status, refusal.Code, refusal.Fields[0].Field)
	}
	// Output:
	// channel 1001
	// the same message: true
	// 400 invalid_field type
}
