package main

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/relay/config"
	"omnirelay/relay/daemon"
	"omnirelay/relay/helpdesk"
	"omnirelay/relay/sink"
)

func TestChannelsAreImportedAndPushed(t *testing.T) {
	t.Parallel()
	// A helpdesk with two channels, and a relay that knows neither.
	server := httptest.NewServer(sink.NewDesk(sink.DeskOptions{APIKey: "desk-key"}))
	t.Cleanup(server.Close)
	desk := helpdesk.NewChannels(helpdesk.NewAccount(server.URL, "desk-key"), server.Client().Transport)
	for _, name := range []string{"Shop", "Forum"} {
		_, err := desk.Create(t.Context(), helpdesk.Channel{Name: name, Icon: "note", Endpoint: "http://127.0.0.1:9/" + name})
		require.NoError(t, err)
	}
	c := config.Default()
	c.Listen, c.AdminListen, c.DataDir = "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	c.BootstrapKey = config.NewSecret("a-bootstrap-key-of-the-test")
	c.Egress.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	d, err := daemon.New(t.Context(), daemon.Options{Config: c, Version: "test", Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Stop(context.Background())) })
	require.NoError(t, d.Start(t.Context()))
	base := "http://" + d.Addr().String()
	environ := []string{
		"OMNIRELAY_API_KEY=a-bootstrap-key-of-the-test", "OMNIRELAY_API_URL=" + base,
		"OMNIRELAY_EGRESS_ALLOW=127.0.0.0/8", "OMNIRELAY_HELPDESK_KIND=omnidesk", "OMNIRELAY_HELPDESK_BASE_URL=" + server.URL, "OMNIRELAY_HELPDESK_API_KEY=desk-key",
	}
	steps := func(args ...string) []syncStep {
		t.Helper()
		r := run(t, "", environ, append([]string{"channel", "-o", "json"}, args...)...)
		require.Equal(t, exitDone, r.code, r.err)
		var list []syncStep
		require.NoError(t, json.Unmarshal([]byte(r.out), &list), r.out)
		return list
	}
	actions := func(list []syncStep) map[string]string {
		by := map[string]string{}
		for _, s := range list {
			require.Empty(t, s.Error)
			by[s.Name] = s.Action
		}
		return by
	}
	endpoints := func() map[string]string {
		list, err := desk.List(t.Context())
		require.NoError(t, err)
		by := map[string]string{}
		for _, ch := range list {
			by[ch.Name] = ch.Endpoint
		}
		return by
	}

	r := run(t, "", environ, "channel", "import", "--from", "helpdesk", "--dry-run")
	require.Equal(t, exitDone, r.code, r.err)
	require.Contains(t, r.out, "1001")
	require.Contains(t, r.out, "Nothing was changed")
	require.Equal(t, map[string]string{"Shop": "create", "Forum": "create"}, actions(steps("import", "--from", "helpdesk")), "the dry run changed nothing")
	require.Equal(t, map[string]string{"Shop": "skip", "Forum": "skip"}, actions(steps("import", "--from", "helpdesk")))

	r = run(t, "", environ, "channel", "create", "--id", "1003", "--name", "App", "--endpoint", "http://127.0.0.1:9/App")
	require.Equal(t, exitDone, r.code, r.err)
	want := map[string]string{"Shop": "update", "Forum": "update", "App": "create"}
	require.Equal(t, want, actions(steps("push", "--to", "helpdesk", "--dry-run")))
	require.Equal(t, "http://127.0.0.1:9/Shop", endpoints()["Shop"], "a dry run")
	require.Equal(t, want, actions(steps("push", "--to", "helpdesk")))
	for name, endpoint := range endpoints() {
		require.Contains(t, endpoint, base+"/hooks/channel/", name)
	}
	require.Len(t, endpoints(), 3)
	require.Equal(t, map[string]string{"Shop": "skip", "Forum": "skip", "App": "skip"}, actions(steps("push", "--to", "helpdesk")))

	// What the relay has lost is not imported with its own hook for an endpoint.
	r = run(t, "", environ, "channel", "delete", "1001")
	require.Equal(t, exitDone, r.code, r.err)
	for _, s := range steps("import", "--from", "helpdesk") {
		require.Equal(t, "skip", s.Action)
		if s.Channel == 1001 {
			require.Contains(t, s.Detail, "a relay's hook already")
		}
	}
}

func TestMisuseOfImportAndPush(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--from must be helpdesk":   {"import", "--from", "mailbox"},
		"names no Omnidesk account": {"push", "--to", "helpdesk"},
	} {
		r := run(t, "", []string{"OMNIRELAY_API_KEY=k"}, append([]string{"channel"}, args...)...)
		require.Equal(t, exitMisuse, r.code)
		require.Contains(t, r.err, want)
	}
}
