package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/config"
)

func TestProblemsInAFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []string // without the file's name
	}{
		"unknown key, near one":    {"listn: x", []string{`1:1: unknown key "listn" at the top level; did you mean listen?`}},
		"unknown key, far":         {"colour: red", []string{`1:1: unknown key "colour" at the top level`}},
		"unknown key in a section": {"delivery:\n  max_atempts: 3", []string{`2:3: unknown key "max_atempts" in delivery; did you mean max_attempts?`}},
		"key of another section":   {"max_age: 3h", []string{`1:1: unknown key "max_age" at the top level; did you mean delivery.max_age?`}},
		"key of a neighbour":       {"queue:\n  max_age: 3h", []string{`2:3: unknown key "max_age" in queue; did you mean delivery.max_age?`}},
		"section, misspelt":        {"delvery:\n  max_age: 3h", []string{`1:1: unknown key "delvery" at the top level; did you mean delivery?`}},
		"twice":                    {"listen: :1\nsync: always\nlisten: :2", []string{"3:1: listen: is set twice; the first is on line 1"}},
		"section twice":            {"log: {level: info}\nlog: {format: json}", []string{"2:1: log: is set twice; the first is on line 1"}},
		"no value":                 {"listen:", []string{"1:1: listen: must be a single value; none is given (remove the line for the default)"}},
		"section is no mapping":    {"log: debug", []string{"1:1: log: must hold settings, as name: value"}},
		"file is no mapping":       {"just text", []string{"1:1: must hold settings, as name: value"}},
		"two documents":            {"sync: always\n---\nsync: always", []string{"3:5: a second document; the file must hold one"}},
		"no YAML":                  {"log: {level: info", []string{"1:6: is not valid YAML: could not find flow mapping end token '}'"}},
		"no UTF-8":                 {"listen: \xff", []string{"is not UTF-8 text"}},
		"key is a number":          {"1: 2", []string{"1:1: has a key that is not a plain name"}},
		"deep in brackets":         {"a: " + strings.Repeat("[", 100_000), []string{"1:20: is nested more deeply than any setting"}},
		"deep in braces":           {strings.Repeat("{a:\n", 50_000), []string{"17:1: is nested more deeply than any setting"}},
		"deep in hyphens":          {strings.Repeat("- ", 100_000), []string{"1:33: is nested more deeply than any setting"}},
		"deep in question marks":   {strings.Repeat("? ", 100_000), []string{"1:33: is nested more deeply than any setting"}},
		"anchor":                   {"listen: &a :1", []string{"1:9: listen: must be a single value; anchors, aliases and tags are not used here"}},

		"text for a number":       {"delivery:\n  max_attempts: many", []string{`2:17: delivery.max_attempts: "many" is not a whole number`}},
		"quotes around a number":  {"delivery:\n  max_attempts: '3'", []string{"2:17: delivery.max_attempts: must be a number, without quotes"}},
		"list for a number":       {"delivery: {max_attempts: [3]}", []string{"1:26: delivery.max_attempts: must be a number, not a list"}},
		"fraction for a count":    {"delivery: {max_attempts: 1.5}", []string{`1:26: delivery.max_attempts: "1.5" is not a whole number`}},
		"number too large":        {"delivery: {max_attempts: 99999999999999999999}", []string{"1:26: delivery.max_attempts: 99999999999999999999 is more than can be counted"}},
		"number for a text":       {"data_dir: 5", []string{"1:11: data_dir: must be a text; put it in quotes"}},
		"bool for a text":         {"data_dir: true", []string{"1:11: data_dir: must be a text; put it in quotes"}},
		"section for a text":      {"data_dir:\n  a: b", []string{"data_dir: must be a single value, not a section"}},
		"duration without unit":   {"delivery: {timeout: 30}", []string{`1:21: delivery.timeout: "30" is not a duration such as 30s, 5m or 72h`}},
		"duration out of range":   {"delivery: {timeout: 1h}", []string{"1:21: delivery.timeout: must be from 100ms to 5m"}},
		"count out of range":      {"delivery: {concurrency: 0}", []string{"1:25: delivery.concurrency: must be from 1 to 1024"}},
		"size, unknown unit":      {"intake: {body_limit: 1Mb}", []string{`1:22: intake.body_limit: "1Mb" is not a size such as 4096, 64KiB, 1MiB or 25MB`}},
		"size out of range":       {"intake: {body_limit: 1GiB}", []string{"1:22: intake.body_limit: must be from 1KiB to 1MiB"}},
		"size too large":          {"queue: {max_bytes: 9999999TiB}", []string{`1:20: queue.max_bytes: "9999999TiB" is more than can be counted`}},
		"size is a list":          {"queue: {max_bytes: [1]}", []string{"1:20: queue.max_bytes: must be a single value, not a list"}},
		"no such choice":          {"sync: sometimes", []string{`1:7: sync: must be always or interval, not "sometimes"`}},
		"not a number":            {"helpdesk: {kind: none, rate_limit: .nan}", []string{"1:36: helpdesk.rate_limit: must be a number"}},
		"listen without port":     {"listen: localhost", []string{`1:9: listen: "localhost" is not host:port, such as 127.0.0.1:8080 or :8080`}},
		"listen on port too high": {"listen: ':65536'", []string{`1:9: listen: "65536" is not a port from 0 to 65535`}},
		"listen on a named port":  {"listen: ':http'", []string{`1:9: listen: "http" is not a port from 0 to 65535`}},
		"zone":                    {"intake: {send_at_zone: Europe/Nowhere}", []string{`intake.send_at_zone: "Europe/Nowhere" is not a time zone such as UTC or Europe/Amsterdam`}},
		"zone of the machine":     {"intake: {send_at_zone: Local}", []string{`intake.send_at_zone: "Local" is not a time zone`}},
		"empty path":              {"data_dir: ''", []string{"data_dir: must be a path"}},
		"list expected":           {"egress: {allow: 10.0.0.0/8}", []string{"1:17: egress.allow: must be a list: [a, b], or one item a line, each after a hyphen"}},
		"list of numbers":         {"egress: {allow: [10]}", []string{"egress.allow: must be a list of texts"}},
		"no address range":        {"egress: {allow: [intranet]}", []string{`egress.allow: "intranet" is not an address range such as 10.20.0.0/16 or fd00::/8`}},
		"range with host bits":    {"egress: {allow: [10.1.2.3/8]}", []string{`egress.allow: "10.1.2.3/8" sets bits beyond its prefix; write 10.0.0.0/8`}},
		"short key":               {"bootstrap_key: short", []string{"1:16: bootstrap_key: must have at least 16 characters"}},
		"URL without scheme":      {"public_url: relay.example.com", []string{"1:13: public_url: must be a whole URL: http://, a host and what follows"}},
		"URL of another scheme":   {"public_url: ftp://relay.example.com", []string{"1:13: public_url: must begin with http or https://"}},
		"URL with a password":     {"public_url: https://a:b@relay.example.com", []string{"1:13: public_url: must not hold a user or password"}},
		"URL with a fragment":     {"public_url: https://relay.example.com/#a", []string{"1:13: public_url: must not have a fragment (#…)"}},
		"base URL with a query":   {"helpdesk: {kind: none, base_url: 'https://a/?b=c'}", []string{"1:34: helpdesk.base_url: must not have a query (?…)"}},
		"NATS URL":                {"nats: {urls: ['http://a']}", []string{"nats.urls: must begin with nats, tls, ws or wss://"}},
		"two NATS URLs in one":    {"nats: {urls: ['nats://a,b']}", []string{"nats.urls: must be the URL of one server, without a query"}},

		"same address twice":        {"listen: 127.0.0.1:8081", []string{"1:9: admin_listen: must differ from listen"}},
		"retry_max too small":       {"delivery:\n  retry_initial: 10s\n  retry_max: 5s", []string{"3:14: delivery.retry_max: must not be less than delivery.retry_initial (10s)"}},
		"retry_initial too large":   {"delivery: {retry_initial: 5h}", []string{"1:27: delivery.retry_max: must not be less than delivery.retry_initial (5h)"}},
		"queue over memory":         {"delivery: {queue_bytes: 128MiB}", []string{"1:25: delivery.queue_bytes: must not be more than delivery.memory (64MiB)"}},
		"address dies too soon":     {"delivery: {download_lifetime: 24h}", []string{"1:31: delivery.download_lifetime: must not be less than delivery.max_age (72h)"}},
		"message outlives address":  {"delivery: {max_age: 240h}", []string{"1:21: delivery.download_lifetime: must not be less than delivery.max_age (240h)"}},
		"session too short":         {"chat: {session_ttl: 5s}", []string{"1:21: chat.session_ttl: must be from 1m to 720h"}},
		"ticket for a moment":       {"helpdesk: {kind: none, ticket_ttl: 5s}", []string{"1:36: helpdesk.ticket_ttl: must be at least 1m, or 0 to remember none"}},
		"headers slower than all":   {"intake: {read_timeout: 5s}", []string{"1:24: intake.read_header_timeout: must not be more than intake.read_timeout (5s)"}},
		"cluster setting, no urls":  {"nats: {user: a}", []string{"1:14: nats.user: is for an external cluster; set nats.urls too"}},
		"replicas, no urls":         {"nats: {replicas: 3}", []string{"1:18: nats.replicas: must be 1 for the embedded store; set nats.urls for an external cluster"}},
		"log larger than the store": {"queue: {max_bytes: 2GiB, max_store: 1GiB}", []string{"1:20: queue.max_bytes: must not be more than queue.max_store (1GiB)"}},
		"store of a cluster":        {"nats: {urls: ['nats://a']}\nqueue: {max_store: 1GiB}", []string{"2:20: queue.max_store: is for the embedded store; limit an external cluster in its own files"}},
		"user, no password":         {"nats: {urls: ['nats://a'], user: a}", []string{"1:34: nats.user: user and password go together"}},
		"certificate, no key":       {"nats: {urls: ['nats://a'], cert_file: a}", []string{"1:39: nats.cert_file: cert_file and key_file go together"}},
		"two ways in":               {"nats: {urls: ['nats://a'], creds: a, token: b}", []string{"1:35: nats.creds: choose one of creds, user with password, and token"}},
		"webhook without url":       {"helpdesk: {kind: webhook}", []string{"1:18: helpdesk.url: is needed for helpdesk.kind webhook"}},
		"omnidesk without anything": {"helpdesk: {kind: omnidesk}", []string{"1:18: helpdesk.base_url: is needed for helpdesk.kind omnidesk", "1:18: helpdesk.api_key: is needed for helpdesk.kind omnidesk"}},
		"kind forgotten":            {"helpdesk: {url: 'https://a'}", []string{"1:17: helpdesk.url: has no effect without helpdesk.kind"}},
		"empty signing key":         {"helpdesk: {kind: webhook, url: 'https://a', secret: whsec_}", []string{"1:53: helpdesk.secret: a signing secret must not be empty"}},
		"secret given twice":        {"bootstrap_key: a secret of 16 and more\nbootstrap_key_file: /nowhere", []string{"2:21: bootstrap_key_file: set either this or bootstrap_key, not both"}},
		"secret's file is missing":  {"bootstrap_key_file: /nowhere/key", []string{"1:21: bootstrap_key_file: the secret in /nowhere/key cannot be used: no such file or directory"}},

		"a bad value is not held against others": {"delivery: {retry_max: 1, retry_initial: 10h}", []string{`1:23: delivery.retry_max: "1" is not a duration such as 30s, 5m or 72h`}},
		"everything at once, in the order of lines": {"helpdesk: {kind: webhook}\nsync: x\ncolour: red\ndelivery:\n  max_age: 1y\n", []string{
			"1:18: helpdesk.url: is needed",
			`2:7: sync: must be always or interval, not "x"`,
			`3:1: unknown key "colour"`,
			`5:12: delivery.max_age: "1y" is not a duration`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, "relay.yaml", c.text)
			_, err := config.Load(path, nil)
			var problems config.Problems
			require.ErrorAs(t, err, &problems)
			require.Len(t, problems, len(c.want), "%v", problems)
			for i, p := range problems {
				require.True(t, strings.HasPrefix(p.String(), path+":"), p.String())
				require.Contains(t, p.String(), c.want[i])
				require.Contains(t, err.Error(), p.String())
			}
		})
	}
}

func TestProblemsInTheEnvironment(t *testing.T) {
	t.Parallel()
	_, err := config.Load("", []string{
		"OMNIRELAY_DELIVERY_MAX_AGE=soon",
		"OMNIRELAY_DATADIR=/x",
		"OMNIRELAY_HELPDESK_KIND=webhook",
		"OMNIRELAY_XYZZY=1",
		"OMNIRELAY_NATS_URL=nats://a", "OMNIRELAY_NATS_URLS=nats://b",
		"OMNIRELAY_EGRESS_ALLOW=10.0.0.0/8,there",
	})
	require.EqualError(t, err, `the configuration has 6 problems:
  OMNIRELAY_DATADIR: unknown variable; did you mean OMNIRELAY_DATA_DIR?
  OMNIRELAY_DELIVERY_MAX_AGE: delivery.max_age: "soon" is not a duration such as 30s, 5m or 72h
  OMNIRELAY_EGRESS_ALLOW: egress.allow: "there" is not an address range such as 10.20.0.0/16 or fd00::/8
  OMNIRELAY_NATS_URLS: nats.urls: is set by OMNIRELAY_NATS_URL too; set one of them
  OMNIRELAY_XYZZY: unknown variable
  OMNIRELAY_HELPDESK_KIND: helpdesk.url: is needed for helpdesk.kind webhook`)
}

func TestProblemsOfTheFileItself(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	_, err := config.Load(missing, nil)
	require.EqualError(t, err, "the configuration has a problem: "+missing+": cannot be read: no such file or directory")

	_, err = config.Load("", []string{"OMNIRELAY_CONFIG=" + missing})
	require.ErrorContains(t, err, "cannot be read")

	large := write(t, "large.yaml", strings.Repeat("# much\n", 64<<10))
	_, err = config.Load(large, nil)
	require.ErrorContains(t, err, "cannot be read: it is larger than 256KiB")
}
