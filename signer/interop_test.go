package signer_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"omnirelay/signer"
)

var interopBodies = []string{
	"", "{}", `{"type":"message.outbound","data":{"message":"Grüße, 世界 🌍 <b>&"}}`, strings.Repeat("long ", 5000),
}

func TestGoLibraryVerifiesOursAndWeVerifyTheirs(t *testing.T) {
	t.Parallel()
	for _, body := range interopBodies {
		ours, old := signer.NewSecret(), signer.NewSecret()
		theirs, err := standardwebhooks.NewWebhook(ours.Reveal())
		require.NoError(t, err)
		now := time.Now()

		h := http.Header{}
		signer.SetHeaders(h, "msg_1", now, []byte(body), old, ours)
		require.NoError(t, theirs.Verify([]byte(body), h))
		require.Error(t, theirs.Verify([]byte(body+" "), h))

		signature, err := theirs.Sign("msg_2", now, []byte(body))
		require.NoError(t, err)
		signer.SetSignature(h, "msg_2", now, signature)
		require.NoError(t, signer.Verify(h, []byte(body), now, old, ours))
	}
}

func TestGoLibraryAgreesOnPlainSecrets(t *testing.T) {
	t.Parallel()
	theirs, err := standardwebhooks.NewWebhookRaw([]byte("plain text"))
	require.NoError(t, err)
	h := http.Header{}
	signer.SetHeaders(h, "msg_1", time.Now(), []byte("body"), parse(t, "plain text"))
	require.NoError(t, theirs.Verify([]byte("body"), h))
}

// nodeScript verifies each of our requests with npm's standardwebhooks and signs each body
// itself. It reads and writes JSON.
const nodeScript = `
const { Webhook } = require("standardwebhooks");
const cases = JSON.parse(require("fs").readFileSync(0, "utf8"));
const out = cases.map((c) => {
  const webhook = c.raw ? new Webhook(c.secret, { format: "raw" }) : new Webhook(c.secret);
  let error = "", tampered = "";
  try { webhook.verify(c.body, c.headers, { jsonParse: false }); } catch (e) { error = String(e); }
  try { webhook.verify(c.body + " ", c.headers, { jsonParse: false }); } catch (e) { tampered = String(e); }
  const at = new Date(c.at * 1000);
  return { error, tampered, signature: webhook.sign("msg_node", at, c.body) };
});
process.stdout.write(JSON.stringify(out));
`

func TestNodeLibraryVerifiesOursAndWeVerifyTheirs(t *testing.T) {
	t.Parallel()
	node, modules := installNodeLibrary(t)
	type request struct {
		Secret  string            `json:"secret"`
		Raw     bool              `json:"raw"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		At      int64             `json:"at"`
	}
	type answer struct{ Error, Tampered, Signature string }
	now := time.Now()
	var requests []request
	for _, body := range interopBodies {
		for _, text := range []string{signer.NewSecret().Reveal(), "a plain text secret"} {
			h := http.Header{}
			signer.SetHeaders(h, "msg_1", now, []byte(body), signer.NewSecret(), parse(t, text))
			flat := map[string]string{}
			for name := range h {
				flat[name] = h.Get(name)
			}
			requests = append(requests, request{text, !strings.HasPrefix(text, "whsec_"), flat, body, now.Unix()})
		}
	}
	input, err := json.Marshal(requests)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), node, "-e", nodeScript)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	require.NoError(t, err, "%s", &stderr)
	var answers []answer
	require.NoError(t, json.Unmarshal(output, &answers))
	require.Len(t, answers, len(requests))
	for i, a := range answers {
		require.Empty(t, a.Error)
		require.Contains(t, a.Tampered, "No matching signature found")
		h := http.Header{}
		signer.SetSignature(h, "msg_node", now, a.Signature)
		require.NoError(t, signer.Verify(h, []byte(requests[i].Body), now, parse(t, requests[i].Secret)))
	}
}

// installNodeLibrary installs npm's standardwebhooks for one test. Where that cannot be done
// the test is skipped, except in CI (CI=true), where it must run.
func installNodeLibrary(t *testing.T) (node, modules string) {
	t.Helper()
	cannot := func(format string, args ...any) {
		t.Helper()
		if os.Getenv("CI") == "true" {
			t.Fatalf(format, args...)
		}
		t.Skipf(format, args...)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		cannot("node is not installed, so npm's standardwebhooks was not tried: %v", err)
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		cannot("npm is not installed, so npm's standardwebhooks was not tried: %v", err)
	}
	dir := t.TempDir()
	install := exec.CommandContext(t.Context(), npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts",
		"--prefix", dir, "standardwebhooks@1")
	if output, err := install.CombinedOutput(); err != nil {
		cannot("npm cannot install standardwebhooks, so it was not tried: %v\n%s", err, output)
	}
	return node, filepath.Join(dir, "node_modules")
}
