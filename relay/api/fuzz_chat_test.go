package api_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/chat"
)

// clientsFault checks that an answer is a success or a refusal of the client's, never a
// failure of the relay.
func clientsFault(t *testing.T, call string, a answer) {
	t.Helper()
	require.True(t, a.status == http.StatusOK || a.status >= 400 && a.status < 500, "%s: %d %s", call, a.status, a.text)
	if a.status != http.StatusOK {
		require.Equal(t, "error", a.body["type"], call)
		require.NotEmpty(t, a.body["code"], call)
	}
}

// FuzzChat sends any body to every call of live chat: the Chat controller, the hookpoints, the
// accounts.
func FuzzChat(f *testing.F) {
	w := newWorld(f)
	a := w.account(func(p *chat.Patch) { p.AllowedServers = &[]string{"https://chat.example.com"} })
	w.begun(a)
	f.Add("application/json", []byte(`{"chatServer":"https://chat.example.com/c/1","chatSessionID":"0193a3b0-session-1","chatAccountToken":"`+a.Token+`","message":"Hi","event":"startedtyping","url":"https://a/","file":"YWJj","origin":"a","ip":"192.0.2.7"}`))
	f.Add("application/x-www-form-urlencoded", []byte("session[id]=0193a3b0-session-1&data[message][text]=Hi&typing=true&user[id]=7&file=%2"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"chatSessionID\"\r\n\r\n0193a3b0-session-1\r\n--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nb\r\n--x--\r\n"))
	f.Add("application/json", []byte(`{"name":"A","opening_hours":["mon-fri 09:00-17:30"],"time_zone":"Europe/Amsterdam","blacklisted_ips":"192.0.2.0/24","languages":["nl"],"max_queue":"5","secret":"whsec_YWJj"}`))
	f.Add("text/plain", []byte("ok"))
	hook := "/hooks/chat/" + a.HookToken.Reveal() + "/"
	calls := []string{hook + "messageForCustomer", hook + "uploadForCustomer", hook + "typingIndicatorForCustomer", hook + "another", "/relay/v1/chat/accounts"}
	for name := range chatCalls(a.Token) {
		calls = append(calls, chatPath+name)
	}
	calls = append(calls, chatPath+"addAttachment")
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		w := *w
		w.t = t
		for _, call := range calls {
			clientsFault(t, call, w.raw("POST", call, w.admin, contentType, bytes.NewReader(body)))
		}
		clientsFault(t, "change", w.raw("PUT", "/relay/v1/chat/accounts/"+a.ID, w.admin, contentType, bytes.NewReader(body)))
		_, err := w.accounts.Update(t.Context(), a.ID, chat.Patch{AllowedServers: &[]string{"https://chat.example.com"}})
		require.NoError(t, err)
	})
}

// FuzzFilters asks every list with any query, and for every record with any name.
func FuzzFilters(f *testing.F) {
	for _, query := range []string{
		"limit=5&cursor=x&since=2026-01-02T03:04:05Z&until=2026-01-02T03:04:05Z&channelID=1001&destination=channel-1001", "state=dead&direction=in&conversation=ticket:1",
		"reason=expired&cursor=MTox", "account=a&cursor=18446744073709551615", "itemStart=-1&itemLimit=99999", "expires=1&signature=x", "limit=%zz", "destination=chat-0123456789abcdef&apiKey=x",
	} {
		f.Add(query, "msg_01a2032e-f99c-794f-aaaf-6d13c53af692")
	}
	f.Add("", "../../x")
	f.Add("", "0193a3b0-session-1")
	w := newWorld(f)
	w.channel(0, nil)
	w.begun(w.account(nil))
	f.Fuzz(func(t *testing.T, query, name string) {
		w := *w
		w.t = t
		if _, err := url.ParseRequestURI("/a?" + query); err != nil || strings.ContainsAny(query, " #\n\r\t") {
			return // no request line
		}
		name = url.PathEscape(name)
		for _, path := range []string{
			"/api/v2/channel", "/relay/v1/messages", "/relay/v1/dead", "/relay/v1/scheduled", "/relay/v1/chat/sessions", "/relay/v1/holds", "/files/" + name,
			"/relay/v1/messages/" + name, "/relay/v1/dead/" + name, "/relay/v1/chat/sessions/" + name, "/relay/v1/chat/accounts/" + name, "/api/v2/channel/" + name,
		} {
			a := w.get("GET", path+"?"+query, w.admin)
			if a.status == http.StatusGone || a.status == http.StatusMovedPermanently {
				continue // an address that is over; a path of dots
			}
			clientsFault(t, path, a)
		}
		for _, path := range []string{"/relay/v1/scheduled/", "/relay/v1/holds/", "/relay/v1/keys/"} {
			clientsFault(t, path, w.get("DELETE", path+name+"?"+query, w.admin))
		}
	})
}
