package download_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
	"omnirelay/relay/download"
)

// FuzzVerify changes an address in every way: only the address itself is good.
func FuzzVerify(f *testing.F) {
	links, err := download.Open(f.Context(), natsdtest.Open(f).JetStream(), download.Options{BaseURL: "https://relay.example.org"})
	require.NoError(f, err)
	accepted := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	u, err := url.Parse(links.URL(relay.Attachment{File: "file_0193a3b0"}, accepted))
	require.NoError(f, err)
	file, expires, signature := strings.TrimPrefix(u.Path, "/files/"), u.Query().Get("expires"), u.Query().Get("signature")
	f.Add(file, expires, signature)
	f.Add(file+"\n"+expires, "", signature)
	f.Add(file, "-"+expires, signature)
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, file2, expires2, signature2 string) {
		err := links.Verify(file2, expires2, signature2, accepted)
		if file2 == file && expires2 == expires && signature2 == signature {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, download.ErrInvalid)
	})
}
