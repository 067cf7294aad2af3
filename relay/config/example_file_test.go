package config_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/config"
)

func TestTheExampleFileIsTheOneOfTheCode(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../config.example.yaml")
	require.NoError(t, err)
	require.Equal(t, string(config.Example()), string(file), "run go generate ./relay/config")
}

func TestTheExampleIsTheDefault(t *testing.T) {
	t.Parallel()
	c, err := config.Load(write(t, "relay.yaml", string(config.Example())), nil)
	require.NoError(t, err)
	require.Equal(t, config.Default().Settings(), c.Settings())
}

// option matches a commented-out setting, and nothing of the prose, whose lines hold spaces
// before a colon.
var option = regexp.MustCompile(`(?m)^( *)# ([a-z_]+: .*)$`)

func TestTheExampleDocumentsEverySetting(t *testing.T) {
	t.Parallel()
	text := string(config.Example())
	for _, s := range config.Default().Settings() {
		require.Contains(t, text, "OMNIRELAY_"+strings.ToUpper(strings.ReplaceAll(s.Path, ".", "_"))+".\n")
		name := s.Path[strings.LastIndexByte(s.Path, '.')+1:]
		require.Regexp(t, `(?m)^ *# `+name+` (is|are|says|signs|has) `, text, "prose for %s", s.Path)
	}
	// With every line uncommented the file stays one that can be read: what is wrong with it
	// is only that it chooses everything at once.
	all := option.ReplaceAllString(text, "$1$2")
	_, err := config.Load(write(t, "relay.yaml", all), nil)
	var problems config.Problems
	require.ErrorAs(t, err, &problems)
	for _, p := range problems {
		require.Regexp(t, `_file: set either|nats\.creds: choose one|nats\.replicas|max_store`, p.String())
	}
}

func TestPrintCanBeLoadedAgain(t *testing.T) {
	t.Parallel()
	c, err := config.Load(write(t, "relay.yaml", `
data_dir: "a dir: with # signs\t"
public_url: https://relay.example.com/
nats: {urls: ['nats://[::1]:4222', 'nats://b']}
egress: {allow: ['::/0', 127.0.0.1]}
helpdesk: {kind: "none", rate_limit: 0.125}
delivery: {timeout: 90s, queue_bytes: 65537, max_age: 36h1m}
`), nil)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, c.Print(&out))
	// Empty values stand for no value.
	text := regexp.MustCompile(`(?m)^ *[a-z_]+: "" .*\n`).ReplaceAllString(out.String(), "")
	again, err := config.Load(write(t, "again.yaml", text), nil)
	require.NoError(t, err, text)
	for i, s := range again.Settings() {
		require.Equal(t, c.Settings()[i].Value, s.Value, s.Path)
	}
}
