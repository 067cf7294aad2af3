package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // the command was understood and did not succeed
	exitMisuse = 2 // the command line itself is wrong
)

// app is one run of the program: its streams, its environment, and the flags that all
// commands share.
type app struct {
	in      io.Reader
	out     io.Writer // results
	err     io.Writer // everything else
	environ []string

	output format
	begun  bool // a command has taken over: what goes wrong from here on is no misuse by itself
}

// run executes one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(a.err, "omnirelay: %v\n", err)
	if _, ok := errors.AsType[misuseError](err); ok || !a.begun {
		fmt.Fprintf(a.err, "See %q.\n", cmd.CommandPath()+" --help")
		return exitMisuse
	}
	if hint := advice(err); hint != "" {
		fmt.Fprintln(a.err, hint)
	}
	return exitFailed
}

// misuseError is a mistake in the command line that only the command itself can see.
type misuseError struct{ error }

func (e misuseError) Unwrap() error { return e.error }

func misuse(text string, args ...any) error { return misuseError{fmt.Errorf(text, args...)} }

// format is the value of --output.
type format string

const (
	formatTable format = "table" // for people
	formatJSON  format = "json"  // for programs
)

// String implements pflag.Value.
func (f *format) String() string { return string(*f) }

// Type implements pflag.Value; it is what the help calls the value.
func (f *format) Type() string { return "table|json" }

// Set implements pflag.Value.
func (f *format) Set(text string) error {
	switch format(text) {
	case formatTable, formatJSON:
		*f = format(text)
		return nil
	}
	return errors.New("must be table or json")
}

// printJSON writes a result for programs: indented JSON and a newline.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// printf writes a result for people.
func (a *app) printf(text string, args ...any) error {
	if _, err := fmt.Fprintf(a.out, text, args...); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// group is a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use:   use + " <command>",
		Short: short,
		Args:  cobra.ArbitraryArgs,
		// How many letters a misspelt name may be off and still be suggested.
		SuggestionsMinimumDistance: 2,

		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				var names []string
				for _, sub := range cmd.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, sub.Name())
					}
				}
				return misuse("%s needs a command: %s", cmd.CommandPath(), strings.Join(names, ", "))
			}
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return misuse("%s has no command %q; did you mean %s?", cmd.CommandPath(), args[0], near[0])
			}
			return misuse("%s has no command %q", cmd.CommandPath(), args[0])
		},
	}
	g.AddCommand(commands...)
	return g
}

// printDone says that a command without a result is done; programs get an object.
func (a *app) printDone(text string, args ...any) error {
	message := fmt.Sprintf(text, args...)
	if a.output == formatJSON {
		return a.printJSON(struct {
			OK      bool   `json:"ok"`
			Message string `json:"message"`
		}{true, message})
	}
	return a.printf("%s\n", message)
}

// exactly is the Args of a command that takes one argument, which it calls name.
func exactly(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return misuse("%s takes one argument, the %s, but got %d", cmd.CommandPath(), name, len(args))
		}
		return nil
	}
}

// atMostOne is the Args of a command that takes one argument, which it calls name, or none.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return misuse("%s takes one argument, the %s, or none, but got %d", cmd.CommandPath(), name, len(args))
		}
		return nil
	}
}

// noArguments is the Args of a command that takes flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return misuse("%s takes no arguments, but got %q", cmd.CommandPath(), args[0])
	}
	return nil
}
