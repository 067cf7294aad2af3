package main

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"omnirelay/relay/client"
)

func (a *app) accountCommand() *cobra.Command {
	cmd := group("account", "List, show, create, change and delete live-chat accounts, and see their sessions")
	cmd, on := a.connects(cmd)
	cmd.AddCommand(
		a.accountListCommand(on), a.accountShowCommand(on), a.accountCreateCommand(on),
		a.accountUpdateCommand(on), a.accountDeleteCommand(on), a.accountSessionsCommand(on))
	return cmd
}

func (a *app) accountListCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List all chat accounts",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := on.client()
			if err != nil {
				return err
			}
			accounts, err := c.Accounts(cmd.Context())
			if err != nil {
				return err
			}
			if a.output == formatJSON {
				return a.printJSON(accounts)
			}
			var rows [][]string
			for _, acc := range accounts {
				rows = append(rows, []string{acc.ID, plain(acc.Name, 40), yes(acc.SecretSet), plain(cmp.Or(strings.Join(acc.AllowedChatServers, " "), "any"), 100)})
			}
			return a.printTable([]string{"ID", "NAME", "SIGNED", "CHAT SERVERS"}, rows)
		},
	}
}

func (a *app) accountShowCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "show <account>",
		Short: "Show a chat account, by its id or name, with its tokens and its hook",
		Args:  exactly("account's id or name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := on.client()
			if err != nil {
				return err
			}
			acc, err := findAccount(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			return a.printAccount(acc, "")
		},
	}
}

func (a *app) accountCreateCommand(on *connection) *cobra.Command {
	var (
		fields accountFlags
		token  string
	)
	cmd := &cobra.Command{
		Use:   "create --name <name>",
		Short: "Create a chat account",
		Example: `  omnirelay account create --name "Web shop" --chat-server https://chat.example.com --generate-secret
  omnirelay account create --name Helpdesk --token <chatAccountToken of the helpdesk> --opening-hours "mon-fri 09:00-17:30" --time-zone Europe/Amsterdam`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, secret, err := fields.read(cmd)
			if err != nil {
				return err
			}
			f.Token = set(cmd.Flags().Changed("token"), token)
			c, err := on.client()
			if err != nil {
				return err
			}
			acc, err := c.CreateAccount(cmd.Context(), f)
			if err != nil {
				return err
			}
			return a.printAccount(acc, secret)
		},
	}
	fields.add(cmd)
	cmd.Flags().StringVar(&token, "token", "", "chatAccountToken, such as the helpdesk's own: 10 to 128 letters and digits (default: a new one)")
	return cmd
}

func (a *app) accountUpdateCommand(on *connection) *cobra.Command {
	var fields accountFlags
	cmd := &cobra.Command{
		Use:   "update <account>",
		Short: "Change a chat account, by its id or name; what no flag names stays as it is",
		Args:  exactly("account's id or name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, secret, err := fields.read(cmd)
			if err != nil {
				return err
			}
			if reflect.ValueOf(f).IsZero() {
				return misuse("nothing to change: give at least one flag")
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			acc, err := findAccount(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if acc, err = c.UpdateAccount(cmd.Context(), acc.ID, f); err != nil {
				return err
			}
			return a.printAccount(acc, secret)
		},
	}
	fields.add(cmd)
	return cmd
}

func (a *app) accountDeleteCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "delete <account>",
		Short: "Delete a chat account, by its id or name, and with it its sessions",
		Args:  exactly("account's id or name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := on.client()
			if err != nil {
				return err
			}
			acc, err := findAccount(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			if err := c.DeleteAccount(cmd.Context(), acc.ID); err != nil {
				return err
			}
			return a.printDone("Chat account %s is deleted.", plain(acc.Name, 200))
		},
	}
}

func (a *app) accountSessionsCommand(on *connection) *cobra.Command {
	limit := 50
	cmd := &cobra.Command{
		Use:   "sessions [account]",
		Short: "List chat sessions, of one account or of all",
		Args:  atMostOne("account's id or name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return misuse("--limit must be at least 1")
			}
			c, err := on.client()
			if err != nil {
				return err
			}
			var f client.ChatSessionFilter
			if len(args) > 0 {
				acc, err := findAccount(cmd.Context(), c, args[0])
				if err != nil {
					return err
				}
				f.AccountID = acc.ID
			}
			sessions, err := someSessions(cmd.Context(), c, f, limit)
			if err != nil {
				return err
			}
			if a.output == formatJSON {
				return a.printJSON(sessions)
			}
			var rows [][]string
			for _, s := range sessions {
				rows = append(rows, []string{plain(s.ID, 65), chatState(s), number(s.TicketID), moment(s.StartedAt), moment(s.SeenAt), plain(s.ChatServer, 80)})
			}
			return a.printTable([]string{"ID", "STATE", "TICKET", "STARTED", "SEEN", "CHAT SERVER"}, rows)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "how many to list at most")
	return cmd
}

// someSessions reads pages until it has enough.
func someSessions(ctx context.Context, c *client.Client, f client.ChatSessionFilter, most int) ([]client.ChatSession, error) {
	sessions := []client.ChatSession{}
	for {
		f.Limit = min(most-len(sessions), 1000)
		page, err := c.ChatSessions(ctx, f)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, page.Items...)
		if f.Cursor = page.Next; f.Cursor == "" || len(sessions) >= most {
			return sessions, nil
		}
	}
}

func chatState(s client.ChatSession) string {
	switch {
	case !s.EndedAt.IsZero():
		return "ended"
	case s.AnsweredAt.IsZero():
		return "waiting"
	}
	return "answered"
}

// findAccount finds an account by what a person types: its id, or its name where one account
// has it.
func findAccount(ctx context.Context, c *client.Client, text string) (client.Account, error) {
	accounts, err := c.Accounts(ctx)
	if err != nil {
		return client.Account{}, err
	}
	var found []client.Account
	for _, acc := range accounts {
		if acc.ID == text {
			return acc, nil
		}
		if acc.Name == text {
			found = append(found, acc)
		}
	}
	switch len(found) {
	case 0:
		return client.Account{}, fmt.Errorf("there is no chat account %q; omnirelay account list shows them", text)
	case 1:
		return found[0], nil
	}
	return client.Account{}, fmt.Errorf("%d chat accounts have the name %q: give an id", len(found), text)
}

// printAccount shows an account, and the secret that was made for it.
func (a *app) printAccount(acc client.Account, secret string) error {
	if a.output == formatJSON {
		return a.printJSON(struct {
			client.Account
			Secret string `json:"secret,omitempty"`
		}{acc, secret})
	}
	queue := "unlimited"
	if acc.MaxQueue > 0 {
		queue = strconv.Itoa(acc.MaxQueue)
	}
	list := func(items []string, none string) string { return plain(cmp.Or(strings.Join(items, ", "), none), 1000) }
	err := a.printPairs([]pair{
		{"id", acc.ID},
		{"name", plain(acc.Name, 200)},
		{"token", acc.Token},
		{"chat servers", list(acc.AllowedChatServers, "any")},
		{"origins", list(acc.AllowedOrigins, "any")},
		{"blacklisted", list(acc.BlacklistedIPs, "none")},
		{"languages", list(acc.Languages, "")},
		{"opening hours", list(acc.OpeningHours, "always")},
		{"time zone", acc.TimeZone},
		{"max queue", queue},
		{"signed", yes(acc.SecretSet)},
		{"old secret until", moment(acc.PreviousSecretUntil)},
		{"hook", plain(acc.HookURL, 500)},
		{"created", moment(acc.CreatedAt)},
		{"updated", moment(acc.UpdatedAt)},
	})
	if err != nil || secret == "" {
		return err
	}
	return a.printf("\nThe signing secret, shown this once; the chat server verifies with it:\n\n  %s\n", secret)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
