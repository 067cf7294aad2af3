package download_test

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
	"omnirelay/relay/download"
)

func TestLinks(t *testing.T) {
	t.Parallel()
	conn := natsdtest.Open(t)
	open := func() *download.Links {
		l, err := download.Open(t.Context(), conn.JetStream(), download.Options{BaseURL: "https://relay.example.org/"})
		require.NoError(t, err)
		return l
	}
	first, second := open(), open()
	accepted := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	a := relay.Attachment{File: "file_0193a3b0"}
	text := first.URL(a, accepted)
	require.Equal(t, text, first.URL(a, accepted), "each attempt sends the same bytes")
	require.Equal(t, text, second.URL(a, accepted), "and each instance")
	u, err := url.Parse(text)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(text, "https://relay.example.org/files/file_0193a3b0?"))
	expires, signature := u.Query().Get("expires"), u.Query().Get("signature")

	week := accepted.Add(7 * 24 * time.Hour)
	require.NoError(t, second.Verify(a.File, expires, signature, week.Add(-time.Second)))
	require.ErrorIs(t, second.Verify(a.File, expires, signature, week), download.ErrExpired)
	later := strconv.FormatInt(week.Add(time.Hour).Unix(), 10)
	for name, tampered := range map[string][3]string{
		"another file":      {"file_0193a3b1", expires, signature},
		"a later end":       {a.File, later, signature},
		"no end":            {a.File, "", signature},
		"no signature":      {a.File, expires, ""},
		"half a signature":  {a.File, expires, signature[:20]},
		"moved boundary":    {a.File + "\n1", expires[1:], signature},
		"another signature": {a.File, expires, strings.Repeat("A", len(signature))},
	} {
		require.ErrorIs(t, first.Verify(tampered[0], tampered[1], tampered[2], accepted), download.ErrInvalid, name)
	}
}
