package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/relay/config"
)

const treasure = "treasure-of-the-test"

func TestASecretNeverPrints(t *testing.T) {
	t.Parallel()
	path := write(t, "relay.yaml", `
bootstrap_key: `+treasure+`
nats: {urls: ['nats://a'], user: a, password: `+treasure+`}
helpdesk: {kind: omnidesk, base_url: 'https://a', api_key: `+treasure+`, secret: `+treasure+`, url: 'https://a/?t=`+treasure+`'}
`)
	c, err := config.Load(path, nil)
	require.NoError(t, err)
	require.Equal(t, treasure, c.BootstrapKey.Reveal())
	require.Equal(t, treasure, c.Helpdesk.APIKey.Reveal())

	var out bytes.Buffer
	require.NoError(t, c.Print(&out))
	require.Contains(t, out.String(), `"<secret>"`)
	settings, err := json.Marshal(c.Settings())
	require.NoError(t, err)
	out.Write(settings)
	// The URL's query is not a Secret; only the ways above hide it.
	c.Helpdesk.URL = ""
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%10.30s"} {
		fmt.Fprintf(&out, verb, c)
		fmt.Fprintf(&out, verb, &c)
		fmt.Fprintf(&out, verb, c.BootstrapKey)
		fmt.Fprintf(&out, verb, []config.Secret{c.BootstrapKey})
		fmt.Fprintf(&out, verb, struct{ key config.Secret }{c.BootstrapKey})
	}
	asJSON, err := json.Marshal(c)
	require.NoError(t, err)
	out.Write(asJSON)
	asYAML, err := yaml.Marshal(c)
	require.NoError(t, err)
	out.Write(asYAML)
	log := zerolog.New(&out)
	log.Info().Interface("config", c).Any("key", c.BootstrapKey).Stringer("s", c.BootstrapKey).Msg("")
	slog.New(slog.NewTextHandler(&out, nil)).Info("", "config", c, "key", c.BootstrapKey)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("", "config", c, "key", c.BootstrapKey)

	require.False(t, bytes.Contains(out.Bytes(), []byte(treasure)), "the secret shows")
	require.False(t, bytes.Contains(bytes.ToLower(out.Bytes()), fmt.Appendf(nil, "%x", treasure)), "the secret shows in hexadecimal")
}

func TestNoProblemQuotesASecret(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"broken YAML before":   "helpdesk: {api_key: " + treasure + "\n",
		"broken YAML after":    "api_key: \"" + treasure + "\nlisten: }",
		"tab":                  "helpdesk:\n\tapi_key: " + treasure + "\n",
		"list":                 "bootstrap_key: [" + treasure + "]",
		"section":              "bootstrap_key: {" + treasure + ": 1}",
		"tag":                  "bootstrap_key: !x " + treasure,
		"password in a URL":    "nats: {urls: ['nats://u:" + treasure + "@a']}",
		"password in bad URL":  "nats: {urls: ['nats://u:" + treasure + "@a:b:c']}",
		"password in helpdesk": "helpdesk: {url: 'https://u:" + treasure + "@a'}",
		"token in a query":     "helpdesk: {base_url: 'https://a?" + treasure + "'}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(write(t, "relay.yaml", text), nil)
			require.Error(t, err)
			require.NotContains(t, err.Error(), treasure)
			var problems config.Problems
			require.ErrorAs(t, err, &problems)
			asJSON, err := json.Marshal(problems)
			require.NoError(t, err)
			require.NotContains(t, string(asJSON), treasure)
		})
	}
	_, err := config.Load("", []string{"OMNIRELAY_BOOTSTRAP_KEY=" + treasure[:15], "OMNIRELAY_BOOTSTRAP_KYE=" + treasure})
	require.ErrorContains(t, err, "at least 16")
	require.NotContains(t, err.Error(), treasure[:15])
}

func TestSecret(t *testing.T) {
	t.Parallel()
	s := config.NewSecret("x")
	require.Equal(t, "x", s.Reveal())
	require.Equal(t, "<secret>", s.String())
	require.False(t, s.IsZero())
	require.Empty(t, config.NewSecret("").String())
	require.Equal(t, config.Secret{}, config.NewSecret(""))
	require.Empty(t, config.Secret{}.Reveal())
}
