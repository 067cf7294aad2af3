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
  close-after    close it after, so that the sender cannot know what became of it`,
		Example: `  omnirelay sink --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw --fail 503x3
  omnirelay sink --fail 'hangx1' --fail '429+30s/5' --slow 200ms -o json`,
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
			listener, err := net.Listen("tcp", listen)
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
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9000", "address, as host:port; port 0 picks a free one")
	cmd.Flags().StringArrayVar(&failures, "fail", nil, "how to misbehave; see above (repeatable)")
	cmd.Flags().DurationVar(&slow, "slow", 0, "wait before every answer")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of the faults at random")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print no line for each request")
	return cmd
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
