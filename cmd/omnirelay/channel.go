package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"omnirelay/relay/client"
)

func (a *app) channelCommand() *cobra.Command {
	cmd := group("channel", "List, show, create, change and delete channels")
	cmd, on := a.connects(cmd)
	cmd.AddCommand(
		a.channelListCommand(on), a.channelShowCommand(on), a.channelCreateCommand(on),
		a.channelUpdateCommand(on), a.channelDeleteCommand(on),
		a.channelImportCommand(on), a.channelPushCommand(on))
	return cmd
}

func (a *app) channelListCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all channels",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := on.client()
			if err != nil {
				return err
			}
			channels := []client.Channel{}
			for ch, err := range c.AllChannels(cmd.Context()) {
				if err != nil {
					return err
				}
				channels = append(channels, ch)
			}
			if a.output == formatJSON {
				return a.printJSON(channels)
			}
			var rows [][]string
			for _, ch := range channels {
				rows = append(rows, []string{number(ch.ID), plain(ch.Name, 40), signed(ch), plain(ch.Endpoint, 100)})
			}
			return a.printTable([]string{"ID", "NAME", "SIGNED", "ENDPOINT"}, rows)
		},
	}
}

func (a *app) channelShowCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "show <id>",
		Short: "Show a channel with its limits and its hook",
		Args:  exactly("channel id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseChannel(args[0])
			if err != nil {
				return err
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			ch, err := c.Channel(cmd.Context(), id)
			if err != nil {
				return err
			}
			return a.printChannel(ch)
		},
	}
}

func (a *app) channelCreateCommand(on *connection) *cobra.Command {
	var (
		fields channelFlags
		id     int64
	)
	cmd := &cobra.Command{
		Use:   "create --name <name> --endpoint <URL>",
		Short: "Create a channel",
		Example: `  omnirelay channel create --name "Example channel" --endpoint https://api.example.com/message --generate-secret
  omnirelay channel create --id 13 --name Shop --endpoint https://shop.example.com/in --max-attempts 20 --max-age 24h`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, secret, err := fields.read(cmd)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("id") {
				f.ID = &id
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			ch, err := c.CreateChannel(cmd.Context(), f)
			if err != nil {
				return err
			}
			return a.printChanged(ch, secret)
		},
	}
	fields.add(cmd)
	cmd.Flags().Int64Var(&id, "id", 0, "the channel's id, such as the helpdesk's own (default: the next free one)")
	return cmd
}

func (a *app) channelUpdateCommand(on *connection) *cobra.Command {
	var fields channelFlags
	cmd := &cobra.Command{
		Use:   "update <id>",
		Short: "Change a channel; what no flag names stays as it is",
		Args:  exactly("channel id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseChannel(args[0])
			if err != nil {
				return err
			}
			f, secret, err := fields.read(cmd)
			if err != nil {
				return err
			}
			if f == (client.ChannelFields{}) {
				return misuse("nothing to change: give at least one flag")
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			ch, err := c.UpdateChannel(cmd.Context(), id, f)
			if err != nil {
				return err
			}
			return a.printChanged(ch, secret)
		},
	}
	fields.add(cmd)
	return cmd
}

func (a *app) channelDeleteCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "delete <id>",
		Short: "Delete a channel; its undelivered messages become dead letters",
		Args:  exactly("channel id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseChannel(args[0])
			if err != nil {
				return err
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			if err := c.DeleteChannel(cmd.Context(), id); err != nil {
				return err
			}
			return a.printDone("Channel %d is deleted.", id)
		},
	}
}

// printChanged shows a channel after a change, and the secret that was made for it.
func (a *app) printChanged(ch client.Channel, secret string) error {
	if a.output == formatJSON {
		return a.printJSON(struct {
			client.Channel
			Secret string `json:"custom_channel_secret,omitempty"`
		}{ch, secret})
	}
	if err := a.printChannel(ch); err != nil || secret == "" {
		return err
	}
	return a.printf("\nThe signing secret, shown this once; the receiver verifies with it:\n\n  %s\n", secret)
}

func (a *app) printChannel(ch client.Channel) error {
	if a.output == formatJSON {
		return a.printJSON(ch)
	}
	rate := "unlimited"
	if ch.RateLimit > 0 {
		rate = strconv.FormatFloat(ch.RateLimit, 'g', -1, 64) + "/s, burst " + strconv.Itoa(ch.RateBurst)
	}
	return a.printPairs([]pair{
		{"id", number(ch.ID)},
		{"name", plain(ch.Name, 200)},
		{"icon", plain(ch.Icon, 100)},
		{"endpoint", plain(ch.Endpoint, 500)},
		{"signed", signed(ch)},
		{"old secrets until", moment(ch.PreviousSecretsUntil)},
		{"include signature", strconv.FormatBool(ch.IncludeSignature)},
		{"warning (en)", plain(ch.WarningEN, 500)},
		{"warning (nl)", plain(ch.WarningNL, 500)},
		{"in quick ticket", strconv.FormatBool(ch.AvailableInQuickTicket)},
		{"concurrency", strconv.Itoa(ch.Concurrency)},
		{"timeout", ch.Timeout.String()},
		{"max attempts", strconv.Itoa(ch.MaxAttempts)},
		{"max age", ch.MaxAge.String()},
		{"retry initial", ch.Initial.String()},
		{"retry max", ch.Max.String()},
		{"rate limit", rate},
		{"status callback", plain(ch.StatusCallback, 500)},
		{"hook", plain(ch.HookURL, 500)},
		{"created", moment(ch.CreatedAt)},
		{"updated", moment(ch.UpdatedAt)},
	})
}

func signed(ch client.Channel) string {
	switch {
	case !ch.SecretSet:
		return "no"
	case ch.PreviousSecretsUntil.After(time.Now()):
		return "yes, rotating"
	}
	return "yes"
}
