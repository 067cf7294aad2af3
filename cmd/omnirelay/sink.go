package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/spf13/cobra"

	"omnirelay/relay/sink"
)

func (a *app) sinkCommand() *cobra.Command {
	var (
		secrets  secretFlags
		listen   string
		failures []string
		slow     time.Duration
		seed     uint64
		quiet    bool
		as       string
		apiKey   string
	)
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "Receive webhooks, verify and print them, and misbehave on demand",
		Long: `Receive webhooks on every path, verify their signatures where a secret is given, print a line
for each, and at the end (or on GET /stats) say how many came, came again, and came out of order.

Each --fail is one way to misbehave; the first that applies to a request decides it:

  503            answer every request with 503
  503x3          the first three
  503/10         every tenth
  503@0.3        three in ten, at random but the same for the same --seed
  429+30s        with Retry-After: 30
  slow=5s        answer well, but five seconds late
  hang           never answer
  close          close the connection before reading the body
  close-after    close it after, so that the sender cannot know what became of it

With --as helpdesk it is a stand-in for the helpdesk itself: it takes the calls of the Channel and
Chat controllers, holds them to the documented rules and keeps tickets. GET /agent/tickets lists
them, and POST /agent/reply (ticketID, message) answers one as an agent would.`,
		Example: `  omnirelay sink --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw --fail 503x3
  omnirelay sink --fail 'hangx1' --fail '429+30s/5' --slow 200ms -o json
  omnirelay sink --as helpdesk --listen 127.0.0.1:9001 --fail 503/10`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := sink.Options{Seed: seed, Slow: slow, Out: a.out, JSON: a.output == formatJSON}
			if slow < 0 {
				return misuse("--slow must not be negative")
			}
			if quiet {
				o.Out = nil
			}
			for _, text := range failures {
				f, err := sink.ParseFault(text)
				if err != nil {
					return misuse("--fail: %w", err)
				}
				o.Faults = append(o.Faults, f)
			}
			var err error
			if o.Secrets, err = secrets.load(); err != nil {
				return err
			}
			if as == "helpdesk" {
				return a.serveDesk(cmd, listen, sink.DeskOptions{Options: o, APIKey: apiKey})
			}
			if as != "webhook" {
				return misuse("--as must be webhook or helpdesk")
			}
			listener, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", listen)
			if err != nil {
				return fmt.Errorf("opening the receiver: %w", err)
			}
			fmt.Fprintf(a.err, "Receiving webhooks on http://%s; end with Ctrl-C.\n", listener.Addr())
			s := sink.New(o)
			if err := s.Serve(cmd.Context(), listener); err != nil {
				return err
			}
			return a.printStats(s.Stats())
		},
	}
	secrets.add(cmd)
	cmd.Flags().StringVar(&as, "as", "webhook", "what to be: webhook or helpdesk")
	cmd.Flags().StringVar(&apiKey, "api-key", "", "with --as helpdesk: the key that calls must carry; without it every call passes")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9000", "address, as host:port; port 0 picks a free one")
	cmd.Flags().StringArrayVar(&failures, "fail", nil, "how to misbehave; see above (repeatable)")
	cmd.Flags().DurationVar(&slow, "slow", 0, "wait before every answer")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of the faults at random")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print no line for each request")
	return cmd
}

// serveDesk is the command as a helpdesk.
func (a *app) serveDesk(cmd *cobra.Command, listen string, o sink.DeskOptions) error {
	listener, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", listen)
	if err != nil {
		return fmt.Errorf("opening the helpdesk: %w", err)
	}
	fmt.Fprintf(a.err, "Answering as a helpdesk on http://%s; end with Ctrl-C.\n", listener.Addr())
	d := sink.NewDesk(o)
	if err := d.Serve(cmd.Context(), listener); err != nil {
		return err
	}
	return a.printStats(d.Stats())
}

// printStats writes the report at the end; for programs it is one more line of JSON.
func (a *app) printStats(s sink.Stats) error {
	var err error
	if a.output == formatJSON {
		err = json.NewEncoder(a.out).Encode(struct {
			Stats sink.Stats `json:"stats"`
		}{s})
	} else {
		_, err = io.WriteString(a.out, "\n")
		if err == nil {
			_, err = s.WriteTo(a.out)
		}
	}
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
