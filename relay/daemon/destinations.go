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
// by the registry, the helpdesk by the configuration. It is the dispatcher's Catalog and the
// deliverer's Resolver.
type destinations struct {
	channels *endpoints.Registry

	desk    deliver.Target
	deskErr error // instead of desk, when nothing is to be sent there
	policy  relay.Policy
}

func newDestinations(c config.Config, channels *endpoints.Registry) (*destinations, error) {
	d := &destinations{channels: channels, policy: c.HelpdeskPolicy()}
	switch h := c.Helpdesk; h.Kind {
	case config.HelpdeskNone:
		d.deskErr = deliver.ErrNotSent
	case config.HelpdeskWebhook:
		d.desk = deliver.Target{URL: h.URL, Timeout: time.Duration(h.Timeout)}
		if !h.Secret.IsZero() {
			s, err := signer.ParseSecret(h.Secret.Reveal())
			if err != nil {
				return nil, fmt.Errorf("helpdesk.secret: %w", err)
			}
			d.desk.Secrets = []signer.Secret{s}
		}
	default:
		return nil, fmt.Errorf("helpdesk.kind %q is not supported by this version", h.Kind)
	}
	return d, nil
}

// Policy implements dispatch.Catalog. A destination counts as deleted only when its
// tombstone says so: a channel that is merely not known yet may be another instance's news.
func (d *destinations) Policy(name relay.Destination) (relay.Policy, bool) {
	id, ok := name.Channel()
	if !ok {
		return d.policy, true
	}
	if _, deleted := d.channels.Tombstone(id); deleted {
		return relay.Policy{}, false
	}
	c, err := d.channels.Get(context.Background(), id)
	if err != nil {
		return relay.DefaultPolicy(), true
	}
	return c.Policy(), true
}

// Resolve implements deliver.Resolver.
func (d *destinations) Resolve(ctx context.Context, e *relay.Entry) (deliver.Target, error) {
	id, ok := e.Destination.Channel()
	if !ok {
		return d.desk, d.deskErr
	}
	if t, deleted := d.channels.Tombstone(id); deleted {
		return deliver.Target{}, &deliver.GoneError{By: t.DeletedBy}
	}
	c, err := d.channels.Get(ctx, id)
	if err != nil {
		return deliver.Target{}, fmt.Errorf("looking up channel %d: %w", id, err)
	}
	if c.Endpoint == "" {
		return deliver.Target{}, errors.New("the channel has no custom_channel_endpoint")
	}
	return deliver.Target{
		URL:     c.Endpoint,
		Secrets: c.Secrets(time.Now()),
		Timeout: time.Duration(c.Policy().Timeout),
	}, nil
}
