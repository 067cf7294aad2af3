package main

import (
	"github.com/spf13/cobra"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

func (a *app) scheduledCommand() *cobra.Command {
	cmd := group("scheduled", "List and cancel messages that wait for their time")
	cmd, on := a.connects(cmd)
	cmd.AddCommand(a.scheduledListCommand(on), a.scheduledCancelCommand(on))
	return cmd
}

func (a *app) scheduledListCommand(on *connection) *cobra.Command {
	var channel int64
	limit := 50
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List messages that wait for their time, the next to be sent first",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return misuse("--limit must be at least 1")
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			waiting := []client.Scheduled{}
			for s, err := range c.AllScheduled(cmd.Context(), client.ScheduledFilter{ChannelID: channel, Limit: min(limit, 1000)}) {
				if err != nil {
					return err
				}
				if waiting = append(waiting, s); len(waiting) == limit {
					break
				}
			}
			if a.output == formatJSON {
				return a.printJSON(waiting)
			}
			var rows [][]string
			for _, s := range waiting {
				rows = append(rows, []string{moment(s.SendAt), string(s.Message.ID), number(s.Message.ChannelID), plain(s.Message.Conversation, 40), plain(s.Message.Text, 60)})
			}
			return a.printTable([]string{"SEND AT", "ID", "CHANNEL", "CONVERSATION", "MESSAGE"}, rows)
		},
	}
	cmd.Flags().Int64Var(&channel, "channel", 0, "only messages of this channel")
	cmd.Flags().IntVar(&limit, "limit", limit, "how many to list at most")
	return cmd
}

func (a *app) scheduledCancelCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel <id>",
		Short: "Cancel a message that waits for its time, for good",
		Args:  exactly("message id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := relay.ParseID(args[0])
			if err != nil {
				return misuse("%w", err)
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			if err := c.CancelScheduled(cmd.Context(), id); err != nil {
				return err
			}
			return a.printDone("Message %s is cancelled.", id)
		},
	}
}
