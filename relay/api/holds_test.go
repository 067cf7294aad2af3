package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/auth"
	"omnirelay/relay/client"
)

func TestHoldAndResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(1001, nil)
	c := w.client(w.admin)

	before := time.Now()
	h, err := c.Hold(t.Context(), "channel-1001", "maintenance until noon")
	require.NoError(t, err)
	require.Equal(t, relay.Destination("channel-1001"), h.Destination)
	require.EqualValues(t, 1001, h.ChannelID)
	require.Equal(t, "maintenance until noon", h.Why)
	require.Contains(t, h.By, "test key (key key_")
	require.WithinRange(t, h.Since, before, time.Now())
	require.True(t, w.holds.Held("channel-1001"))

	again, err := c.Hold(t.Context(), "channel-1001", "longer than thought")
	require.NoError(t, err)
	require.Equal(t, h.Since, again.Since, "it keeps its beginning")
	_, err = c.Hold(t.Context(), relay.Helpdesk, "")
	require.NoError(t, err)

	holds, err := c.Holds(t.Context())
	require.NoError(t, err)
	require.Len(t, holds, 2)
	require.Equal(t, again, holds[0])
	require.Equal(t, relay.Helpdesk, holds[1].Destination)
	require.Zero(t, holds[1].ChannelID)

	require.NoError(t, c.Resume(t.Context(), "channel-1001"))
	require.False(t, w.holds.Held("channel-1001"))
	refusal := new(client.Error)
	require.ErrorAs(t, c.Resume(t.Context(), "channel-1001"), &refusal)
	require.Equal(t, http.StatusNotFound, refusal.Status)
	require.Equal(t, "channel-1001 is not on hold.", refusal.Message)
}

func TestAHoldInEveryEncoding(t *testing.T) {
	t.Parallel()
	for encoding := range encodings {
		w := newWorld(t)
		w.channel(1001, nil)
		a := w.send("POST", "/relay/v1/holds", w.admin, encoding, "channelID", "1001", "why", "reasons")
		require.Equal(t, http.StatusOK, a.status, a.text)
		require.Equal(t, "item", a.field("type"))
		require.Equal(t, "channel-1001", a.field("item", "destination"))
		require.Equal(t, "reasons", a.field("item", "why"))
	}
}

func TestReplays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(1001, nil)
	c := w.client(w.admin)
	since := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)

	p, err := c.Replay(t.Context(), "channel-1001", since)
	require.NoError(t, err)
	require.Equal(t, since, p.Since)
	require.EqualValues(t, 1001, p.ChannelID)
	require.Contains(t, p.By, "test key (key key_")
	require.NotEmpty(t, p.ID)

	list, err := c.Replays(t.Context())
	require.NoError(t, err)
	require.Equal(t, []client.Replay{p}, list)

	_, err = c.Replay(t.Context(), "channel-1001", since)
	refusal := new(client.Error)
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, http.StatusConflict, refusal.Status)
	require.Equal(t, "A replay of channel-1001 is under way already.", refusal.Message)
}

func TestDestinationsThatCannotBeHeldOrReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(1001, nil)
	const now = "2026-01-02T03:04:05Z"
	for _, path := range []string{"/relay/v1/holds", "/relay/v1/replays"} {
		for _, tc := range []struct {
			pairs  []string
			fields []string
		}{
			{nil, []string{"destination", "channelID"}},
			{[]string{"destination", "helpdesk", "channelID", "1001"}, []string{"destination", "channelID"}},
			{[]string{"destination", "channel-7"}, []string{"destination"}},
			{[]string{"destination", "channel-01001"}, []string{"destination"}},
			{[]string{"destination", "channel-"}, []string{"destination"}},
			{[]string{"destination", "everything"}, []string{"destination"}},
			{[]string{"destination", "channel-1001\n"}, []string{"destination"}},
			{[]string{"channelID", "7"}, []string{"channelID"}},
			{[]string{"channelID", "x"}, []string{"channelID"}},
			{[]string{"channelID", "1001", "colour", "red"}, []string{"colour"}},
		} {
			pairs := tc.pairs
			if path == "/relay/v1/replays" {
				pairs = append(pairs, "since", now)
			}
			a := w.send("POST", path, w.admin, "json", pairs...)
			require.Equal(t, http.StatusBadRequest, a.status, "%s %v: %s", path, tc.pairs, a.text)
			require.Equal(t, tc.fields, a.fields(), "%s %v", path, tc.pairs)
		}
	}
	for _, since := range []string{"", "yesterday", "2026-01-02", time.Now().Add(time.Hour).Format(time.RFC3339)} {
		a := w.send("POST", "/relay/v1/replays", w.admin, "json", "channelID", "1001", "since", since)
		require.Equal(t, http.StatusBadRequest, a.status, a.text)
		require.Equal(t, []string{"since"}, a.fields(), since)
	}
	for _, path := range []string{"everything", "channel-01001", "channel-0", "HELPDESK"} {
		a := w.get("DELETE", "/relay/v1/holds/"+path, w.admin)
		require.Equal(t, http.StatusBadRequest, a.status, path)
		require.Equal(t, []string{"destination"}, a.fields())
	}
	require.Empty(t, w.holds.List())
	require.Empty(t, w.replays.List())
}

func TestALimitedKeyHoldsItsOwnChannelsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(1001, nil)
	w.channel(1002, nil)
	key := w.key([]int64{1002}, auth.RelayRead, auth.RelayAdmin)
	ctx := t.Context()
	require.NoError(t, w.holds.Hold(ctx, "channel-1001", "somebody", ""))
	require.NoError(t, w.holds.Hold(ctx, relay.Helpdesk, "somebody", ""))
	for _, theirs := range []string{"channel-1001", "helpdesk"} {
		require.Equal(t, http.StatusForbidden, w.send("POST", "/relay/v1/holds", key, "json", "destination", theirs).status)
		require.Equal(t, http.StatusForbidden, w.get("DELETE", "/relay/v1/holds/"+theirs, key).status)
		require.Equal(t, http.StatusForbidden, w.send("POST", "/relay/v1/replays", key, "json", "destination", theirs, "since", "2026-01-02T03:04:05Z").status)
	}
	c := w.client(key)
	_, err := c.Hold(ctx, "channel-1002", "")
	require.NoError(t, err)
	holds, err := c.Holds(ctx)
	require.NoError(t, err)
	require.Len(t, holds, 1)
	require.EqualValues(t, 1002, holds[0].ChannelID)
	_, err = w.client(w.admin).Replay(ctx, "channel-1001", time.Now().Add(-time.Hour))
	require.NoError(t, err)
	replays, err := c.Replays(ctx)
	require.NoError(t, err)
	require.Empty(t, replays)
	require.NoError(t, c.Resume(ctx, "channel-1002"))
}
