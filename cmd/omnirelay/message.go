package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

func (a *app) messageCommand() *cobra.Command {
	cmd := group("message", "Send messages and see what became of them")
	cmd, on := a.connects(cmd)
	cmd.AddCommand(a.messageSendCommand(on), a.messageListCommand(on), a.messageShowCommand(on))
	return cmd
}

func (a *app) messageSendCommand(on *connection) *cobra.Command {
	var (
		m       client.OutboundMessage
		inbound bool
	)
	cmd := &cobra.Command{
		Use:   "send <text>",
		Short: "Send an agent's message to a channel, or a customer's to the helpdesk",
		Long: `Send a message and print its id once it is stored.

An agent's message needs --channel, and --ticket or --to. A customer's message (--inbound) needs
--channel or --ticket. The text - is read from standard input.`,
		Example: `  omnirelay message send --channel 1001 --ticket 858462 "Your parcel is on its way."
  omnirelay message send --inbound --channel 1001 --from +31612345678 "Where is my parcel?"
  omnirelay message send --channel 1001 --to ann --idempotency-key order-7 - < text`,
		Args: exactly("text"),
		RunE: func(cmd *cobra.Command, args []string) error {
			m.Message = args[0]
			if args[0] == "-" {
				text, err := io.ReadAll(a.in)
				if err != nil {
					return fmt.Errorf("reading the text: %w", err)
				}
				m.Message = string(text)
			}
			if inbound && m.Signature != "" {
				return misuse("--signature is an agent's; a customer's message has none")
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			var accepted client.Accepted
			if inbound {
				accepted, err = c.SendInbound(cmd.Context(), client.InboundMessage{
					ChannelID: m.ChannelID, TicketID: m.TicketID, Message: m.Message, Title: m.Title,
					ToAddress: m.ToAddress, FromAddress: m.FromAddress, UserID: m.UserID, IdempotencyKey: m.IdempotencyKey,
				})
			} else {
				accepted, err = c.SendOutbound(cmd.Context(), m)
			}
			if err != nil {
				return err
			}
			if a.output == formatJSON {
				return a.printJSON(accepted)
			}
			if accepted.Duplicate {
				return a.printf("%s (sent before under this idempotency key)\n", accepted.MessageID)
			}
			return a.printf("%s\n", accepted.MessageID)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&inbound, "inbound", false, "a customer's message, for the helpdesk")
	flags.Int64Var(&m.ChannelID, "channel", 0, "the channel's id")
	flags.Int64Var(&m.TicketID, "ticket", 0, "the ticket's id")
	flags.StringVar(&m.ToAddress, "to", "", "the address it goes to")
	flags.StringVar(&m.FromAddress, "from", "", "the address it comes from")
	flags.StringVar(&m.Title, "title", "", "the ticket's title")
	flags.Int64Var(&m.UserID, "user", 0, "the agent's id")
	flags.StringVar(&m.Signature, "signature", "", "the agent's text signature")
	flags.StringVar(&m.IdempotencyKey, "idempotency-key", "", "the same key again sends nothing twice")
	return cmd
}

func (a *app) messageListCommand(on *connection) *cobra.Command {
	var (
		f                              client.MessageFilter
		destination, direction, status string
		since, until                   timeValue
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List messages, newest first",
		Example: `  omnirelay message list --channel 1001 --state retrying --since 1h`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.Direction, f.State = relay.Direction(direction), client.State(status)
			f.Since, f.Until = since.at, until.at
			if destination != "" {
				var err error
				if f.Destination, err = parseDestination(destination); err != nil {
					return err
				}
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			most := f.Limit
			f.Limit = pageOf(most)
			messages := []client.Message{}
			for m, err := range c.AllMessages(cmd.Context(), f) {
				if err != nil {
					return err
				}
				if messages = append(messages, m); len(messages) == most {
					break
				}
			}
			if a.output == formatJSON {
				return a.printJSON(messages)
			}
			return a.printMessages(messages)
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&f.ChannelID, "channel", 0, "only this channel")
	flags.StringVar(&destination, "destination", "", "only this destination: helpdesk, or channel- and an id")
	flags.StringVar(&direction, "direction", "", "only this direction: in (customer to agent) or out")
	flags.StringVar(&f.Conversation, "conversation", "", "only this conversation, such as ticket:858462")
	flags.StringVar(&status, "state", "", "only this state: queued, retrying, delivered or dead")
	flags.Var(&since, "since", "only from this time on: RFC 3339, or how long ago, such as 1h")
	flags.Var(&until, "until", "only before this time")
	flags.IntVarP(&f.Limit, "limit", "n", 50, "at most so many; 0 for all")
	return cmd
}

// pageOf is the size of the pages in which so many records are best read.
func pageOf(most int) int {
	if most <= 0 {
		return 1000
	}
	return min(most, 1000)
}

func (a *app) printMessages(messages []client.Message) error {
	var rows [][]string
	for _, m := range messages {
		reason := ""
		if m.LastAttempt != nil && m.State != client.StateDelivered {
			reason = string(m.LastAttempt.Reason)
		}
		rows = append(rows, []string{
			moment(m.AcceptedAt), string(m.ID), string(m.Destination), plain(m.Conversation, 40), string(m.State), reason, plain(m.Text, 50),
		})
	}
	return a.printTable([]string{"ACCEPTED", "ID", "DESTINATION", "CONVERSATION", "STATE", "REASON", "MESSAGE"}, rows)
}

func (a *app) messageShowCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "show <id>",
		Short: "Show a message and every attempt at delivering it",
		Args:  exactly("message id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseMessageID(args[0])
			if err != nil {
				return err
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			m, err := c.Message(cmd.Context(), id)
			if err != nil {
				return err
			}
			if a.output == formatJSON {
				return a.printJSON(m)
			}
			err = a.printPairs(append(messagePairs(m.Message),
				pair{"sequence", number(m.Sequence)},
				pair{"state", string(m.State)},
				pair{"next attempt", moment(m.NextAt)},
			))
			if err != nil || len(m.Attempts) == 0 {
				return err
			}
			if err := a.printf("\n"); err != nil {
				return err
			}
			if err := a.printAttempts(m.Attempts); err != nil || !m.AttemptsTruncated {
				return err
			}
			return a.printf("There are more attempts than can be shown.\n")
		},
	}
}

func messagePairs(m relay.Message) []pair {
	return []pair{
		{"id", string(m.ID)},
		{"type", m.Type},
		{"destination", string(m.Destination)},
		{"channel", plain(strings.TrimSpace(number(m.ChannelID)+" "+m.ChannelName), 100)},
		{"conversation", plain(m.Conversation, 200)},
		{"accepted", moment(m.AcceptedAt)},
		{"to", plain(m.ToAddress, 200)},
		{"from", plain(m.FromAddress, 200)},
		{"title", plain(m.Title, 200)},
		{"user", number(m.UserID)},
		{"message", plain(m.Text, 1000)},
		{"signature", plain(m.Signature, 200)},
		{"replayed by", plain(m.ReplayedBy, 200)},
	}
}

func (a *app) printAttempts(attempts []relay.Attempt) error {
	var rows [][]string
	for _, t := range attempts {
		said := t.Error
		if said == "" {
			said = t.Response
		}
		if t.By != "" {
			said = strings.TrimSpace("by " + t.By + " " + said)
		}
		rows = append(rows, []string{
			moment(t.StartedAt), strconv.Itoa(t.Number), string(t.Outcome), string(t.Reason), number(t.Status),
			time.Duration(t.Duration).Round(10 * time.Microsecond).String(), moment(t.NextAt), plain(said, 100),
		})
	}
	return a.printTable([]string{"STARTED", "ATTEMPT", "OUTCOME", "REASON", "STATUS", "TOOK", "NEXT", "SAID"}, rows)
}
