package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/config"
)

// write makes a file called name in a directory of its own.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestLoadWithoutAnythingIsTheDefault(t *testing.T) {
	t.Parallel()
	c, err := config.Load("", nil)
	require.NoError(t, err)
	require.Equal(t, config.Default().Settings(), c.Settings())
	require.Equal(t, relay.DefaultPolicy(), c.Delivery.Policy())
}

func TestLoadReadsEveryKindOfValue(t *testing.T) {
	t.Parallel()
	path := write(t, "relay.yaml", `
listen: ":9000"
data_dir: /var/lib/omnirelay
bootstrap_key: 'a key of many characters'
sync: interval
log: {level: debug, format: json}
nats:
  urls:
    - nats://a.example.com:4222
    - tls://b.example.com
  user: relay
  password: |
    0123
queue:
  max_bytes: 4096
  history: 48h
intake:
  body_limit: 64 KiB
  attachment_limit: 5MB
delivery:
  max_attempts: 3
  max_age: 1h30m
egress:
  allow: [10.0.0.0/8, "::1"]
helpdesk:
  kind: omnidesk
  base_url: https://account.example.com/desk/
  api_key: "0042"
  rate_limit: 2.5
`)
	c, err := config.Load(path, nil)
	require.NoError(t, err)
	require.Equal(t, ":9000", c.Listen)
	require.Equal(t, "127.0.0.1:8081", c.AdminListen, "not given")
	require.Equal(t, "/var/lib/omnirelay", c.DataDir)
	require.Equal(t, "a key of many characters", c.BootstrapKey.Reveal())
	require.Equal(t, config.SyncInterval, c.Sync)
	require.Equal(t, config.Log{Level: "debug", Format: config.LogJSON}, c.Log)
	require.Equal(t, []string{"nats://a.example.com:4222", "tls://b.example.com"}, c.NATS.URLs)
	require.Equal(t, "0123", c.NATS.Password.Reveal())
	require.Equal(t, 3, c.NATS.Replicas, "the default with a cluster")
	require.Equal(t, 16, c.Queue.Shards, "the default with a cluster")
	require.EqualValues(t, 4096, c.Queue.MaxBytes)
	require.EqualValues(t, 64<<10, c.Intake.BodyLimit)
	require.EqualValues(t, 5_000_000, c.Intake.AttachmentLimit)
	require.Equal(t, 3, c.Delivery.MaxAttempts)
	require.Equal(t, relay.Duration(90*time.Minute), c.Delivery.MaxAge)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}, c.Egress.Allow)
	require.Equal(t, "0042", c.Helpdesk.APIKey.Reveal())
	require.InDelta(t, 2.5, c.Helpdesk.RateLimit, 0)

	policy := c.HelpdeskPolicy()
	require.InDelta(t, 2.5, policy.RateLimit, 0)
	require.Equal(t, 3, policy.MaxAttempts)
}

func TestAVariableOverridesTheFile(t *testing.T) {
	t.Parallel()
	path := write(t, "relay.yaml", "listen: 127.0.0.1:1\ndelivery:\n  max_age: 1h\n  timeout: 2s\nnats: {urls: [nats://a]}\n")
	c, err := config.Load("", []string{
		"PATH=/bin", "HOME=/root", "broken",
		"OMNIRELAY_CONFIG=" + path,
		"OMNIRELAY_LISTEN=127.0.0.1:2",
		"OMNIRELAY_ADMIN_LISTEN=",
		"OMNIRELAY_DELIVERY_MAX_AGE=5h",
		"OMNIRELAY_NATS_URL=nats://b, nats://c",
		"OMNIRELAY_EGRESS_ALLOW=10.0.0.0/8,192.168.0.0/16",
		"OMNIRELAY_SYNC=interval", "OMNIRELAY_SYNC=always",
	})
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:2", c.Listen)
	require.Equal(t, "127.0.0.1:8081", c.AdminListen, "empty is not set")
	require.Equal(t, relay.Duration(5*time.Hour), c.Delivery.MaxAge)
	require.Equal(t, relay.Duration(2*time.Second), c.Delivery.Timeout)
	require.Equal(t, []string{"nats://b", "nats://c"}, c.NATS.URLs)
	require.Len(t, c.Egress.Allow, 2)
	require.Equal(t, config.SyncAlways, c.Sync, "the last one counts")

	origins := map[string]string{}
	for _, s := range c.Settings() {
		origins[s.Path] = s.Origin
	}
	require.Equal(t, "OMNIRELAY_LISTEN", origins["listen"])
	require.Equal(t, "OMNIRELAY_NATS_URL", origins["nats.urls"])
	require.Equal(t, path+":4", origins["delivery.timeout"])
	require.Equal(t, "default", origins["admin_listen"])
}

func TestEverySettingHasItsVariable(t *testing.T) {
	t.Parallel()
	for _, s := range config.Default().Settings() {
		name := "OMNIRELAY_" + strings.ToUpper(strings.ReplaceAll(s.Path, ".", "_"))
		_, err := config.Load("", []string{name + "=\x00"})
		if err == nil {
			continue // a text without a rule takes anything
		}
		require.NotContains(t, err.Error(), "unknown variable", name)
	}
}

func TestVariablesOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	_, err := config.Load("", []string{
		"OMNIRELAY_API_URL=http://127.0.0.1:8080", "OMNIRELAY_API_KEY=k", "OMNIRELAY_TEST_DOCKER=1",
		"OMNIRELAY_SERVICE_HOST=10.0.0.1", "OMNIRELAY_SERVICE_PORT=8080", "OMNIRELAY_SERVICE_PORT_HTTP=8080",
		"OMNIRELAY_PORT=tcp://10.0.0.1:8080", "OMNIRELAY_PORT_8080_TCP=tcp://10.0.0.1:8080",
		"OMNIRELAY_PORT_8080_TCP_PROTO=tcp", "OMNIRELAY_PORT_8080_TCP_PORT=8080", "OMNIRELAY_PORT_8080_TCP_ADDR=10.0.0.1",
	})
	require.NoError(t, err)
	_, err = config.Load("", []string{"OMNIRELAY_PORTS=1"})
	require.ErrorContains(t, err, "unknown variable")
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	key := write(t, "key", "the key in the file\n")
	other := write(t, "other", "the other key, in a file")
	inFile := write(t, "relay.yaml", "bootstrap_key_file: "+key+"\n")
	direct := write(t, "direct.yaml", "bootstrap_key: the key, written out\n")
	for name, c := range map[string]struct {
		path    string
		environ []string
		want    string
	}{
		"file names a file":           {path: inFile, want: "the key in the file"},
		"variable names a file":       {environ: []string{"OMNIRELAY_BOOTSTRAP_KEY_FILE=" + other}, want: "the other key, in a file"},
		"variable file beats file":    {path: direct, environ: []string{"OMNIRELAY_BOOTSTRAP_KEY_FILE=" + other}, want: "the other key, in a file"},
		"variable beats file's file":  {path: inFile, environ: []string{"OMNIRELAY_BOOTSTRAP_KEY=written in the variable"}, want: "written in the variable"},
		"variable file beats another": {path: inFile, environ: []string{"OMNIRELAY_BOOTSTRAP_KEY_FILE=" + other}, want: "the other key, in a file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Load(c.path, c.environ)
			require.NoError(t, err)
			require.Equal(t, c.want, got.BootstrapKey.Reveal())
		})
	}
}

func TestAChosenHelpdeskKindLeavesTheOthersSettingsStanding(t *testing.T) {
	t.Parallel()
	path := write(t, "relay.yaml", "helpdesk: {kind: webhook, url: 'https://desk.example.com/'}\n")
	c, err := config.Load(path, []string{"OMNIRELAY_HELPDESK_KIND=none"})
	require.NoError(t, err)
	require.Equal(t, config.HelpdeskNone, c.Helpdesk.Kind)
}

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for listening, want := range map[address]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		"0.0.0.0:80":     "http://127.0.0.1:80",
		"[::]:8080":      "http://127.0.0.1:8080",
		"[::1]:8080":     "http://[::1]:8080",
		"somewhere":      "http://somewhere",
	} {
		require.Equal(t, want, config.Default().BaseURL(listening))
	}
	c := config.Config{PublicURL: "https://relay.example.com/hooks/"}
	require.Equal(t, "https://relay.example.com/hooks", c.BaseURL(address("127.0.0.1:1")))
}
