package e2e_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/client"
	"omnirelay/relay/crash"
)

func TestTheFirstStartMakesAKeyAndShowsItOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	info, err := os.Stat(filepath.Join(r.dir, "admin.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NotEmpty(t, r.key)
	require.Equal(t, 1, strings.Count(r.output(), r.key), "it is shown once")

	// The line to try works as it stands.
	curl := regexp.MustCompile(`curl -H "apiKey: \$\(cat (.+)\)" (http://\S+)`).FindStringSubmatch(r.output())
	require.NotNil(t, curl, r.output())
	key, err := os.ReadFile(curl[1])
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, curl[2], nil)
	require.NoError(t, err)
	req.Header.Set("apiKey", strings.TrimSpace(string(key)))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)

	for _, page := range []string{"/healthz", "/readyz", "/metrics"} {
		resp, err := http.Get(r.p.Admin + page)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode, page)
	}

	first := r.key
	r.stop()
	r.begin()
	require.Equal(t, first, r.key, "the second start keeps the key")
	require.NotContains(t, r.p.Output(), r.key, "and does not show it again")
	_, err = r.Version(t.Context())
	require.NoError(t, err)
}

func TestABootstrapKeyIsTheKey(t *testing.T) {
	t.Parallel()
	const key = "a-fixed-key-of-more-than-16-characters"
	p, err := crash.Start(t.Context(), crash.ProcessOptions{
		Binary: binary, Dir: t.TempDir(), Env: []string{"OMNIRELAY_BOOTSTRAP_KEY=" + key},
	})
	require.NoError(t, err)
	defer p.Kill()
	c, err := client.New(client.Options{BaseURL: p.API, Key: key})
	require.NoError(t, err)
	_, err = c.CreateKey(t.Context(), client.KeyFields{Name: "another", Permissions: []string{"RELAY_READ"}})
	require.NoError(t, err)
	require.NotContains(t, p.Output(), key)
}

// refused starts a relay that must not start, and returns what it said.
func refused(t *testing.T, dir string, env ...string) string {
	t.Helper()
	p, err := crash.Start(t.Context(), crash.ProcessOptions{Binary: binary, Dir: dir, Env: env})
	if err == nil {
		p.Kill()
	}
	exit, ok := errors.AsType[*crash.ExitError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, 1, exit.Code)
	return exit.Output
}

func TestTwoRelaysDoNotShareADirectory(t *testing.T) {
	t.Parallel()
	r := start(t)
	said := refused(t, r.dir)
	require.Contains(t, said, r.dir)
	require.Contains(t, said, "another")
	_, err := r.Version(t.Context())
	require.NoError(t, err, "the first goes on")
	r.kill()
	r.begin() // what a crash leaves behind is no hindrance
	_, err = r.Version(t.Context())
	require.NoError(t, err)
}

func TestEveryProblemOfTheSettingsAtOnce(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2-hunter2"
	dir := t.TempDir()
	file := filepath.Join(dir, "relay.yaml")
	require.NoError(t, os.WriteFile(file, []byte("colour: red\nhelpdesk:\n  kind: webhook\n  secret: "+secret+"\n"), 0o600))
	said := refused(t, dir, "OMNIRELAY_CONFIG="+file, "OMNIRELAY_FROBNICATE=1", "OMNIRELAY_SYNC=never", "OMNIRELAY_DELIVERY_TIMEOUT=5")
	for _, problem := range []string{"OMNIRELAY_FROBNICATE", "OMNIRELAY_SYNC", "OMNIRELAY_DELIVERY_TIMEOUT", file + ":1:1", "colour", "helpdesk.url"} {
		require.Contains(t, said, problem)
	}
	require.NotContains(t, said, secret)
	require.NoFileExists(t, filepath.Join(dir, "admin.key"), "nothing was begun")
}

func TestAnAddressInUseIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t)
	dir := t.TempDir()
	said := refused(t, dir, "OMNIRELAY_LISTEN="+strings.TrimPrefix(r.p.API, "http://"))
	require.Contains(t, said, "listen 127.0.0.1:")
	require.Contains(t, said, "address already in use")
	require.NoFileExists(t, filepath.Join(dir, "admin.key"))
}
