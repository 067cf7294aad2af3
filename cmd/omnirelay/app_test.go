package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/config"
	"omnirelay/signer"
)

// buffer is a writer that a test reads while a command still writes.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// result is what a command line came to.
type result struct {
	code     int
	out, err string
}

// run runs one command line in this process.
func run(t *testing.T, in string, environ []string, args ...string) result {
	t.Helper()
	var out, errs buffer
	a := &app{in: strings.NewReader(in), out: &out, err: &errs, environ: environ}
	code := a.run(t.Context(), args)
	return result{code, out.String(), errs.String()}
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestMisuseExitsWith2(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"":                             "omnirelay needs a command: ",
		"snk":                          `omnirelay has no command "snk"; did you mean sink?`,
		"xyzzy":                        `omnirelay has no command "xyzzy"`,
		"--frobnicate":                 "unknown flag: --frobnicate",
		"config":                       "omnirelay config needs a command: check, example, print",
		"config chek":                  `omnirelay config has no command "chek"; did you mean check?`,
		"config check x":               `omnirelay config check takes no arguments, but got "x"`,
		"version 1":                    `omnirelay version takes no arguments, but got "1"`,
		"version -o xml":               "must be table or json",
		"sink --fail 99":               `--fail: fault "99": must be a status`,
		"sink --slow 5":                `invalid argument "5" for "--slow"`,
		"sink --slow -5s":              "--slow must not be negative",
		"sink --secret=":               "a signing secret must not be empty",
		"signature make":               "no secret is given; use --secret or --secret-file",
		"signature make a b":           "omnirelay signature make takes one file, but got 2",
		"signature make --id a.b":      "--id must hold no full stop",
		"signature make --timestamp x": "--timestamp must be Unix seconds or RFC 3339",
		"signature verify":             `required flag(s) "id", "signature", "timestamp" not set`,
		"signature verify --id a --timestamp 1 --signature v1,x --now 1 --any-age": "none of the others can be",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			r := run(t, "", nil, strings.Fields(line)...)
			require.Equal(t, exitMisuse, r.code, r.err)
			require.Empty(t, r.out)
			require.True(t, strings.HasPrefix(r.err, "omnirelay: "), r.err)
			require.Contains(t, r.err, want)
			require.Contains(t, r.err, `--help".`)
		})
	}
}

func TestHelpAndCompletion(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"--help", "help sink", "sink --help", "completion bash", "completion zsh", "completion fish"} {
		r := run(t, "", nil, strings.Fields(line)...)
		require.Equal(t, exitDone, r.code, r.err)
		require.Contains(t, r.out, "omnirelay", line)
		require.Empty(t, r.err, line)
	}
	r := run(t, "", nil, "__complete", "version", "-o", "")
	require.Equal(t, exitDone, r.code)
	require.Contains(t, r.out, "json\n")
}

func TestEveryCommandIsDocumented(t *testing.T) {
	t.Parallel()
	a := &app{}
	for _, cmd := range a.commands() {
		require.NotEmpty(t, cmd.Short, cmd.Name())
		require.NotRegexp(t, `\.$`, cmd.Short, cmd.Name())
		for _, sub := range cmd.Commands() {
			require.NotEmpty(t, sub.Short, sub.CommandPath())
			require.NotNil(t, sub.Args, "%s must check its arguments", sub.CommandPath())
		}
		require.NotNil(t, cmd.Args, "%s must check its arguments", cmd.Name())
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	r := run(t, "", nil, "version")
	require.Equal(t, exitDone, r.code)
	require.Regexp(t, `^omnirelay \S+ .*go1\S* \S+/\S+\n$`, r.out)

	r = run(t, "", nil, "version", "-o", "json")
	var b build
	require.NoError(t, json.Unmarshal([]byte(r.out), &b))
	require.NotEmpty(t, b.Version)
	require.NotEmpty(t, b.Platform)
}

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	good := file(t, "good.yaml", "delivery: {max_age: 1h}\n")
	bad := file(t, "bad.yaml", "delivery: {max_age: 1y}\ncolour: red\n")

	r := run(t, "", nil, "config", "check", "-c", good)
	require.Equal(t, result{exitDone, "The configuration is good.\n", ""}, r)
	r = run(t, "", nil, "config", "check")
	require.Equal(t, exitDone, r.code, "the default")

	r = run(t, "", nil, "config", "check", "--config", bad)
	require.Equal(t, exitFailed, r.code)
	require.Empty(t, r.out)
	require.Equal(t, `omnirelay: the configuration has 2 problems:
  `+bad+`:1:21: delivery.max_age: "1y" is not a duration such as 30s, 5m or 72h
  `+bad+`:2:1: unknown key "colour" at the top level
`, r.err)

	r = run(t, "", []string{config.FileVariable + "=" + bad}, "config", "check", "-o", "json")
	require.Equal(t, exitFailed, r.code)
	var report struct {
		OK       bool
		Problems []config.Problem
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.False(t, report.OK)
	require.Len(t, report.Problems, 2)
	require.Equal(t, 21, report.Problems[0].Column)

	r = run(t, "", nil, "config", "check", "-o", "json", "-c", good)
	require.JSONEq(t, `{"ok":true,"problems":[]}`, r.out)
	require.Equal(t, exitDone, r.code)
}

func TestConfigPrint(t *testing.T) {
	t.Parallel()
	path := file(t, "relay.yaml", "bootstrap_key: a very secret key\n")
	environ := []string{"OMNIRELAY_LISTEN=127.0.0.1:1"}
	r := run(t, "", environ, "config", "print", "-c", path)
	require.Equal(t, exitDone, r.code, r.err)
	require.Regexp(t, `(?m)^listen: "127\.0\.0\.1:1" +# OMNIRELAY_LISTEN$`, r.out)
	require.Regexp(t, `(?m)^bootstrap_key: "<secret>" +# .*relay\.yaml:1$`, r.out)
	require.Regexp(t, `(?m)^  max_age: 72h +# default$`, r.out)

	r = run(t, "", environ, "config", "print", "-c", path, "-o", "json")
	require.Equal(t, exitDone, r.code, r.err)
	var settings []config.Setting
	require.NoError(t, json.Unmarshal([]byte(r.out), &settings))
	require.Equal(t, config.Setting{Path: "listen", Value: `"127.0.0.1:1"`, Origin: "OMNIRELAY_LISTEN"}, settings[0])

	r = run(t, "", []string{"OMNIRELAY_SYNC=never"}, "config", "print")
	require.Equal(t, exitFailed, r.code)
	require.Empty(t, r.out)
}

func TestConfigExampleIsTheFileOfTheRepository(t *testing.T) {
	t.Parallel()
	r := run(t, "", nil, "config", "example")
	require.Equal(t, exitDone, r.code)
	text, err := os.ReadFile("../../config.example.yaml")
	require.NoError(t, err)
	require.Equal(t, string(text), r.out)
}

func TestSignature(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	secretFile := file(t, "secret", secret+"\n")
	bodyFile := file(t, "body.json", `{"test": 2432232314}`)
	sign := []string{"signature", "make", "--id", "msg_1", "--timestamp", "1614265330"}

	// The signature of this body under this secret, made independently with
	// openssl dgst -sha256 -mac HMAC.
	r := run(t, `{"test": 2432232314}`, nil, append(sign, "--secret", secret)...)
	require.Equal(t, exitDone, r.code, r.err)
	const signature = "v1,9o7UeFkn1GjVbcY4emAJruJCYqgH2EIf8u/slvVRBZI="
	require.Equal(t, "webhook-id: msg_1\nwebhook-timestamp: 1614265330\nwebhook-signature: "+signature+"\n", r.out)

	require.Equal(t, r, run(t, "", nil, append(sign, "--secret-file", secretFile, bodyFile)...), "from files")
	require.Equal(t, r, run(t, "", nil, append(sign[:4:4], "--timestamp", "2021-02-25T15:02:10Z", "--secret", secret, bodyFile)...), "RFC 3339")

	verify := []string{"signature", "verify", "--id", "msg_1", "--timestamp", "1614265330", "--secret", secret, bodyFile, "--signature"}
	r = run(t, "", nil, append(verify, signature)...)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "the signature is not valid: the request is older than the tolerance")
	for _, more := range [][]string{{"--any-age"}, {"--now", "1614265400"}} {
		r = run(t, "", nil, append(append(verify, signature), more...)...)
		require.Equal(t, result{exitDone, "The signature is valid.\n", ""}, r)
	}
	r = run(t, "", nil, append(verify, signature, "--any-age", "-o", "json")...)
	require.JSONEq(t, `{"valid":true}`, r.out)
	r = run(t, "", nil, append(verify, "v1,"+strings.Repeat("A", 43)+"=", "--any-age")...)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.err, "no signature matches")

	r = run(t, "x", nil, "signature", "make", "--secret", secret, "-o", "json")
	var headers map[string]string
	require.NoError(t, json.Unmarshal([]byte(r.out), &headers))
	require.True(t, strings.HasPrefix(headers["webhook-id"], "msg_"), "a new id")

	r = run(t, "", nil, append(sign, "--secret", secret, "/nowhere")...)
	require.Equal(t, exitFailed, r.code)
	require.Equal(t, "omnirelay: reading the body: open /nowhere: no such file or directory\n", r.err)
	r = run(t, "", nil, append(sign, "--secret-file", "/nowhere")...)
	require.Equal(t, exitFailed, r.code)
}

func TestSink(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"table", "json"} {
		t.Run(output, func(t *testing.T) {
			t.Parallel()
			secret := signer.NewSecret()
			var out, errs buffer
			a := &app{in: strings.NewReader(""), out: &out, err: &errs}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan int)
			go func() {
				ended <- a.run(ctx, []string{"sink", "--listen", "127.0.0.1:0", "--secret", secret.Reveal(), "--fail", "429+30sx1", "-o", output})
			}()
			address := regexp.MustCompile(`http://[0-9.:]+`)
			require.Eventually(t, func() bool { return address.MatchString(errs.String()) }, time.Minute, time.Millisecond)
			url := address.FindString(errs.String())

			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for _, want := range []int{429, 200} {
				const body = `{"type":"message.outbound","data":{"conversation":"ticket:1","sequence":1,"message":"Hi"}}`
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
				require.NoError(t, err)
				r.Header.Set("Content-Type", "application/json")
				signer.SetHeaders(r.Header, "msg_1", time.Now(), []byte(body), secret)
				resp, err := (&http.Client{Transport: transport}).Do(r)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, want, resp.StatusCode)
			}
			stop()
			require.Equal(t, exitDone, <-ended, errs.String())
			require.NotContains(t, out.String()+errs.String(), secret.Reveal())
			if output == "json" {
				lines := strings.Split(strings.TrimSpace(out.String()), "\n")
				require.Len(t, lines, 3)
				require.Contains(t, lines[0], `"answer":"429"`)
				require.Contains(t, lines[1], `"signature":"verified"`)
				require.Contains(t, lines[2], `"accepted":1`)
				return
			}
			require.Contains(t, out.String(), ` msg_1 message.outbound ticket:1 #1 verified RETRY "Hi"`)
			require.Contains(t, out.String(), "2 requests, 1 messages, 1 accepted")
		})
	}
}

func TestSinkSaysThatItCannotListen(t *testing.T) {
	t.Parallel()
	r := run(t, "", nil, "sink", "--listen", "256.0.0.1:1")
	require.Equal(t, exitFailed, r.code)
	require.Regexp(t, `^omnirelay: opening the receiver: .+\n$`, r.err)
}
