package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"omnirelay/relay/config"
)

func (a *app) configCommand() *cobra.Command {
	return group("config", "Check, show and explain the settings",
		a.configCheckCommand(), a.configPrintCommand(), a.configExampleCommand())
}

// configFlag adds the flag --config to a command that reads the settings.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "", "file with the settings (default: what "+config.FileVariable+" names, else none)")
}

func (a *app) configCheckCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Report everything that is wrong with the settings",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := config.Load(path, a.environ)
			if a.output == formatJSON {
				problems := config.Problems{}
				errors.As(err, &problems)
				if printErr := a.printJSON(struct {
					OK       bool            `json:"ok"`
					Problems config.Problems `json:"problems"`
				}{err == nil, problems}); printErr != nil {
					return printErr
				}
			}
			if err != nil {
				return err
			}
			if a.output == formatTable {
				return a.printf("The configuration is good.\n")
			}
			return nil
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func (a *app) configPrintCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Show the settings in force and where each comes from, secrets hidden",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			c, err := config.Load(path, a.environ)
			if err != nil {
				return err
			}
			if a.output == formatJSON {
				return a.printJSON(c.Settings())
			}
			return c.Print(a.out)
		},
	}
	configFlag(cmd, &path)
	return cmd
}

func (a *app) configExampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "example",
		Short: "Write a file with every setting, its documentation and its default",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			if _, err := a.out.Write(config.Example()); err != nil {
				return fmt.Errorf("writing the example: %w", err)
			}
			return nil
		},
	}
}
