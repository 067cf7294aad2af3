package api_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/auth"
	"omnirelay/relay/client"
)

func clientKey(name string, permissions ...auth.Permission) client.KeyFields {
	f := client.KeyFields{Name: name}
	for _, p := range permissions {
		f.Permissions = append(f.Permissions, string(p))
	}
	return f
}

func TestKeyLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client(w.admin)
	made, err := c.CreateKey(t.Context(), client.KeyFields{Name: "shop", Permissions: []string{"MESSAGE_CREATE", "CHANNEL_READ"}, Channels: []int64{1002, 1001}})
	require.NoError(t, err)
	require.Equal(t, []int64{1001, 1002}, made.Channels)
	require.NotEmpty(t, made.APIKey)
	keys, err := c.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 2)
	shop := slices.IndexFunc(keys, func(k client.Key) bool { return k.ID == made.ID })
	require.Equal(t, made.Key, keys[shop])
	require.NotContains(t, w.get("GET", "/relay/v1/keys", w.admin).text, made.APIKey, "it is shown once")
	require.NoError(t, c.RevokeKey(t.Context(), made.ID))
	keys, err = c.Keys(t.Context())
	require.NoError(t, err)
	require.False(t, keys[shop].RevokedAt.IsZero())
	err = c.RevokeKey(t.Context(), "key_nothing")
	require.ErrorContains(t, err, "no API key")
}

func TestAKeyInEveryEncoding(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for encoding := range encodings {
		a := w.send("POST", "/relay/v1/keys", w.admin, encoding, "name", encoding, "permissions", "RELAY_READ,CHANNEL_READ", "channels", "1001")
		require.Equal(t, 200, a.status, a.text)
		require.Equal(t, []any{"CHANNEL_READ", "RELAY_READ"}, a.field("item", "permissions"))
		require.Equal(t, []any{1001.0}, a.field("item", "channels"))
		a = w.send("POST", "/relay/v1/keys", w.admin, encoding, "name", encoding, "permissions[0]", "RELAY_READ", "permissions[1]", "CHANNEL_READ")
		require.Equal(t, 200, a.status, a.text)
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct {
		fields []string
		names  []string
	}{
		{nil, []string{"name", "permissions"}},
		{[]string{"name", "n"}, []string{"permissions"}},
		{[]string{"name", "n", "permissions", "EVERYTHING"}, []string{"permissions"}},
		{[]string{"name", "n", "permissions", "RELAY_READ", "channels", "all"}, []string{"channels"}},
		{[]string{"name", "n", "permissions", "RELAY_READ", "channels", "0"}, []string{"channels"}},
		{[]string{"name", "line\nbreak", "permissions", "RELAY_READ"}, []string{"name"}},
	} {
		a := w.send("POST", "/relay/v1/keys", w.admin, "json", test.fields...)
		require.Equal(t, http.StatusBadRequest, a.status, a.text)
		require.Equal(t, test.names, a.fields())
	}
	require.Len(t, w.keys.List(), 1)
}

func TestNobodyHandsOutMoreThanTheyHave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.client(w.key(nil, auth.RelayAdmin))
	_, err := admin.CreateKey(t.Context(), clientKey("n", auth.RelayAdmin, auth.MessageCreate))
	require.ErrorContains(t, err, "cannot hand out what it lacks: MESSAGE_CREATE")

	limitedKey := w.key([]int64{1001, 1002}, auth.RelayAdmin, auth.RelayRead)
	limited := w.client(limitedKey)
	for name, channels := range map[string][]int64{"all": nil, "others": {1003}, "more": {1001, 1003}} {
		f := clientKey(name, auth.RelayRead)
		f.Channels = channels
		_, err := limited.CreateKey(t.Context(), f)
		require.ErrorContains(t, err, "limited to channels 1001, 1002", name)
	}
	f := clientKey("fewer", auth.RelayRead)
	f.Channels = []int64{1002}
	mine, err := limited.CreateKey(t.Context(), f)
	require.NoError(t, err)

	keys, err := limited.Keys(t.Context())
	require.NoError(t, err)
	require.Len(t, keys, 2, "itself and the one it made")
	for _, k := range w.keys.List() {
		if len(k.Channels) == 0 { // those for all channels
			require.ErrorContains(t, limited.RevokeKey(t.Context(), k.ID), "cannot revoke")
		}
	}
	require.NoError(t, limited.RevokeKey(t.Context(), mine.ID))
}

func TestVersionAndStats(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(0, nil)
	c := w.client(w.admin)
	v, err := c.Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, "test", v.Version)
	require.Contains(t, v.Go, "go1.")
	s, err := c.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, s.Channels)
	require.Equal(t, 1, s.Keys)
	require.False(t, s.StartedAt.IsZero())
}
