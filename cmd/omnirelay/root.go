package main

import (
	"github.com/spf13/cobra"
)

// commands lists what omnirelay can do. Each command has a file of its own.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.serveCommand(),
		a.channelCommand(),
		a.accountCommand(),
		a.messageCommand(),
		a.scheduledCommand(),
		a.deadCommand(),
		a.holdCommand(),
		a.resumeCommand(),
		a.replayCommand(),
		a.tailCommand(),
		a.keyCommand(),
		a.sinkCommand(),
		a.demoCommand(),
		a.benchCommand(),
		a.configCommand(),
		a.signatureCommand(),
		a.healthCommand(),
		a.versionCommand(),
	}
}

func (a *app) root() *cobra.Command {
	a.output, a.begun = formatTable, false
	root := group("omnirelay", "A durable webhook relay between a helpdesk and messaging apps", a.commands()...)
	root.Long = `omnirelay stands between a helpdesk and third-party messaging apps. Customers' messages go in,
agents' replies go out to each channel's endpoint: signed, in order, and retried until they arrive.

Exit codes: 0 done, 1 failed, 2 the command line is wrong.`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.PersistentFlags().VarP(&a.output, "output", "o", "results as a table for people or as JSON for programs")
	// The completion of a flag that was just defined cannot fail.
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{string(formatTable), string(formatJSON)}, cobra.ShellCompDirectiveNoFileComp))
	a.watch(root)
	return root
}

// watch notes when a command begins: errors before that are mistakes in the command line,
// which cobra returns without a type of their own.
func (a *app) watch(cmd *cobra.Command) {
	if begin := cmd.RunE; begin != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			a.begun = true
			return begin(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		a.watch(sub)
	}
}
