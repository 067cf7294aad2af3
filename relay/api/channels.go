package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"omnirelay/endpoints"
	"omnirelay/relay"
	"omnirelay/relay/auth"
	"omnirelay/relay/client"
	"omnirelay/relay/egress"
)

// The envelopes of the helpdesk's answers.
type (
	itemAnswer[T any] struct {
		Type string `json:"type" doc:"Always item."`
		Item T      `json:"item"`
	}
	channelList struct {
		Type string `json:"type" doc:"Always list."`
		client.ChannelPage
	}
)

func item[T any](v T) itemAnswer[T] { return itemAnswer[T]{Type: "item", Item: v} }

func result(message string) client.Result { return client.Result{Type: "result", Message: message} }

// checkURLTimeout bounds the name look-up when a channel is saved.
const checkURLTimeout = 5 * time.Second

func (a *API) listChannels(r *request) error {
	start := int(r.values.Integer("itemStart"))
	limit := 15
	if r.values.Given("itemLimit") {
		limit = int(r.values.Integer("itemLimit"))
	}
	var page []endpoints.Channel
	var total int
	if r.limited() {
		all, err := a.channelsOf(r.Request().Context(), r.key)
		if err != nil {
			return err
		}
		total = len(all)
		page = all[min(start, total):min(start+limit, total)]
	} else {
		page, total = a.o.Channels.List(start, limit)
	}
	list := channelList{Type: "list", ChannelPage: client.ChannelPage{
		ItemStart: start, ItemTotal: total, ItemLimit: limit, Items: make([]client.Channel, 0, len(page)),
	}}
	for _, c := range page {
		list.Items = append(list.Items, a.view(r.key, c))
	}
	return r.JSON(http.StatusOK, list)
}

// channelsOf lists the channels that a limited key is for, by id.
func (a *API) channelsOf(ctx context.Context, key auth.Key) ([]endpoints.Channel, error) {
	var all []endpoints.Channel
	for _, id := range slices.Compact(slices.Sorted(slices.Values(key.Channels))) {
		c, err := a.o.Channels.Get(ctx, id)
		if errors.Is(err, endpoints.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (a *API) createChannel(r *request) error {
	id := r.values.Integer("id")
	if r.limited() {
		if id == 0 {
			return errChannel.saying("The API key %q is limited to %s: give the id of the channel to create.", r.key.Name, list(r.key.Channels))
		}
		if err := r.useChannel(id); err != nil {
			return err
		}
	}
	patch, err := channelPatch(r)
	if err != nil {
		return err
	}
	if err := a.checkURLs(r.Request().Context(), patch, endpoints.Channel{Icon: endpoints.DefaultIcon}); err != nil {
		return err
	}
	c, err := a.o.Channels.Create(r.Request().Context(), id, patch)
	if errors.Is(err, endpoints.ErrExists) {
		return errConflict.saying("The channel id %d is taken, by a channel that is there or was deleted.", id).because(err)
	}
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(a.view(r.key, c)))
}

func (a *API) getChannel(r *request) error {
	c, err := a.channel(r)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(a.view(r.key, c)))
}

func (a *API) updateChannel(r *request) error {
	before, err := a.channel(r)
	if err != nil {
		return err
	}
	patch, err := channelPatch(r)
	if err != nil {
		return err
	}
	if err := a.checkURLs(r.Request().Context(), patch, before); err != nil {
		return err
	}
	c, err := a.o.Channels.Update(r.Request().Context(), before.ID, patch)
	if err != nil {
		return err
	}
	return r.JSON(http.StatusOK, item(a.view(r.key, c)))
}

func (a *API) deleteChannel(r *request) error {
	c, err := a.channel(r)
	if err != nil {
		return err
	}
	if err := a.o.Channels.Delete(r.Request().Context(), c.ID, r.operator()); err != nil {
		return err
	}
	return r.JSON(http.StatusOK, result("Channel deleted."))
}

// channel is the one that the path names, if the key may use it.
func (a *API) channel(r *request) (endpoints.Channel, error) {
	id, err := endpoints.ParseID(r.Param("id"))
	if err != nil {
		return endpoints.Channel{}, badField("id", "in the path must be a whole number, 1 or more")
	}
	if err := r.useChannel(id); err != nil {
		return endpoints.Channel{}, err
	}
	c, err := a.o.Channels.Get(r.Request().Context(), id)
	if errors.Is(err, endpoints.ErrNotFound) {
		return c, noChannel(id)
	}
	return c, err
}

func noChannel(id int64) error { return errNotFound.saying("There is no channel %d.", id) }

// channelPatch turns the given fields into a change.
func channelPatch(r *request) (endpoints.Patch, error) {
	var patch endpoints.Patch
	var problems relay.Problems
	for _, f := range endpoints.Fields() {
		if !r.values.Given(f) {
			continue
		}
		if err := patch.Set(f, r.values.Text(f)); err != nil {
			if problem, ok := errors.AsType[relay.FieldError](err); ok {
				problems = append(problems, problem)
				continue
			}
			return patch, err
		}
	}
	return patch, problems.Err()
}

// checkURLs holds a change against the egress rules, and against every other rule as well
// so that all that is wrong is said at once.
func (a *API) checkURLs(ctx context.Context, patch endpoints.Patch, to endpoints.Channel) error {
	ctx, cancel := context.WithTimeout(ctx, checkURLTimeout)
	defer cancel()
	problems := patch.Check(to)
	for _, given := range []struct {
		field   string
		address *string
	}{{"custom_channel_endpoint", patch.Endpoint}, {"status_callback", patch.StatusCallback}} {
		field, address := given.field, given.address
		broken := slices.ContainsFunc(problems, func(p relay.FieldError) bool { return p.Field == field })
		if address == nil || *address == "" || broken {
			continue
		}
		err := a.o.CheckURL(ctx, *address)
		if _, unresolved := errors.AsType[*egress.UnresolvedError](err); unresolved {
			// The receiver's name may be set up after its channel; each delivery asks again.
			continue
		}
		if err != nil {
			problems.Add(field, "cannot be used: "+err.Error())
		}
	}
	return problems.Err()
}

// view is the channel as the key's holder may see it.
func (a *API) view(key auth.Key, c endpoints.Channel) client.Channel {
	full := key.Can(auth.ChannelCUD)
	v := c.View(full)
	out := client.Channel{
		ID: v.ID, Name: v.Name, Icon: v.Icon, Endpoint: v.Endpoint,
		SecretSet: v.SecretSet, PreviousSecretsUntil: v.PreviousSecretsUntil,
		IncludeSignature: v.IncludeSignature, WarningEN: v.WarningEN, WarningNL: v.WarningNL,
		AvailableInQuickTicket: v.AvailableInQuickTicket, Policy: v.Policy,
		StatusCallback: v.StatusCallback, HookToken: v.HookToken, CreatedAt: v.CreatedAt, UpdatedAt: v.UpdatedAt,
	}
	if full {
		out.HookURL = a.o.PublicURL + "/hooks/channel/" + strconv.FormatInt(v.ID, 10) + "/" + v.HookToken
	}
	return out
}
