package main

import (
	"github.com/spf13/cobra"

	"omnirelay/relay/client"
)

func (a *app) holdCommand() *cobra.Command {
	var why string
	cmd, on := a.connects(&cobra.Command{
		Use:   "hold [<channel id>|helpdesk]",
		Short: "Hold a destination, or list those on hold",
		Long: `Hold a destination: it goes on accepting messages and nothing is sent until it is resumed. Time on
hold does not count towards a message's age. Without an argument, list what is on hold.`,
		Example: `  omnirelay hold 1001 --why "their maintenance window"
  omnirelay hold`,
		Args: atMostOne("destination"),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			if why != "" {
				return misuse("--why needs a destination to hold")
			}
			return a.listHolds(cmd, on)
		}
		d, err := parseDestination(args[0])
		if err != nil {
			return err
		}
		c, err := on.client()
		if err != nil {
			return err
		}
		h, err := c.Hold(cmd.Context(), d, why)
		if err != nil {
			return err
		}
		if a.output == formatJSON {
			return a.printJSON(h)
		}
		return a.printf("%s is on hold since %s.\n", h.Destination, moment(h.Since))
	}
	cmd.Flags().StringVar(&why, "why", "", "the reason, for whoever finds the hold")
	return cmd
}

func (a *app) listHolds(cmd *cobra.Command, on *connection) error {
	c, err := on.client()
	if err != nil {
		return err
	}
	holds, err := c.Holds(cmd.Context())
	if err != nil {
		return err
	}
	if a.output == formatJSON {
		return a.printJSON(append([]client.Hold{}, holds...))
	}
	var rows [][]string
	for _, h := range holds {
		rows = append(rows, []string{string(h.Destination), moment(h.Since), plain(h.By, 60), plain(h.Why, 100)})
	}
	return a.printTable([]string{"DESTINATION", "SINCE", "BY", "WHY"}, rows)
}

func (a *app) resumeCommand() *cobra.Command {
	cmd, on := a.connects(&cobra.Command{
		Use:   "resume <channel id>|helpdesk",
		Short: "Resume a destination; what waited is sent in order",
		Args:  exactly("destination"),
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d, err := parseDestination(args[0])
		if err != nil {
			return err
		}
		c, err := on.client()
		if err != nil {
			return err
		}
		if err := c.Resume(cmd.Context(), d); err != nil {
			return err
		}
		return a.printDone("%s is resumed.", d)
	}
	return cmd
}
