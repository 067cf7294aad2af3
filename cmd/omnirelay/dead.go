package main

import (
	"github.com/spf13/cobra"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

func (a *app) deadCommand() *cobra.Command {
	cmd := group("dead", "List, show, replay and discard dead letters")
	cmd, on := a.connects(cmd)
	cmd.AddCommand(a.deadListCommand(on), a.deadShowCommand(on), a.deadReplayCommand(on), a.deadDiscardCommand(on))
	return cmd
}

// deadFlags select dead letters.
type deadFlags struct {
	filter              client.DeadFilter
	destination, reason string
	since, until        timeValue
}

func (f *deadFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.Int64Var(&f.filter.ChannelID, "channel", 0, "only this channel")
	flags.StringVar(&f.destination, "destination", "", "only this destination: helpdesk, or channel- and an id")
	flags.StringVar(&f.reason, "reason", "", "only this reason, such as exhausted, expired or gone")
	flags.Var(&f.since, "since", "only those that died from this time on: RFC 3339, or how long ago, such as 1h")
	flags.Var(&f.until, "until", "only those that died before this time")
	var reasons []string
	for _, r := range relay.Reasons() {
		reasons = append(reasons, string(r))
	}
	_ = cmd.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(reasons, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that does not exist
}

func (f *deadFlags) read() (client.DeadFilter, error) {
	f.filter.Reason, f.filter.Since, f.filter.Until = relay.Reason(f.reason), f.since.at, f.until.at
	if f.destination != "" {
		d, err := parseDestination(f.destination)
		if err != nil {
			return f.filter, err
		}
		f.filter.Destination = d
	}
	return f.filter, nil
}

func (a *app) deadListCommand(on *connection) *cobra.Command {
	var flags deadFlags
	var most int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List dead letters, oldest first",
		Example: `  omnirelay dead list --channel 1001 --reason exhausted`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := flags.read()
			if err != nil {
				return err
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			f.Limit = pageOf(most)
			letters := []client.DeadLetter{}
			for d, err := range c.AllDead(cmd.Context(), f) {
				if err != nil {
					return err
				}
				if letters = append(letters, d); len(letters) == most {
					break
				}
			}
			return a.printDead(letters)
		},
	}
	flags.add(cmd)
	cmd.Flags().IntVarP(&most, "limit", "n", 50, "at most so many; 0 for all")
	return cmd
}

func (a *app) printDead(letters []client.DeadLetter) error {
	if a.output == formatJSON {
		return a.printJSON(letters)
	}
	var rows [][]string
	for _, d := range letters {
		rows = append(rows, []string{
			moment(d.DiedAt), string(d.Message.ID), string(d.Message.Destination), plain(d.Message.Conversation, 40),
			string(d.Attempt.Reason), number(d.Attempt.Number), plain(d.Message.Text, 50),
		})
	}
	return a.printTable([]string{"DIED", "ID", "DESTINATION", "CONVERSATION", "REASON", "ATTEMPTS", "MESSAGE"}, rows)
}

func (a *app) deadShowCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "show <id>",
		Short: "Show a dead letter and the attempt that ended it",
		Args:  exactly("message id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseMessageID(args[0])
			if err != nil {
				return err
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			d, err := c.DeadLetter(cmd.Context(), id)
			if err != nil {
				return err
			}
			if a.output == formatJSON {
				return a.printJSON(d)
			}
			if err := a.printPairs(append(messagePairs(d.Message), pair{"died", moment(d.DiedAt)})); err != nil {
				return err
			}
			if err := a.printf("\n"); err != nil {
				return err
			}
			return a.printAttempts([]relay.Attempt{d.Attempt})
		},
	}
}
