package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/signer"
)

// channelFlags are the fields of a channel on the command line.
type channelFlags struct {
	name, icon, endpoint, warningEN, warningNL, callback string
	secret, secretFile                                   string
	generate, includeSignature, quickTicket              bool
	concurrency, maxAttempts, rateBurst                  int
	timeout, maxAge, retryInitial, retryMax, overlap     time.Duration
	rateLimit                                            float64
}

func (f *channelFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "letters, digits, spaces, full stops, hyphens, underscores")
	flags.StringVar(&f.icon, "icon", "", "the icon's name in the helpdesk")
	flags.StringVar(&f.endpoint, "endpoint", "", "URL that agents' messages are POSTed to")
	flags.StringVar(&f.secret, "secret", "", "signing secret: whsec_… or any text, empty for none; other users of this machine can see it")
	flags.StringVar(&f.secretFile, "secret-file", "", "file that holds the signing secret")
	flags.BoolVar(&f.generate, "generate-secret", false, "make a signing secret and show it")
	flags.DurationVar(&f.overlap, "secret-overlap", 0, "how long the replaced secret signs beside the new one")
	flags.BoolVar(&f.includeSignature, "include-signature", false, "carry the agent's text signature")
	flags.StringVar(&f.warningEN, "warning-en", "", "warning that the helpdesk shows, in English")
	flags.StringVar(&f.warningNL, "warning-nl", "", "warning that the helpdesk shows, in Dutch")
	flags.BoolVar(&f.quickTicket, "quick-ticket", false, "offer the channel in quick ticket")
	flags.IntVar(&f.concurrency, "concurrency", 0, "most requests at once, over all conversations")
	flags.DurationVar(&f.timeout, "timeout", 0, "how long one request may take")
	flags.IntVar(&f.maxAttempts, "max-attempts", 0, "how often a message is tried before it is a dead letter")
	flags.DurationVar(&f.maxAge, "max-age", 0, "how old a message may get before it is a dead letter")
	flags.DurationVar(&f.retryInitial, "retry-initial", 0, "longest wait after the first failure; doubles with each")
	flags.DurationVar(&f.retryMax, "retry-max", 0, "where the doubling ends")
	flags.Float64Var(&f.rateLimit, "rate-limit", 0, "most messages a second; 0 for no limit")
	flags.IntVar(&f.rateBurst, "rate-burst", 0, "messages that may go at once under --rate-limit")
	flags.StringVar(&f.callback, "status-callback", "", "URL that news of messages is POSTed to; empty for none")
	cmd.MarkFlagsMutuallyExclusive("secret", "secret-file", "generate-secret")
}

// read collects the flags that are given. made is the secret that --generate-secret made.
func (f *channelFlags) read(cmd *cobra.Command) (fields client.ChannelFields, made string, err error) {
	given := cmd.Flags().Changed
	fields = client.ChannelFields{
		Name:                   set(given("name"), f.name),
		Icon:                   set(given("icon"), f.icon),
		Endpoint:               set(given("endpoint"), f.endpoint),
		Secret:                 set(given("secret"), f.secret),
		IncludeSignature:       set(given("include-signature"), f.includeSignature),
		WarningEN:              set(given("warning-en"), f.warningEN),
		WarningNL:              set(given("warning-nl"), f.warningNL),
		AvailableInQuickTicket: set(given("quick-ticket"), f.quickTicket),
		Concurrency:            set(given("concurrency"), f.concurrency),
		Timeout:                set(given("timeout"), relay.Duration(f.timeout)),
		MaxAttempts:            set(given("max-attempts"), f.maxAttempts),
		MaxAge:                 set(given("max-age"), relay.Duration(f.maxAge)),
		RetryInitial:           set(given("retry-initial"), relay.Duration(f.retryInitial)),
		RetryMax:               set(given("retry-max"), relay.Duration(f.retryMax)),
		RateLimit:              set(given("rate-limit"), f.rateLimit),
		RateBurst:              set(given("rate-burst"), f.rateBurst),
		StatusCallback:         set(given("status-callback"), f.callback),
		SecretOverlap:          set(given("secret-overlap"), relay.Duration(f.overlap)),
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

// set is a value that was given, else nil.
func set[T any](given bool, value T) *T {
	if !given {
		return nil
	}
	return &value
}
