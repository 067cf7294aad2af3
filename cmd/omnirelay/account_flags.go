package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/signer"
)

// accountFlags are the fields of a chat account on the command line.
type accountFlags struct {
	name, timeZone, secret, secretFile       string
	servers, origins, blacklisted, languages []string
	hours                                    []string
	maxQueue                                 int
	generate                                 bool
	overlap                                  time.Duration
}

func (f *accountFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "letters, digits, spaces, full stops, hyphens, underscores")
	flags.StringSliceVar(&f.servers, "chat-server", nil, "chat server that sessions may name, with what lies below it (repeatable; empty for any)")
	flags.StringSliceVar(&f.origins, "origin", nil, "host of a web site that may show the chat, *. for every host below (repeatable; empty for any)")
	flags.StringSliceVar(&f.blacklisted, "blacklist", nil, "address or range that may not chat (repeatable; empty for none)")
	flags.StringSliceVar(&f.languages, "language", nil, "such as nl or en-GB, the preferred first (repeatable)")
	flags.StringArrayVar(&f.hours, "opening-hours", nil, `such as "mon-fri 09:00-17:30" (repeatable; empty for always)`)
	flags.StringVar(&f.timeZone, "time-zone", "", "zone of the opening hours, such as Europe/Amsterdam (default UTC)")
	flags.IntVar(&f.maxQueue, "max-queue", 0, "chats that may wait before visitors are told that it is full; 0 for no bound")
	flags.StringVar(&f.secret, "secret", "", "signing secret: whsec_… or any text, empty for none; other users of this machine can see it")
	flags.StringVar(&f.secretFile, "secret-file", "", "file that holds the signing secret")
	flags.BoolVar(&f.generate, "generate-secret", false, "make a signing secret and show it")
	flags.DurationVar(&f.overlap, "secret-overlap", 0, "how long the replaced secret signs beside the new one")
	cmd.MarkFlagsMutuallyExclusive("secret", "secret-file", "generate-secret")
}

// read collects the flags that are given. made is the secret that --generate-secret made.
func (f *accountFlags) read(cmd *cobra.Command) (fields client.AccountFields, made string, err error) {
	given := cmd.Flags().Changed
	fields = client.AccountFields{
		Name:               set(given("name"), f.name),
		AllowedChatServers: setList(given("chat-server"), f.servers),
		AllowedOrigins:     setList(given("origin"), f.origins),
		BlacklistedIPs:     setList(given("blacklist"), f.blacklisted),
		Languages:          setList(given("language"), f.languages),
		OpeningHours:       setList(given("opening-hours"), f.hours),
		TimeZone:           set(given("time-zone"), f.timeZone),
		MaxQueue:           set(given("max-queue"), f.maxQueue),
		Secret:             set(given("secret"), f.secret),
		SecretOverlap:      set(given("secret-overlap"), relay.Duration(f.overlap)),
	}
	switch {
	case f.generate:
		made = signer.NewSecret().Reveal()
		fields.Secret = &made
	case f.secretFile != "":
		text, err := os.ReadFile(f.secretFile)
		if err != nil {
			return fields, "", fmt.Errorf("reading the secret: %w", err)
		}
		fields.Secret = new(strings.TrimRight(string(text), "\r\n"))
	}
	return fields, made, nil
}

// setList is a list that was given, without empty entries, else nil.
func setList(given bool, list []string) []string {
	if !given {
		return nil
	}
	return slices.DeleteFunc(append([]string{}, list...), func(s string) bool { return s == "" })
}
