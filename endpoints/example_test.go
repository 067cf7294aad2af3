package endpoints_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"omnirelay/endpoints"
	"omnirelay/queue/natsd"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "omnirelay")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	conn, err := natsd.Embedded(natsd.EmbeddedOptions{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	channels, err := endpoints.Open(ctx, conn.JetStream(), endpoints.Options{Log: zerolog.Nop()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer channels.Close()

	var p endpoints.Patch
	for field, text := range map[string]string{
		"name":                    "Example channel",
		"custom_channel_endpoint": "https://api.example.com/message",
		"custom_channel_secret":   "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"timeout":                 "30s",
	} {
		if err := p.Set(field, text); err != nil {
			fmt.Println(err)
		}
	}
	c, err := channels.Create(ctx, 0, p)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.ID, c.Name, c.Icon, c.Secrets(time.Now()))
	fmt.Println(c.Policy().Timeout, c.Policy().MaxAttempts)

	_, err = channels.Create(ctx, c.ID, endpoints.Patch{})
	fmt.Println(err)
	// Output:
	// 1001 Example channel chat [<secret>]
	// 30s 10
	// name must not be empty; custom_channel_endpoint must not be empty
}
