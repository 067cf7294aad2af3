package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMisuseOfTheCommandsThatCallARelay(t *testing.T) {
	t.Parallel()
	environ := []string{"OMNIRELAY_API_KEY=k", "OMNIRELAY_API_URL=http://127.0.0.1:1"}
	for line, want := range map[string]string{
		"channel":                    "omnirelay channel needs a command: create, delete, import, list, push, show, update",
		"channel show":               "omnirelay channel show takes one argument, the channel id, but got 0",
		"channel show x":             `"x" is no channel id`,
		"channel show 0":             `"0" is no channel id`,
		"channel update 1001":        "nothing to change: give at least one flag",
		"channel create --timeout 5": `invalid argument "5" for "--timeout"`,
		"channel create --secret a --generate-secret": "none of the others can be",
		"message send": "omnirelay message send takes one argument, the text, but got 0",
		"message send --inbound --signature s --ticket 1 text": "--signature is an agent's",
		"message show msg_1":              "is not \"msg_\" and a lower-case UUIDv7",
		"message list --since yesterday":  "must be a time such as 2026-11-22T10:00:00Z, or how long ago, such as 1h30m",
		"message list --since -1h":        "must be a time such as",
		"message list --destination desk": `"desk" is no destination: give a channel's id, or helpdesk`,
		"dead replay":                     "which dead letters? Give ids, flags that select, or --all",
		"dead discard":                    "which dead letters? Give ids, flags that select, or --all",
		"dead replay x":                   "message id \"x\" does not start with",
		"dead replay --all msg_019aa51e-7d5b-7c83-8b5a-1f3f2d7f8a10": "give ids or flags that select, not both",
		"dead replay --all --rate -1":                                "--rate must not be negative",
		"hold 1 2":                                                   "omnirelay hold takes one argument, the destination, or none, but got 2",
		"hold --why x":                                               "--why needs a destination to hold",
		"hold channel-x":                                             `"channel-x" is no destination`,
		"resume":                                                     "omnirelay resume takes one argument, the destination, but got 0",
		"replay 1001":                                                "a replay needs --since",
		"replay --since 1h":                                          "--since needs a destination to replay",
		"key create shop":                                            `required flag(s) "permission" not set`,
		"channel list --api ftp://x":                                 "--api: the relay's address must be an http or https URL",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			r := run(t, "", environ, strings.Fields(line)...)
			require.Equal(t, exitMisuse, r.code, r.err)
			require.Empty(t, r.out)
			require.Contains(t, r.err, want)
		})
	}
}

func TestWhereTheKeyComesFrom(t *testing.T) {
	t.Parallel()
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("apiKey")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"items":[]}`))
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "admin.key"), []byte("from-the-directory\n"), 0o600))
	other := file(t, "other.key", "from-a-file")
	api := "OMNIRELAY_API_URL=" + server.URL

	for _, tc := range []struct {
		want    string
		environ []string
		args    []string
	}{
		{"from-the-environment", []string{api, "OMNIRELAY_API_KEY=from-the-environment", "OMNIRELAY_DATA_DIR=" + dir}, nil},
		{"from-the-environment", []string{api, "OMNIRELAY_API_KEY=from-the-environment"}, []string{"--key-file", other}},
		{"from-a-file", []string{api, "OMNIRELAY_DATA_DIR=" + dir}, []string{"--key-file", other}},
		{"from-the-directory", []string{api, "OMNIRELAY_DATA_DIR=" + dir}, nil},
		{"from-the-directory", []string{"OMNIRELAY_API_URL=http://127.0.0.1:1", "OMNIRELAY_DATA_DIR=" + dir}, []string{"--api", server.URL}},
	} {
		r := run(t, "", tc.environ, append([]string{"hold"}, tc.args...)...)
		require.Equal(t, exitDone, r.code, r.err)
		require.Equal(t, tc.want, got)
	}

	r := run(t, "", []string{api, "OMNIRELAY_DATA_DIR=" + t.TempDir()}, "hold")
	require.Equal(t, exitMisuse, r.code)
	require.Contains(t, r.err, "no API key is given: set OMNIRELAY_API_KEY, or name a file with --key-file")
}

func TestTimesOnTheCommandLine(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	v := timeValue{now: func() time.Time { return now }}
	require.Empty(t, v.String())
	for text, want := range map[string]time.Time{
		"1h30m":                     now.Add(-90 * time.Minute),
		"0s":                        now,
		"2026-11-21T10:00:00Z":      now.Add(-24 * time.Hour),
		"2026-11-21T11:00:00+01:00": now.Add(-24 * time.Hour),
	} {
		require.NoError(t, v.Set(text), text)
		require.True(t, want.Equal(v.at), text)
	}
	for _, bad := range []string{"", "yesterday", "-1h", "2026-11-21", "1"} {
		require.Error(t, v.Set(bad), bad)
	}
}

func TestAStrangersTextIsPlain(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a b  [2Jc d", plain("a\nb\t\x1b[2Jc\u2028d", 50))
	require.Equal(t, "abc…", plain("abcdef", 3))
	require.Equal(t, "abc", plain("abc", 3))
	require.NotContains(t, plain("x\u202ey", 50), "\u202e")
}

func TestTablesHaveNoTrailingSpace(t *testing.T) {
	t.Parallel()
	var out buffer
	a := &app{out: &out}
	require.NoError(t, a.printTable([]string{"ID", "NAME", "LAST"}, [][]string{{"1", "one", ""}, {"22", "two", "x"}}))
	require.Equal(t, "ID  NAME  LAST\n1   one\n22  two   x\n", out.String())
}
