package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"omnirelay/relay/client"
	"omnirelay/relay/config"
	"omnirelay/relay/egress"
	"omnirelay/relay/helpdesk"
)

// syncStep is one thing that an import or a push does, or would do in a dry run.
type syncStep struct {
	Channel int64  `json:"channel"` // in the relay
	Name    string `json:"name"`
	Action  string `json:"action"`          // create, update, skip
	Detail  string `json:"detail"`          // what changes, or why nothing does
	Error   string `json:"error,omitempty"` // when it failed
	do      func(context.Context) (detail string, err error)
}

// syncFlags are the flags of import and push.
type syncFlags struct {
	with   string
	dryRun bool
	path   string
}

func (f *syncFlags) add(cmd *cobra.Command, direction string) {
	cmd.Flags().StringVar(&f.with, direction, "helpdesk", "the other side; helpdesk is the only one")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done and do nothing")
	configFlag(cmd, &f.path)
}

// helpdesk is the account of the configuration.
func (f *syncFlags) helpdesk(a *app, direction string) (*helpdesk.Channels, error) {
	if f.with != "helpdesk" {
		return nil, misuse("--%s must be helpdesk", direction)
	}
	c, err := config.Load(f.path, a.environ)
	if err != nil {
		return nil, err
	}
	if c.Helpdesk.Kind != config.HelpdeskOmnidesk {
		return nil, misuseError{errors.New("the configuration names no Omnidesk account: set helpdesk.kind, base_url and api_key, or OMNIRELAY_HELPDESK_KIND, _BASE_URL and _API_KEY")}
	}
	account := helpdesk.NewAccount(c.Helpdesk.BaseURL, c.Helpdesk.APIKey.Reveal())
	account.KeyInQuery = c.Helpdesk.APIKeyIn == config.KeyInQuery
	return helpdesk.NewChannels(account, egress.New(c.Egress.Allow).Transport()), nil
}

func (a *app) channelImportCommand(on *connection) *cobra.Command {
	var flags syncFlags
	cmd := &cobra.Command{
		Use:   "import --from helpdesk",
		Short: "Create the helpdesk's custom channels in the relay, under their ids",
		Long: `Create in the relay what the helpdesk has as custom channels: under the same ids, with the endpoints
that the helpdesk sends to. The helpdesk is not changed; "channel push" then points it at the relay.

The helpdesk shows no secrets: set them with "channel update --secret" where the apps verify signatures.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := flags.helpdesk(a, "from")
			if err != nil {
				return err
			}
			relay, err := on.client()
			if err != nil {
				return err
			}
			steps, err := planImport(cmd.Context(), desk, relay)
			if err != nil {
				return err
			}
			return a.sync(cmd.Context(), steps, flags.dryRun)
		},
	}
	flags.add(cmd, "from")
	return cmd
}

func (a *app) channelPushCommand(on *connection) *cobra.Command {
	var flags syncFlags
	cmd := &cobra.Command{
		Use:   "push --to helpdesk",
		Short: "Point the helpdesk's custom channels at the relay's hooks, and create those it lacks",
		Long: `Set custom_channel_endpoint of the helpdesk's channels to the hooks of the relay's channels of the
same id, so that agents' messages come through the relay. A channel that the helpdesk lacks is
created there; the helpdesk chooses its id.

Needs public_url in the relay's configuration, or the hooks are addresses of this machine.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			desk, err := flags.helpdesk(a, "to")
			if err != nil {
				return err
			}
			relay, err := on.client()
			if err != nil {
				return err
			}
			steps, err := planPush(cmd.Context(), desk, relay)
			if err != nil {
				return err
			}
			return a.sync(cmd.Context(), steps, flags.dryRun)
		},
	}
	flags.add(cmd, "to")
	return cmd
}

// both are the channels of the two sides.
func both(ctx context.Context, desk *helpdesk.Channels, relay *client.Client) (theirs []helpdesk.Channel, ours []client.Channel, err error) {
	if theirs, err = desk.List(ctx); err != nil {
		return nil, nil, err
	}
	for ch, err := range relay.AllChannels(ctx) {
		if err != nil {
			return nil, nil, err
		}
		ours = append(ours, ch)
	}
	return theirs, ours, nil
}

// isHook reports whether an endpoint is a hook of a relay: importing it would send messages
// in a circle.
func isHook(endpoint string) bool { return strings.Contains(endpoint, "/hooks/channel/") }

func planImport(ctx context.Context, desk *helpdesk.Channels, relay *client.Client) ([]syncStep, error) {
	theirs, ours, err := both(ctx, desk, relay)
	if err != nil {
		return nil, err
	}
	known := map[int64]bool{}
	for _, ch := range ours {
		known[ch.ID] = true
	}
	var steps []syncStep
	for _, ch := range theirs {
		s := syncStep{Channel: ch.ID, Name: ch.Name, Action: "skip"}
		switch {
		case ch.Endpoint == "":
			continue // a channel of another sort
		case known[ch.ID]:
			s.Detail = "the relay has it"
		case isHook(ch.Endpoint):
			s.Detail = "its endpoint is a relay's hook already; its app's address must be given by hand"
		default:
			s.Action, s.Detail = "create", "endpoint "+ch.Endpoint
			s.do = func(ctx context.Context) (string, error) {
				f := client.ChannelFields{ID: &ch.ID, Name: &ch.Name, Endpoint: &ch.Endpoint}
				if ch.Icon != "" {
					f.Icon = &ch.Icon
				}
				_, err := relay.CreateChannel(ctx, f)
				return "", err
			}
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func planPush(ctx context.Context, desk *helpdesk.Channels, relay *client.Client) ([]syncStep, error) {
	theirs, ours, err := both(ctx, desk, relay)
	if err != nil {
		return nil, err
	}
	byID := map[int64]helpdesk.Channel{}
	pointed := map[string]int64{}
	for _, ch := range theirs {
		byID[ch.ID] = ch
		pointed[ch.Endpoint] = ch.ID
	}
	var steps []syncStep
	for _, ch := range ours {
		s := syncStep{Channel: ch.ID, Name: ch.Name, Action: "skip"}
		there, found := byID[ch.ID]
		switch other := pointed[ch.HookURL]; {
		case ch.HookURL == "":
			s.Detail = "the API key may not see its hook (CHANNEL_CUD)"
		case found && there.Endpoint == ch.HookURL:
			s.Detail = "points at the relay already"
		case !found && other != 0:
			s.Detail = fmt.Sprintf("the helpdesk's channel %d points at its hook already", other)
		case found:
			s.Action, s.Detail = "update", "endpoint "+there.Endpoint+" becomes the hook"
			there.Endpoint = ch.HookURL
			s.do = func(ctx context.Context) (string, error) { return "", desk.Update(ctx, there) }
		default:
			s.Action, s.Detail = "create", "with the hook as its endpoint"
			fresh := helpdesk.Channel{Name: ch.Name, Icon: ch.Icon, Endpoint: ch.HookURL}
			s.do = func(ctx context.Context) (string, error) {
				id, err := desk.Create(ctx, fresh)
				if err != nil || id == ch.ID {
					return "", err
				}
				if id == 0 {
					return "created, but the helpdesk did not say under which id", nil
				}
				return fmt.Sprintf("created as channel %d of the helpdesk: give the relay's channel that id, or customers' messages name one that the helpdesk does not know", id), nil
			}
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// sync does the steps, or shows them only, and reports each. A step that fails does not keep
// the others from being done.
func (a *app) sync(ctx context.Context, steps []syncStep, dryRun bool) error {
	failed := 0
	for i := range steps {
		s := &steps[i]
		if s.do == nil || dryRun {
			continue
		}
		detail, err := s.do(ctx)
		if detail != "" {
			s.Detail = detail
		}
		if err != nil {
			failed++
			s.Error = err.Error()
		}
	}
	if err := a.printSteps(steps, dryRun); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d channels could not be done", failed, len(steps))
	}
	return nil
}

func (a *app) printSteps(steps []syncStep, dryRun bool) error {
	if a.output == formatJSON {
		if steps == nil {
			steps = []syncStep{}
		}
		return a.printJSON(steps)
	}
	var rows [][]string
	for _, s := range steps {
		detail := plain(s.Detail, 200)
		if s.Error != "" {
			detail = "FAILED: " + plain(s.Error, 300)
		}
		rows = append(rows, []string{number(s.Channel), plain(s.Name, 40), s.Action, detail})
	}
	if err := a.printTable([]string{"CHANNEL", "NAME", "ACTION", "DETAIL"}, rows); err != nil || !dryRun {
		return err
	}
	return a.printf("\nNothing was changed: this is a dry run.\n")
}
