package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"omnirelay/relay/auth"
	"omnirelay/relay/client"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := group("key", "Create, list and revoke API keys")
	cmd, on := a.connects(cmd)
	cmd.AddCommand(a.keyCreateCommand(on), a.keyListCommand(on), a.keyRevokeCommand(on))
	return cmd
}

func (a *app) keyCreateCommand(on *connection) *cobra.Command {
	var f client.KeyFields
	var names []string
	for _, p := range auth.Permissions() {
		names = append(names, string(p))
	}
	cmd := &cobra.Command{
		Use:     "create <name>",
		Short:   "Create an API key and show it, this once",
		Long:    "Create an API key and show it, this once: only a hash of it is stored.\n\nPermissions: " + strings.Join(names, ", ") + ".\nA key can hand out only the permissions and channels that it has itself.",
		Example: `  omnirelay key create shop --permission MESSAGE_CREATE --permission RELAY_READ --channel 1001`,
		Args:    exactly("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Name = args[0]
			c, err := on.client()
			if err != nil {
				return err
			}
			made, err := c.CreateKey(cmd.Context(), f)
			if err != nil {
				return err
			}
			if a.output == formatJSON {
				return a.printJSON(made)
			}
			if err := a.printPairs(keyPairs(made.Key)); err != nil {
				return err
			}
			return a.printf("\nThe API key, shown this once:\n\n  %s\n", made.APIKey)
		},
	}
	cmd.Flags().StringSliceVar(&f.Permissions, "permission", nil, "what the key may do (repeatable)")
	cmd.Flags().Int64SliceVar(&f.Channels, "channel", nil, "the only channels that it may use (repeatable; default: all)")
	// These fail only for a flag that does not exist.
	_ = cmd.MarkFlagRequired("permission")
	_ = cmd.RegisterFlagCompletionFunc("permission", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (a *app) keyListCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List API keys, revoked ones too",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := on.client()
			if err != nil {
				return err
			}
			keys, err := c.Keys(cmd.Context())
			if err != nil {
				return err
			}
			if a.output == formatJSON {
				return a.printJSON(keys)
			}
			var rows [][]string
			for _, k := range keys {
				rows = append(rows, []string{k.ID, plain(k.Name, 40), moment(k.CreatedAt), moment(k.RevokedAt), channels(k), strings.Join(k.Permissions, " ")})
			}
			return a.printTable([]string{"ID", "NAME", "CREATED", "REVOKED", "CHANNELS", "PERMISSIONS"}, rows)
		},
	}
}

func (a *app) keyRevokeCommand(on *connection) *cobra.Command {
	return &cobra.Command{
		Use:   "revoke <key id>",
		Short: "End an API key at once and for good",
		Args:  exactly("key id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := on.client()
			if err != nil {
				return err
			}
			if err := c.RevokeKey(cmd.Context(), args[0]); err != nil {
				return err
			}
			return a.printDone("Key %s is revoked.", args[0])
		},
	}
}

func keyPairs(k client.Key) []pair {
	return []pair{
		{"id", k.ID},
		{"name", plain(k.Name, 300)},
		{"permissions", strings.Join(k.Permissions, " ")},
		{"channels", channels(k)},
	}
}

// channels says which channels a key may use.
func channels(k client.Key) string {
	if len(k.Channels) == 0 {
		return "all"
	}
	ids := make([]string, len(k.Channels))
	for i, id := range k.Channels {
		ids[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(ids, " ")
}
