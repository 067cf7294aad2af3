package chat_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/chat"
)

// FuzzServer tries to pass for a chat server that an account allows, or for that of a session.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		"https://chat.example.com/c", "chat.example.com/c/1", "CHAT.example.com:443/c/", "https://chat.example.com/c/../d", "https://chat.example.com/cd",
		"https://chat.example.com.evil/c", "https://chat.example.com@evil/c", "http://chat.example.com/c", "//chat.example.com/c", "https:chat.example.com/c",
		"https://chat.example.com/c//", "https://chat.example.com:8443/c", "https://evil/?https://chat.example.com/c", "https://chat.example.com/c/%2e%2e/d",
	} {
		f.Add(s, "https://chat.example.com/c")
	}
	account := chat.Account{AllowedServers: []string{"https://chat.example.com/c"}}
	f.Fuzz(func(t *testing.T, server, other string) {
		require.Equal(t, chat.SameServer(server, other), chat.SameServer(other, server))
		require.True(t, chat.SameServer(server, server))
		if account.AllowsServer(server) {
			u, err := url.Parse(chat.ServerURL(server))
			require.NoError(t, err)
			require.Equal(t, "https", u.Scheme)
			require.Equal(t, "chat.example.com", strings.ToLower(u.Hostname()))
			require.Contains(t, []string{"", "443"}, u.Port())
			require.True(t, u.Path == "/c" || strings.HasPrefix(u.Path, "/c/"), u.Path)
			require.Empty(t, u.User)
		}
		if chat.SameServer(server, other) && server != other && account.AllowsServer(other) {
			require.True(t, account.AllowsServer(server), "the same server is as much allowed")
		}
	})
}
