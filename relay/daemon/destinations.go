package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"omnirelay/endpoints"
	"omnirelay/relay"
	"omnirelay/relay/config"
	"omnirelay/relay/deliver"
	"omnirelay/signer"
)

// destinations says where each destination leads now and how it is to be treated: channels
// and their status callbacks by the registry, chat servers by the message itself, the
// helpdesk by the configuration. It is the dispatcher's Catalog and the deliverer's Resolver.
type destinations struct {
	channels *endpoints.Registry
	servers  chatServers
	defaults relay.Policy     // of what sets nothing of its own
	render   deliver.Renderer // of channels' endpoints and of a webhook helpdesk

	policy  relay.Policy   // of the helpdesk
	account *omnidesk      // with kind omnidesk
	desk    deliver.Target // else
	deskErr error          // instead of desk, when nothing is to be sent there
}

func newDestinations(c config.Config, channels *endpoints.Registry, live liveChat) (*destinations, error) {
	d := &destinations{
		channels: channels,
		servers:  chatServers{accounts: live.accounts, timeout: time.Duration(c.Delivery.Timeout), open: live.openFile},
		defaults: c.Delivery.Policy(),
		render:   deliver.JSONWith(live.links.URL),
		policy:   c.HelpdeskPolicy(),
	}
	switch h := c.Helpdesk; h.Kind {
	case config.HelpdeskNone:
		d.deskErr = deliver.ErrNotSent
	case config.HelpdeskWebhook:
		d.desk = deliver.Target{URL: h.URL, Timeout: time.Duration(h.Timeout), Render: d.render}
		if !h.Secret.IsZero() {
			s, err := signer.ParseSecret(h.Secret.Reveal())
			if err != nil {
				return nil, fmt.Errorf("helpdesk.secret: %w", err)
			}
			d.desk.Secrets = []signer.Secret{s}
		}
	case config.HelpdeskOmnidesk:
		d.account = newOmnidesk(h, live.openFile)
	default:
		return nil, fmt.Errorf("helpdesk.kind %q is not supported by this version", h.Kind)
	}
	return d, nil
}

// Policy implements dispatch.Catalog. A destination counts as deleted only when its
// tombstone says so: a channel that is merely not known yet may be another instance's news.
func (d *destinations) Policy(name relay.Destination) (relay.Policy, bool) {
	id, callback, ok := channelOf(name)
	switch {
	case name == relay.Helpdesk:
		return d.policy, true
	case !ok:
		return d.defaults, true
	}
	if _, deleted := d.channels.Tombstone(id); deleted {
		return relay.Policy{}, false
	}
	c, err := d.channels.Get(context.Background(), id)
	if err != nil || callback {
		return d.defaults, true
	}
	return c.Policy(), true
}

// channelOf is the channel that a destination belongs to, and whether it is the channel's
// status callback.
func channelOf(name relay.Destination) (id int64, callback, ok bool) {
	if id, ok := name.Channel(); ok {
		return id, false, true
	}
	id, ok = name.Status()
	return id, true, ok
}

// Resolve implements deliver.Resolver.
func (d *destinations) Resolve(ctx context.Context, e *relay.Entry) (deliver.Target, error) {
	id, callback, ok := channelOf(e.Destination)
	switch {
	case e.Destination.Chat():
		return d.servers.target(ctx, e)
	case !ok && d.account != nil:
		return d.account.target(e)
	case !ok:
		return d.desk, d.deskErr
	}
	c, err := d.channels.Get(ctx, id)
	if err != nil {
		if t, deleted := d.channels.Tombstone(id); deleted {
			return deliver.Target{}, &deliver.GoneError{By: t.DeletedBy}
		}
		return deliver.Target{}, fmt.Errorf("looking up channel %d: %w", id, err)
	}
	t := deliver.Target{Secrets: c.Secrets(time.Now())}
	if callback {
		if c.StatusCallback == "" {
			return deliver.Target{}, deliver.ErrNotSent // nobody wants to be told any more
		}
		t.URL, t.Timeout, t.Render = c.StatusCallback, time.Duration(d.defaults.Timeout), renderStatus
		return t, nil
	}
	if c.Endpoint == "" {
		return deliver.Target{}, errors.New("the channel has no custom_channel_endpoint")
	}
	t.URL, t.Timeout, t.Render = c.Endpoint, time.Duration(c.Policy().Timeout), d.render
	return t, nil
}
