package main

import (
	"github.com/spf13/cobra"

	"omnirelay/relay/client"
)

func (a *app) replayCommand() *cobra.Command {
	var since timeValue
	cmd, on := a.connects(&cobra.Command{
		Use:   "replay [<channel id>|helpdesk --since <time>]",
		Short: "Send a destination everything since a time again, or list such replays under way",
		Long: `Send a destination everything that was stored for it since a time once more: oldest first, under
the same ids, as far back as the history reaches (queue.history). A receiver that remembers ids
can tell a repeat from news. Without an argument, list the replays that have not begun yet.`,
		Example: `  omnirelay replay 1001 --since 2h
  omnirelay replay helpdesk --since 2026-11-22T10:00:00Z`,
		Args: atMostOne("destination"),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			if !since.at.IsZero() {
				return misuse("--since needs a destination to replay")
			}
			return a.listReplays(cmd, on)
		}
		d, err := parseDestination(args[0])
		if err != nil {
			return err
		}
		if since.at.IsZero() {
			return misuse("a replay needs --since")
		}
		c, err := on.client()
		if err != nil {
			return err
		}
		r, err := c.Replay(cmd.Context(), d, since.at)
		if err != nil {
			return err
		}
		if a.output == formatJSON {
			return a.printJSON(r)
		}
		return a.printf("Everything that was stored for %s since %s is sent again.\n", r.Destination, moment(r.Since))
	}
	cmd.Flags().Var(&since, "since", "from this time on: RFC 3339, or how long ago, such as 2h")
	return cmd
}

func (a *app) listReplays(cmd *cobra.Command, on *connection) error {
	c, err := on.client()
	if err != nil {
		return err
	}
	replays, err := c.Replays(cmd.Context())
	if err != nil {
		return err
	}
	if a.output == formatJSON {
		return a.printJSON(append([]client.Replay{}, replays...))
	}
	var rows [][]string
	for _, r := range replays {
		rows = append(rows, []string{string(r.Destination), moment(r.Since), moment(r.RequestedAt), plain(r.By, 60)})
	}
	return a.printTable([]string{"DESTINATION", "SINCE", "REQUESTED", "BY"}, rows)
}
