package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

func (a *app) deadReplayCommand(on *connection) *cobra.Command {
	cmd := a.deadBulkCommand(on, bulk{
		verb: "replay", past: "replayed",
		one: func(ctx context.Context, c *client.Client, id relay.ID) error {
			_, err := c.ReplayDead(ctx, id)
			return err
		},
	})
	cmd.Short = "Send dead letters again, under their own ids"
	cmd.Long = `Send dead letters again, under their own ids, oldest first: those whose ids are given, or all that the
flags select.`
	cmd.Example = `  omnirelay dead replay msg_019aa51e-7d5b-7c83-8b5a-1f3f2d7f8a10
  omnirelay dead replay --channel 1001 --since 1h --rate 50 --dry-run`
	return cmd
}

func (a *app) deadDiscardCommand(on *connection) *cobra.Command {
	cmd := a.deadBulkCommand(on, bulk{
		verb: "discard", past: "discarded",
		one: func(ctx context.Context, c *client.Client, id relay.ID) error { return c.DiscardDead(ctx, id) },
	})
	cmd.Short = "Discard dead letters for good; their history stays"
	cmd.Long = `Discard dead letters for good: those whose ids are given, or all that the flags select. Their
history stays, with the name of the key that was used.`
	cmd.Example = `  omnirelay dead discard msg_019aa51e-7d5b-7c83-8b5a-1f3f2d7f8a10
  omnirelay dead discard --channel 1001 --reason expired --dry-run`
	return cmd
}

// bulk is what is done to dead letters, one by one.
type bulk struct {
	verb, past string
	one        func(context.Context, *client.Client, relay.ID) error
}

func (a *app) deadBulkCommand(on *connection, b bulk) *cobra.Command {
	var (
		flags     deadFlags
		all       bool
		dryRun    bool
		perSecond float64
	)
	cmd := &cobra.Command{
		Use:  b.verb + " [<id>…]",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := flags.read()
			if err != nil {
				return err
			}
			ids, err := parseMessageIDs(args)
			if err != nil {
				return err
			}
			selected := f != (client.DeadFilter{})
			switch {
			case perSecond < 0:
				return misuse("--rate must not be negative")
			case len(ids) > 0 && (selected || all):
				return misuse("give ids or flags that select, not both")
			case len(ids) == 0 && !selected && !all:
				return misuse("which dead letters? Give ids, flags that select, or --all")
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			letters, err := deadLetters(cmd.Context(), c, ids, f)
			if err != nil {
				return err
			}
			if dryRun {
				return a.printDead(letters)
			}
			return a.runBulk(cmd.Context(), c, b, letters, perSecond)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all dead letters there are")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only list what would be "+b.past)
	cmd.Flags().Float64Var(&perSecond, "rate", 0, "at most so many a second; 0 for no limit")
	return cmd
}

func parseMessageIDs(args []string) ([]relay.ID, error) {
	ids := make([]relay.ID, 0, len(args))
	for _, text := range args {
		id, err := parseMessageID(text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// deadLetters fetches the dead letters with the ids, or all that the filter selects.
func deadLetters(ctx context.Context, c *client.Client, ids []relay.ID, f client.DeadFilter) ([]client.DeadLetter, error) {
	letters := []client.DeadLetter{}
	for _, id := range ids {
		d, err := c.DeadLetter(ctx, id)
		if err != nil {
			return nil, err
		}
		letters = append(letters, d)
	}
	if len(ids) > 0 {
		return letters, nil
	}
	f.Limit = pageOf(0)
	if f.Until.IsZero() {
		f.Until = time.Now() // what dies while we are at it is another matter
	}
	for d, err := range c.AllDead(ctx, f) {
		if err != nil {
			return nil, err
		}
		letters = append(letters, d)
	}
	return letters, nil
}

// bulkReport is the result of work on many dead letters.
type bulkReport struct {
	Done int `json:"done"`
	// Gone counts those that somebody else had replayed or discarded meanwhile.
	Gone  int `json:"gone"`
	Total int `json:"total"`
}

// runBulk works through the letters in their order and stops at the first failure: the next
// run finds what is left.
func (a *app) runBulk(ctx context.Context, c *client.Client, b bulk, letters []client.DeadLetter, perSecond float64) error {
	limit := rate.Inf
	if perSecond > 0 {
		limit = rate.Limit(perSecond)
	}
	limiter := rate.NewLimiter(limit, 1)
	r := bulkReport{Total: len(letters)}
	bar := a.progress(b.verb, len(letters))
	err := func() error {
		defer bar.end()
		for _, d := range letters {
			if err := limiter.Wait(ctx); err != nil {
				return err
			}
			err := retryBusy(ctx, func() error { return b.one(ctx, c, d.Message.ID) })
			if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Status == http.StatusNotFound {
				r.Gone++
				err = nil
			} else if err == nil {
				r.Done++
			}
			if err != nil {
				return err
			}
			bar.step()
		}
		return nil
	}()
	if err != nil {
		return fmt.Errorf("%d of %s %s, then: %w", r.Done, count(r.Total, "dead letter"), b.past, err)
	}
	if a.output == formatJSON {
		return a.printJSON(r)
	}
	if r.Gone > 0 {
		return a.printf("%s %s; %d were gone already.\n", count(r.Done, "dead letter"), b.past, r.Gone)
	}
	return a.printf("%s %s.\n", count(r.Done, "dead letter"), b.past)
}

// retryBusy calls f again after the wait that the relay asks for while it cannot take more.
func retryBusy(ctx context.Context, f func() error) error {
	for {
		err := f()
		refusal, ok := errors.AsType[*client.Error](err)
		if !ok || refusal.Status != http.StatusServiceUnavailable || refusal.RetryAfter == 0 {
			return err
		}
		select {
		case <-time.After(refusal.RetryAfter):
		case <-ctx.Done():
			return err
		}
	}
}
