package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/config"
	"omnirelay/relay/daemon"
	"omnirelay/relay/egress"
	"omnirelay/relay/helpdesk"
	"omnirelay/relay/sink"
	"omnirelay/signer"
)

func (a *app) demoCommand() *cobra.Command {
	var stay time.Duration
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the relay at work: a helpdesk, an app, a chat, and both going away for a while",
		Long: `Start a relay in a temporary directory, a stand-in for the helpdesk and a receiver for an app and a
chat server, all on free ports of the loopback. Customers and agents talk through the relay, the app
and the helpdesk go away for a while, and what happens is printed as it happens. Then there are curl
lines to paste. It ends by itself, or with Ctrl-C, and leaves nothing behind.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if stay < 0 {
				return misuse("--for must not be negative")
			}
			return a.demo(cmd.Context(), stay)
		},
	}
	cmd.Flags().DurationVar(&stay, "for", 5*time.Minute, "how long to stay up after the story")
	return cmd
}

// demo is a relay with everything around it.
type demo struct {
	*client.Client
	say      func(text string, args ...any) error
	key      string
	base     string // of the relay
	deskAt   string // of the helpdesk
	desk     *sink.Desk
	app      *sink.Sink // of the custom channel and of the chat
	appAt    string
	account  client.Account
	timeline *timeline
	undo     []func() error // in reverse
}

// demo runs the story.
func (a *app) demo(ctx context.Context, stay time.Duration) (err error) {
	d := &demo{say: a.printf}
	defer func() {
		for _, undo := range slices.Backward(d.undo) {
			err = errors.Join(err, undo())
		}
	}()
	if err := d.open(ctx); err != nil {
		return err
	}
	err = d.story(ctx)
	if err == nil {
		err = d.invite(ctx, stay)
	}
	if ctx.Err() != nil {
		return nil // Ctrl-C is how it ends
	}
	return err
}

// open starts everything.
func (d *demo) open(ctx context.Context) error {
	secret := signer.NewSecret()
	d.desk, d.app = sink.NewDesk(sink.DeskOptions{}), sink.New(sink.Options{Secrets: []signer.Secret{secret}})
	var err error
	if d.deskAt, err = d.serve(ctx, d.desk.Serve); err != nil {
		return err
	}
	if d.appAt, err = d.serve(ctx, d.app.Serve); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "omnirelay-demo-")
	if err != nil {
		return fmt.Errorf("making a directory for the demo: %w", err)
	}
	d.undo = append(d.undo, func() error { return os.RemoveAll(dir) })
	d.key = "demo-" + rand.Text()
	c := config.Default()
	c.Listen, c.AdminListen, c.DataDir, c.BootstrapKey = "127.0.0.1:0", "127.0.0.1:0", dir, config.NewSecret(d.key)
	c.Egress.Allow = loopback()
	c.Helpdesk.Kind, c.Helpdesk.BaseURL, c.Helpdesk.APIKey = config.HelpdeskOmnidesk, d.deskAt, config.NewSecret("demo")
	// Nobody should have to wait for the story to go on.
	c.Delivery.RetryInitial, c.Delivery.BreakerMaxWait = relay.Duration(200*time.Millisecond), relay.Duration(500*time.Millisecond)
	r, err := daemon.New(ctx, daemon.Options{Config: c, Version: thisBuild().Version, Log: zerolog.Nop()})
	if err != nil {
		return err
	}
	d.undo = append(d.undo, func() error { return r.Stop(context.WithoutCancel(ctx)) })
	if err := r.Start(ctx); err != nil {
		return err
	}
	d.base = "http://" + r.Addr().String()
	if d.Client, err = client.New(client.Options{BaseURL: d.base, Key: d.key}); err != nil {
		return err
	}
	if err := d.say("The relay is at %s, its data in %s for now.\nThe helpdesk is at %s, the app and the chat server at %s.\n", d.base, dir, d.deskAt, d.appAt); err != nil {
		return err
	}
	return d.furnish(ctx, secret)
}

// loopback is where everything of the demo is.
func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// furnish makes the channel on both sides and the chat account, and follows the relay.
func (d *demo) furnish(ctx context.Context, secret signer.Secret) error {
	ch, err := d.CreateChannel(ctx, client.ChannelFields{Name: new("App"), Endpoint: new(d.appAt + "/app"), Secret: new(secret.Reveal())})
	if err != nil {
		return err
	}
	transport := egress.New(loopback()).Transport()
	defer transport.CloseIdleConnections()
	desk := helpdesk.NewChannels(helpdesk.NewAccount(d.deskAt, "demo"), transport)
	if _, err := desk.Create(ctx, helpdesk.Channel{Name: ch.Name, Icon: ch.Icon, Endpoint: ch.HookURL}); err != nil {
		return err
	}
	if d.account, err = d.CreateAccount(ctx, client.AccountFields{Name: new("Web shop"), Secret: new(secret.Reveal())}); err != nil {
		return err
	}
	// Without a limit on the time of a call: it lasts as long as the demo.
	follower, err := client.New(client.Options{BaseURL: d.base, Key: d.key, HTTP: &http.Client{}})
	if err != nil {
		return err
	}
	tail, err := follower.Tail(ctx, client.TailFilter{})
	if err != nil {
		return err
	}
	d.timeline = follow(tail, d.say)
	d.undo = append(d.undo, func() error {
		defer d.timeline.wait()
		return tail.Close()
	})
	return nil
}

// serve opens a server on a free port until the demo ends.
func (d *demo) serve(ctx context.Context, serve func(context.Context, net.Listener) error) (address string, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("opening a port for the demo: %w", err)
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- serve(life, l) }()
	d.undo = append(d.undo, func() error {
		end()
		return <-ended
	})
	return "http://" + l.Addr().String(), nil
}
