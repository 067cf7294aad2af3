package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/endpoints"
	"omnirelay/relay/api"
	"omnirelay/relay/auth"
	"omnirelay/relay/egress"
	"omnirelay/signer"
)

func TestChannelLifeInEveryEncoding(t *testing.T) {
	t.Parallel()
	for encoding := range encodings {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.send("POST", "/api/v2/channel", w.admin, encoding,
				"name", "Example channel", "icon", "note", "custom_channel_endpoint", "https://api.myexampleapp.com/omnidesk/api/message",
				"custom_channel_secret", "hush", "include_signature", "true", "concurrency", "4", "timeout", "30s", "rate_limit", "2.5")
			require.Equal(t, 200, a.status, a.text)
			require.Equal(t, "item", a.body["type"])
			want := map[string]any{
				"id": 1001.0, "name": "Example channel", "icon": "note", "custom_channel_endpoint": "https://api.myexampleapp.com/omnidesk/api/message",
				"custom_channel_secret_set": true, "include_signature": true, "concurrency": 4.0, "timeout": "30s", "rate_limit": 2.5,
				"custom_channel_warning_en": "", "custom_channel_warning_nl": "", "custom_channel_available_in_quick_ticket": false,
				"max_attempts": 10.0, "max_age": "72h0m0s", "retry_initial": "5s", "retry_max": "4h0m0s", "status_callback": "", "rate_burst": 1.0,
			}
			for name, value := range want {
				require.Equal(t, value, a.field("item", name), name)
			}
			token, _ := a.field("item", "hook_token").(string)
			require.Equal(t, "https://relay.example.org/hooks/channel/1001/"+token, a.field("item", "hook_url"))

			a = w.send("PUT", "/api/v2/channel/1001", w.admin, encoding, "name", "Renamed", "custom_channel_warning_en", "Closed on Sundays!",
				"custom_channel_warning_nl", "Zondag gesloten, Zoë", "include_signature", "0", "custom_channel_available_in_quick_ticket", "1", "icon", "")
			require.Equal(t, 200, a.status, a.text)
			for name, value := range map[string]any{
				"name": "Renamed", "custom_channel_warning_en": "Closed on Sundays!", "custom_channel_warning_nl": "Zondag gesloten, Zoë",
				"include_signature": false, "custom_channel_available_in_quick_ticket": true, "icon": "note", "concurrency": 4.0, "custom_channel_secret_set": true,
			} {
				require.Equal(t, value, a.field("item", name), name)
			}

			a = w.send("PUT", "/api/v2/channel/1001", w.admin, encoding, "custom_channel_secret", "", "custom_channel_warning_en", "")
			require.Equal(t, 200, a.status, a.text)
			require.Equal(t, false, a.field("item", "custom_channel_secret_set"), "an empty secret ends signing")
			require.Empty(t, a.field("item", "custom_channel_warning_en"))

			require.Equal(t, a.body, w.get("GET", "/api/v2/channel/1001", w.admin).body)
			a = w.get("DELETE", "/api/v2/channel/1001", w.admin)
			require.Equal(t, map[string]any{"type": "result", "message": "Channel deleted."}, a.body)
			require.Equal(t, 404, w.get("GET", "/api/v2/channel/1001", w.admin).status)
			require.Equal(t, 404, w.get("DELETE", "/api/v2/channel/1001", w.admin).status)
			require.Equal(t, 404, w.send("PUT", "/api/v2/channel/1001", w.admin, encoding, "name", "x").status)
			tombstone, ok := w.channels.Tombstone(1001)
			require.True(t, ok)
			require.Contains(t, tombstone.DeletedBy, "test key (key key_")
		})
	}
}

func TestChannelIndexPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		w.channel(0, nil)
	}
	a := w.get("GET", "/api/v2/channel", w.admin)
	require.Equal(t, 200, a.status)
	require.Equal(t, []any{"list", 0.0, 20.0, 15.0}, []any{a.body["type"], a.body["itemStart"], a.body["itemTotal"], a.body["itemLimit"]})
	require.Len(t, a.body["items"], 15)
	a = w.get("GET", "/api/v2/channel?itemStart=15&itemLimit=9999", w.admin)
	require.Len(t, a.body["items"], 5)
	a = w.get("GET", "/api/v2/channel?itemStart=100", w.admin)
	require.Equal(t, []any{}, a.body["items"], "an empty page is an empty list")
	for _, bad := range []string{"itemLimit=0", "itemLimit=10000", "itemStart=-1", "itemStart=x", "itemStart=99999999999999999999", "itemLimit=1&itemLimit=2"} {
		a = w.get("GET", "/api/v2/channel?"+bad, w.admin)
		require.Equal(t, 400, a.status, bad)
		require.Len(t, a.fields(), 1, bad)
	}
}

func TestChannelIndexShowsNoHooksToReaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.channel(0, nil)
	a := w.get("GET", "/api/v2/channel", w.key(nil, auth.ChannelRead))
	require.Equal(t, 200, a.status)
	require.NotContains(t, a.text, c.HookToken.Reveal())
	require.Contains(t, w.get("GET", "/api/v2/channel", w.admin).text, c.HookToken.Reveal())
}

func TestAChannelIDMayBeGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fields := []string{"name", "n", "custom_channel_endpoint", "https://example.com"}
	create := func(id string) answer {
		return w.send("POST", "/api/v2/channel", w.admin, "json", append(fields, "id", id)...)
	}
	require.Contains(t, create("13").text, `"id":13,`)
	a := create("13")
	require.Equal(t, 409, a.status)
	require.Equal(t, "conflict", a.body["code"])
	for _, bad := range []string{"0", "-1", "8", "x", "9007199254740992"} {
		a = create(bad)
		require.Equal(t, 400, a.status, bad)
		require.Equal(t, []string{"id"}, a.fields(), bad)
	}
}

func TestBadChannelFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(0, nil)
	good := map[string]string{"name": "n", "custom_channel_endpoint": "https://example.com"}
	tests := []struct{ field, value string }{
		{"name", "semi;colon"}, {"name", strings.Repeat("n", 256)}, {"name", strings.Repeat("n", 1_000_000)}, {"name", "ünicode"}, {"name", "new\nline"},
		{"icon", "two words"}, {"icon", "a.b"},
		{"custom_channel_endpoint", "ftp://example.com"}, {"custom_channel_endpoint", "example.com"}, {"custom_channel_endpoint", "https://"},
		{"custom_channel_endpoint", "https://example.com/under_score"}, {"custom_channel_endpoint", "https://user@example.com"},
		{"custom_channel_endpoint", "javascript:alert"}, {"custom_channel_endpoint", "https://example.com:99999"},
		{"custom_channel_secret", strings.Repeat("s", 1025)},
		{"include_signature", "yes"}, {"custom_channel_available_in_quick_ticket", "2"},
		{"custom_channel_warning_en", "<b>"}, {"custom_channel_warning_nl", "tab\there"}, {"custom_channel_warning_nl", "ț"},
		{"concurrency", "1025"}, {"concurrency", "-1"}, {"concurrency", "1.5"}, {"concurrency", "99999999999999999999"},
		{"timeout", "99ms"}, {"timeout", "6m"}, {"timeout", "15"}, {"max_attempts", "101"}, {"max_age", "721h"}, {"max_age", "1ms"},
		{"retry_initial", "1ms"}, {"retry_max", "25h"}, {"rate_limit", "-1"}, {"rate_limit", "NaN"}, {"rate_limit", "many"}, {"rate_burst", "1000001"},
		{"status_callback", "nowhere"}, {"custom_channel_secret_overlap", "-1s"}, {"custom_channel_secret_overlap", "forever"},
	}
	for i, test := range tests {
		t.Run(fmt.Sprintf("%d %s", i, test.field), func(t *testing.T) {
			t.Parallel()
			for encoding := range encodings {
				fields := []string{test.field, test.value}
				for name, value := range good {
					if name != test.field {
						fields = append(fields, name, value)
					}
				}
				for method, path := range map[string]string{"POST": "/api/v2/channel", "PUT": "/api/v2/channel/1001"} {
					a := w.send(method, path, w.admin, encoding, fields...)
					require.Equal(t, 400, a.status, "%s %s %s", encoding, method, a.text)
					require.Equal(t, "invalid_field", a.body["code"])
					require.Equal(t, []string{test.field}, a.fields())
					require.Less(t, len(a.text), 2000, "the answer does not repeat the value")
				}
			}
		})
	}
	t.Cleanup(func() {
		_, total := w.channels.List(0, 1)
		require.Equal(t, 1, total, "nothing was stored")
	})
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.send("POST", "/api/v2/channel", w.admin, "json", "icon", "two words", "timeout", "1ms")
	require.Equal(t, 400, a.status)
	require.ElementsMatch(t, []string{"name", "icon", "custom_channel_endpoint", "timeout"}, a.fields())
	require.Equal(t, "error", a.body["status"])
	require.Equal(t, "error", a.body["type"])
}

func TestAnEndpointThatEgressRefusesIsNotSaved(t *testing.T) {
	t.Parallel()
	guard := egress.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")})
	w := newWorld(t, func(o *api.Options) { o.CheckURL = guard.CheckURL })
	for _, address := range []string{"http://127.0.0.1/x", "http://10.0.0.1", "http://169.254.169.254/latest/meta-data"} {
		a := w.send("POST", "/api/v2/channel", w.admin, "json", "name", "n", "custom_channel_endpoint", address)
		require.Equal(t, 400, a.status, address)
		require.Equal(t, []string{"custom_channel_endpoint"}, a.fields())
	}
	a := w.send("POST", "/api/v2/channel", w.admin, "json", "name", "n;", "custom_channel_endpoint", "http://10.0.0.1", "status_callback", "http://10.0.0.1")
	require.ElementsMatch(t, []string{"name", "custom_channel_endpoint", "status_callback"}, a.fields())
	a = w.send("POST", "/api/v2/channel", w.admin, "json", "name", "n", "custom_channel_endpoint", "http://127.0.0.2")
	require.Equal(t, 200, a.status, a.text)
	a = w.send("PUT", "/api/v2/channel/1001", w.admin, "json", "custom_channel_endpoint", "http://127.0.0.1")
	require.Equal(t, []string{"custom_channel_endpoint"}, a.fields())
}

func TestANameThatDoesNotResolveYetIsSaved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *api.Options) {
		o.CheckURL = func(context.Context, string) error {
			return &egress.UnresolvedError{Host: "later.example", Err: errors.New("no such host")}
		}
	})
	a := w.send("POST", "/api/v2/channel", w.admin, "json", "name", "n", "custom_channel_endpoint", "http://later.example")
	require.Equal(t, 200, a.status, a.text)
}

func TestALimitedKeySeesItsChannelsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 3 {
		w.channel(0, nil)
	}
	key := w.key([]int64{1002, 1500}, auth.Permissions()...)
	a := w.get("GET", "/api/v2/channel", key)
	require.Contains(t, a.text, `"itemTotal":1,`)
	require.Len(t, a.body["items"], 1)
	require.Equal(t, 200, w.get("GET", "/api/v2/channel/1002", key).status)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		a = w.get(method, "/api/v2/channel/1001", key)
		require.Equal(t, 403, a.status, method)
		require.Equal(t, "channel_forbidden", a.body["code"])
		require.Contains(t, a.body["message"], "channels 1002, 1500")
		require.Equal(t, a.status, w.get(method, "/api/v2/channel/9999", key).status, "one that is not there looks the same")
	}
	fields := []string{"name", "n", "custom_channel_endpoint", "https://example.com"}
	require.Equal(t, 403, w.send("POST", "/api/v2/channel", key, "json", fields...).status)
	require.Equal(t, 403, w.send("POST", "/api/v2/channel", key, "json", append(fields, "id", "1501")...).status)
	require.Equal(t, 200, w.send("POST", "/api/v2/channel", key, "json", append(fields, "id", "1500")...).status)
}

func TestClientAndServerAgreeOnAChannel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secret, err := signer.ParseSecret("hush")
	require.NoError(t, err)
	made := w.channel(0, func(p *endpoints.Patch) { p.Secret = &secret; p.WarningEN = new("hi") })
	c, err := w.client(w.admin).Channel(t.Context(), made.ID)
	require.NoError(t, err)
	v := made.View(true)
	require.Equal(t, v.Name, c.Name)
	require.Equal(t, v.HookToken, c.HookToken)
	require.Equal(t, v.Policy, c.Policy)
	require.Equal(t, v.WarningEN, c.WarningEN)
	require.Equal(t, v.SecretSet, c.SecretSet)
	require.Equal(t, v.CreatedAt, c.CreatedAt)
}
