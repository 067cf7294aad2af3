package api

import (
	"errors"

	"omnirelay/endpoints"
	"omnirelay/relay/helpdesk"
	"omnirelay/signer"
)

// channelHook takes an agent's message as the helpdesk itself sends it to a channel's
// custom_channel_endpoint: in whatever encoding, under whatever names, with the token of the
// path for a key.
func (a *API) channelHook(r *request) error {
	c, err := a.hooked(r)
	if err != nil {
		return err
	}
	if err := a.verify(r, c); err != nil {
		return err
	}
	req := r.Request()
	values, err := helpdesk.ParseBody(req.Header.Get("Content-Type"), r.body, helpdesk.DefaultLimits())
	if err != nil {
		return err
	}
	if req.URL.RawQuery != "" {
		query, err := helpdesk.ParseQuery(req.URL.RawQuery, helpdesk.DefaultLimits())
		if err != nil {
			return err
		}
		if err := values.Merge(query); err != nil {
			return err
		}
	}
	r.values = helpdesk.FromHook(values)
	// Standard Webhooks 1.0.0: webhook-id stays the same over the sender's retries.
	if id := req.Header.Get(signer.HeaderID); id != "" && !r.values.Given("messageID") {
		r.values["messageID"] = id
	}
	if err := helpdesk.ChannelHook().Check(r.values); err != nil {
		return err
	}
	return a.acceptOutbound(r, c)
}

// hooked is the channel of the path. A wrong token looks like a channel that is not there.
func (a *API) hooked(r *request) (endpoints.Channel, error) {
	nothing := errNotFound.saying("There is no such hook; a channel's hook_url is its address.")
	id, err := endpoints.ParseID(r.Param("id"))
	if err != nil {
		return endpoints.Channel{}, badField("id", "in the path must be a whole number, 1 or more")
	}
	c, err := a.o.Channels.Get(r.Request().Context(), id)
	if errors.Is(err, endpoints.ErrNotFound) {
		return c, nothing
	}
	if err != nil {
		return c, errUnavailable.because(err)
	}
	if !c.HookTokenMatches(r.Param("token")) {
		return c, nothing
	}
	return c, nil
}

// verify holds a request that carries a Standard Webhooks signature to it, where the channel
// has a secret to verify with. One that carries none has shown the token, and how a helpdesk
// uses the secret otherwise is not documented.
func (a *API) verify(r *request, c endpoints.Channel) error {
	header := r.Request().Header
	signed := header.Get(signer.HeaderID) != "" || header.Get(signer.HeaderTimestamp) != "" || header.Get(signer.HeaderSignature) != ""
	now := a.o.Now()
	secrets := c.Secrets(now)
	if !signed || len(secrets) == 0 {
		return nil
	}
	if err := signer.Verify(header, r.body, now, secrets...); err != nil {
		return errSignature.because(err)
	}
	return nil
}
