package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

func (a *app) tailCommand() *cobra.Command {
	var (
		f           client.TailFilter
		destination string
	)
	cmd, on := a.connects(&cobra.Command{
		Use:   "tail",
		Short: "Follow messages and attempts as they happen",
		Long: `Follow what happens from now on, a line for each message that is accepted and each attempt that
ends, until it is interrupted. With -o json each line is an object.`,
		Example: `  omnirelay tail --channel 1001`,
		Args:    noArguments,
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if destination != "" {
			var err error
			if f.Destination, err = parseDestination(destination); err != nil {
				return err
			}
		}
		// Without a limit on the time of a call: it lasts until somebody ends it.
		c, err := on.clientOver(&http.Client{})
		if err != nil {
			return err
		}
		tail, err := c.Tail(cmd.Context(), f)
		if err != nil {
			return err
		}
		defer func() { _ = tail.Close() }()
		for {
			e, err := tail.Next()
			if cmd.Context().Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
			if err := a.printEvent(e); err != nil {
				return err
			}
		}
	}
	cmd.Flags().Int64Var(&f.ChannelID, "channel", 0, "only this channel")
	cmd.Flags().StringVar(&destination, "destination", "", "only this destination: helpdesk, or channel- and an id")
	return cmd
}

func (a *app) printEvent(e client.Event) error {
	if a.output == formatJSON {
		data, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
		return a.printf("%s\n", data)
	}
	switch {
	case e.Message != nil:
		m := e.Message
		return a.printf("%s accepted  %s %s %s %q\n", clock(m.AcceptedAt), m.ID, m.Destination, plain(m.Conversation, 60), plain(m.Text, 100))
	case e.Attempt != nil:
		return a.printf("%s\n", attemptLine(e.Attempt))
	}
	return errors.New("the relay sent an event of a kind that this version does not know")
}

func attemptLine(t *relay.Attempt) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-9s %s %s %s %s", clock(t.StartedAt.Add(time.Duration(t.Duration))), t.Outcome, t.MessageID, t.Destination, plain(t.Conversation, 60), t.Reason)
	if t.Status != 0 {
		fmt.Fprintf(&b, " %d", t.Status)
	}
	if t.Duration > 0 {
		fmt.Fprintf(&b, ", took %s", time.Duration(t.Duration).Round(10*time.Microsecond))
	}
	if !t.NextAt.IsZero() {
		fmt.Fprintf(&b, ", again in %s", t.NextAt.Sub(t.StartedAt).Round(time.Millisecond))
	}
	if t.By != "" {
		fmt.Fprintf(&b, ", by %s", plain(t.By, 60))
	}
	return b.String()
}

// clock is the time of day for people, to the millisecond.
func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }
