package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/api"
	"omnirelay/relay/auth"
	"omnirelay/relay/chat"
	"omnirelay/relay/helpdesk"
)

const (
	chatPath   = "/api/v2/chat/"
	chatServer = "https://chat.example.com/c/1"
	sessionID  = "0193a3b0-session-1"
)

// account makes a chat account.
func (w *world) account(change func(*chat.Patch)) chat.Account {
	w.t.Helper()
	p := chat.Patch{Name: new("Web shop")}
	if change != nil {
		change(&p)
	}
	a, err := w.accounts.Create(context.Background(), p)
	require.NoError(w.t, err)
	return a
}

// begun is a session that a message has begun, at position 1 of the log.
func (w *world) begun(a chat.Account) {
	w.t.Helper()
	answer := w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(chatMessage(a.Token))...)
	require.Equal(w.t, 200, answer.status, answer.text)
}

func chatMessage(token string) map[string]string {
	return map[string]string{"chatServer": chatServer, "chatSessionID": sessionID, "chatAccountToken": token, "message": "Hello"}
}

func pairs(fields map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		list = append(list, name, fields[name])
	}
	return list
}

func with(fields map[string]string, more ...string) map[string]string {
	fields = maps.Clone(fields)
	for i := 0; i < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	return fields
}

// chatCalls are the calls with a body, each with good values of all its fields.
func chatCalls(token string) map[string]struct {
	call helpdesk.Call
	good map[string]string
} {
	type c = struct {
		call helpdesk.Call
		good map[string]string
	}
	event := map[string]string{"chatServer": chatServer, "chatSessionID": sessionID}
	config := map[string]string{"chatServer": chatServer, "chatAccountToken": token}
	return map[string]c{
		"requestChatConfig": {helpdesk.RequestChatConfig(), config},
		"notifyUserNewChatMessage": {helpdesk.NotifyUserNewChatMessage(), with(chatMessage(token), "channelID", "8", "url", "https://shop.example.com/a?b=c",
			"messageNumber", "50", "usedPredefinedUserInput", "true", "additionalData", "{}", "externalAddressOverwrite", "ann",
			"customerName", "Ann 2", "emailAddress", "ann@example.org", "phoneNumber", "+31612345678")},
		"notifyUserNewChatEvent": {helpdesk.NotifyUserNewChatEvent(), with(event, "event", "startedtyping")},
		"notifyUserVisited":      {helpdesk.NotifyUserVisited(), with(event, "url", "https://shop.example.com/")},
		"notifyUserEndChat":      {helpdesk.NotifyUserEndChat(), event},
		"checkOriginAndIP":       {helpdesk.CheckOriginAndIP(), with(config, "origin", "shop.example.com", "ip", "192.0.2.7")},
		"requestChatQueue":       {helpdesk.RequestChatQueue(), map[string]string{"chatAccountToken": token}},
	}
}

func TestEachChatCallInEachEncoding(t *testing.T) {
	t.Parallel()
	for encoding := range encodings {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.account(nil)
			w.begun(a)
			for name, c := range chatCalls(a.Token) {
				answer := w.send("POST", chatPath+name, w.admin, encoding, pairs(c.good)...)
				require.Equal(t, 200, answer.status, "%s: %s", name, answer.text)
				require.Contains(t, []any{"result", "item"}, answer.body["type"], name)
			}
		})
	}
}

// badValues are values that a field must refuse, made from its rules.
func badValues(f helpdesk.Field) []string {
	var bad []string
	if f.Required {
		bad = append(bad, "")
	}
	if f.Min > 1 {
		bad = append(bad, strings.Repeat("a", f.Min-1))
	}
	if f.Max > 0 {
		bad = append(bad, strings.Repeat("a", f.Max+1))
	}
	if f.Pattern != nil {
		for _, c := range []string{"_", "é", "%", "a b\n", "\t", "+a", "a+"} {
			v := strings.Repeat("1", max(f.Min, 12)) + c
			if !f.Pattern.MatchString(v) {
				bad = append(bad, v)
			}
		}
	}
	if f.Kind == helpdesk.Integer {
		bad = append(bad, "x", "1.5", "-1", strconv.FormatInt(f.Low-1, 10), "9223372036854775808")
		if f.High > 0 {
			bad = append(bad, strconv.FormatInt(f.High+1, 10))
		}
	}
	if len(f.Enum) > 0 {
		bad = append(bad, f.Enum[0]+"X", "X"+f.Enum[len(f.Enum)-1], strings.ToUpper(f.Enum[0]))
	}
	return bad
}

func TestEachChatCallRefusesEachBadValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	w.begun(a)
	tried := 0
	for name, c := range chatCalls(a.Token) {
		for _, f := range c.call.Fields {
			for _, bad := range badValues(f) {
				for encoding := range encodings {
					answer := w.send("POST", chatPath+name, w.admin, encoding, pairs(with(c.good, f.Name, bad))...)
					require.Equal(t, 400, answer.status, "%s %s=%q as %s: %s", name, f.Name, bad, encoding, answer.text)
					require.Equal(t, []string{f.Name}, answer.fields(), "%s %s=%q as %s", name, f.Name, bad, encoding)
					tried++
				}
			}
		}
	}
	require.Greater(t, tried, 300)
	_, err := w.queue.Load(t.Context(), 0, 2)
	require.Error(t, err, "nothing was stored")
}

// TestTheChatTablesAreThePublishedOnes writes the specification out once more, so that a slip
// in the tables shows.
func TestTheChatTablesAreThePublishedOnes(t *testing.T) {
	t.Parallel()
	const spec = `
requestChatConfig        chatServer R min=5 ^[a-zA-Z0-9\.\:\/\-]+$
requestChatConfig        chatAccountToken R min=10 ^[a-zA-Z0-9]+$
notifyUserNewChatMessage chatServer R min=5 ^[a-zA-Z0-9\.\:\/\-]+$
notifyUserNewChatMessage chatSessionID R min=10 max=65 ^\+?[a-zA-Z0-9\-]+$
notifyUserNewChatMessage chatAccountToken R min=10 ^[a-zA-Z0-9]+$
notifyUserNewChatMessage channelID O low=1 default=8
notifyUserNewChatMessage message R min=1
notifyUserNewChatMessage url O min=1
notifyUserNewChatMessage messageNumber O low=1 high=50 default=1
notifyUserNewChatMessage usedPredefinedUserInput O min=1 default=false
notifyUserNewChatMessage additionalData O min=1
notifyUserNewChatMessage externalAddressOverwrite O min=1
notifyUserNewChatMessage customerName O ^[a-zA-Z 0-9]+$
notifyUserNewChatMessage phoneNumber O ^\+[0-9]+$
notifyUserNewChatEvent   chatServer R min=5 ^[a-zA-Z0-9\.\:\/\-]+$
notifyUserNewChatEvent   chatSessionID R min=10 ^[a-zA-Z0-9\-]+$
notifyUserNewChatEvent   event R enum=startedtyping,stoppedtyping,expandedchat,minimizedchat
notifyUserVisited        chatServer R min=5 ^[a-zA-Z0-9\.\:\/\-]+$
notifyUserVisited        chatSessionID R min=10 ^[a-zA-Z0-9\-]+$
notifyUserVisited        url R min=4
notifyUserEndChat        chatServer R min=5 ^[a-zA-Z0-9\.\:\/\-]+$
notifyUserEndChat        chatSessionID R min=10 ^[a-zA-Z0-9\-]+$
addAttachment            chatServer R min=5 ^[a-zA-Z0-9\.\:\/\-]+$
addAttachment            chatSessionID R min=10 ^\+?[a-zA-Z0-9\-]+$
addAttachment            chatAccountToken R min=10 ^[a-zA-Z0-9]+$
addAttachment            phoneNumber O ^\+?[0-9]+$
addAttachment            messageNumber O
checkOriginAndIP         chatServer R min=5 ^[a-zA-Z0-9\.\:\/\-]+$
checkOriginAndIP         chatAccountToken R min=10 ^[a-zA-Z0-9]+$
checkOriginAndIP         origin R min=1 ^[a-zA-Z0-9\.\-]+$
checkOriginAndIP         ip R min=5
requestChatQueue         chatAccountToken R min=10 ^[a-zA-Z0-9]+$
`
	calls := map[string]helpdesk.Call{"addAttachment": helpdesk.AddAttachment()}
	for name, c := range chatCalls("") {
		calls[name] = c.call
	}
	var lines []string
	for name, call := range calls {
		for _, f := range call.Fields {
			if f.Name == "emailAddress" || f.Name == "file" {
				continue // their rules are no pattern of the specification
			}
			line := name + " " + f.Name + map[bool]string{true: " R", false: " O"}[f.Required]
			for _, bound := range []struct {
				name string
				n    int64
			}{{"min", int64(f.Min)}, {"max", int64(f.Max)}, {"low", f.Low}, {"high", f.High}} {
				if bound.n != 0 {
					line += fmt.Sprintf(" %s=%d", bound.name, bound.n)
				}
			}
			if f.Default != "" {
				line += " default=" + f.Default
			}
			if len(f.Enum) > 0 {
				line += " enum=" + strings.Join(f.Enum, ",")
			}
			if f.Pattern != nil {
				line += " " + f.Pattern.String()
			}
			lines = append(lines, line)
		}
	}
	want := strings.Split(strings.TrimSpace(regexp.MustCompile(` +`).ReplaceAllString(spec, " ")), "\n")
	want = slices.DeleteFunc(want, func(s string) bool { return s == "" })
	// The one pattern with a space in it lost nothing.
	require.ElementsMatch(t, want, lines)
}

func TestEmailAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	for address, ok := range map[string]bool{
		"name@gmail.com": true, "a.b+c@sub.example.org": true, "a@localhost": true,
		"name": false, "a@b@c": false, "@example.org": false, "a@": false, "a b@example.org": false, "a@-x.org": false, "a@example.org ": false,
	} {
		answer := w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(with(chatMessage(a.Token), "emailAddress", address))...)
		require.Equal(t, ok, answer.status == 200, "%s: %s", address, answer.text)
	}
}

func TestWhatAChatCallStores(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	calls := chatCalls(a.Token)
	for i, test := range []struct {
		name, kind string
		of         relay.Kind
		fields     []string
	}{
		{"notifyUserNewChatMessage", "chat.message", relay.KindMessage, []string{"url", "messageNumber", "customerName"}},
		{"notifyUserNewChatEvent", "chat.event", relay.KindEvent, []string{"event"}},
		{"notifyUserVisited", "chat.visited", relay.KindEvent, []string{"url"}},
		{"notifyUserEndChat", "chat.ended", relay.KindMessage, nil},
	} {
		good := calls[test.name].good
		answer := w.send("POST", chatPath+test.name, w.admin, "multipart", pairs(good)...)
		require.Equal(t, 200, answer.status, answer.text)
		m := w.stored(relay.Position(i + 1)).Message
		require.Equal(t, string(m.ID), answer.body["messageID"])
		require.Equal(t, test.kind, m.Type)
		require.Equal(t, test.of, m.Kind)
		require.Equal(t, relay.Inbound, m.Direction)
		require.Equal(t, relay.Helpdesk, m.Destination)
		require.Equal(t, "session:"+sessionID, m.Conversation)
		require.Equal(t, int64(8), m.ChannelID)
		require.Equal(t, chatServer, m.Fields["chatServer"])
		require.Equal(t, sessionID, m.Fields["chatSessionID"])
		require.Equal(t, a.Token, m.Fields["chatAccountToken"])
		require.Equal(t, "https://relay.example.org/hooks/chat/"+a.HookToken.Reveal(), m.Fields["relayServer"])
		for _, f := range test.fields {
			require.Equal(t, good[f], m.Fields[f])
		}
		if test.kind == "chat.message" {
			require.Equal(t, "Hello", m.Text)
			require.Equal(t, "Message sent.", answer.body["message"])
			require.NotContains(t, answer.body, "ticketID", "nobody knows it yet")
		}
	}
	require.NoError(t, w.sessions.Learn(t.Context(), sessionID, 12312))
	answer := w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(chatMessage(a.Token))...)
	require.EqualValues(t, 12312, answer.body["ticketID"])
	require.Equal(t, int64(12312), w.stored(5).TicketID)
	require.Equal(t, "session:"+sessionID, w.stored(5).Conversation, "the order of a session does not change with its ticket")
}

func TestEventsNeedAKnownSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	for _, name := range []string{"notifyUserNewChatEvent", "notifyUserVisited", "notifyUserEndChat"} {
		answer := w.send("POST", chatPath+name, w.admin, "json", pairs(chatCalls(a.Token)[name].good)...)
		require.Equal(t, 404, answer.status, name)
		require.Equal(t, "not_found", answer.body["code"])
		require.Contains(t, answer.body["message"], "no such chat session")
	}
	w.begun(a)
	require.NoError(t, w.accounts.Delete(t.Context(), a.ID))
	answer := w.send("POST", chatPath+"notifyUserEndChat", w.admin, "json", pairs(chatCalls(a.Token)["notifyUserEndChat"].good)...)
	require.Equal(t, 404, answer.status)
	_, err := w.queue.Load(t.Context(), 0, 2)
	require.Error(t, err)
}

func TestNobodyTakesAnothersSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	thief := w.account(func(p *chat.Patch) { p.AllowedServers = &[]string{"https://evil.example.com"} })
	w.begun(a)
	const evil = "https://evil.example.com/c"
	good := chatCalls(a.Token)
	file := func(fields map[string]string) answer {
		query := url.Values{}
		for name, value := range fields {
			query.Set(name, value)
		}
		contentType, body := fileBody(t, "file", "a.txt", "text/plain", "x")
		return w.raw("POST", chatPath+"addAttachment?"+query.Encode(), w.admin, contentType, body)
	}
	fileFields := map[string]string{"chatServer": chatServer, "chatSessionID": sessionID, "chatAccountToken": a.Token}
	for name, test := range map[string]struct {
		answer answer
		status int
		code   string
	}{
		"a message to another server":      {w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(with(chatMessage(a.Token), "chatServer", evil))...), 403, "chat_server_changed"},
		"an event with another server":     {w.send("POST", chatPath+"notifyUserNewChatEvent", w.admin, "json", pairs(with(good["notifyUserNewChatEvent"].good, "chatServer", evil))...), 403, "chat_server_changed"},
		"a visit with another server":      {w.send("POST", chatPath+"notifyUserVisited", w.admin, "json", pairs(with(good["notifyUserVisited"].good, "chatServer", evil))...), 403, "chat_server_changed"},
		"an end with another server":       {w.send("POST", chatPath+"notifyUserEndChat", w.admin, "json", pairs(with(good["notifyUserEndChat"].good, "chatServer", evil))...), 403, "chat_server_changed"},
		"a file to another server":         {file(with(fileFields, "chatServer", evil)), 403, "chat_server_changed"},
		"a message with another token":     {w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(with(chatMessage(thief.Token), "chatServer", evil))...), 409, "chat_session_taken"},
		"a file with another token":        {file(with(fileFields, "chatServer", evil, "chatAccountToken", thief.Token)), 409, "chat_session_taken"},
		"another token, the same server":   {w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(chatMessage(thief.Token))...), 403, "chat_server_forbidden"},
		"a reply through another's hook":   {w.send("POST", "/hooks/chat/"+thief.HookToken.Reveal()+"/messageForCustomer", "", "json", "chatSessionID", sessionID, "message", "psst"), 404, "not_found"},
		"a reply through an unknown hook":  {w.send("POST", "/hooks/chat/"+a.ID+strings.Repeat("x", 32)+"/messageForCustomer", "", "json", "chatSessionID", sessionID, "message", "psst"), 404, "not_found"},
		"an unknown account":               {w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(chatMessage("unknown0token"))...), 400, "invalid_field"},
		"a config for a server not theirs": {w.send("POST", chatPath+"requestChatConfig", w.admin, "json", "chatServer", chatServer, "chatAccountToken", thief.Token), 403, "chat_server_forbidden"},
	} {
		require.Equal(t, test.status, test.answer.status, "%s: %s", name, test.answer.text)
		require.Equal(t, test.code, test.answer.body["code"], name)
	}
	session, err := w.sessions.Get(t.Context(), sessionID)
	require.NoError(t, err)
	require.Equal(t, chatServer, session.Server)
	require.Equal(t, a.ID, session.AccountID)
	_, err = w.queue.Load(t.Context(), 0, 2)
	require.Error(t, err, "nothing of it was stored")

	// The account's own list proves a move, and replies follow it.
	_, err = w.accounts.Update(t.Context(), a.ID, chat.Patch{AllowedServers: &[]string{"https://new.example.com"}})
	require.NoError(t, err)
	answer := w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(with(chatMessage(a.Token), "chatServer", "https://new.example.com/c"))...)
	require.Equal(t, 200, answer.status, answer.text)
	answer = w.send("POST", outboundPath, w.admin, "json", "type", "8", "chatSessionID", sessionID, "message", "ok")
	require.Equal(t, 200, answer.status, answer.text)
	require.Equal(t, relay.ChatDestination("https://new.example.com/c"), w.stored(3).Destination)
}

func TestAChatServerIsHeldAgainstTheEgressRules(t *testing.T) {
	t.Parallel()
	var asked []string
	w := newWorld(t, func(o *api.Options) {
		o.CheckURL = func(_ context.Context, url string) error {
			asked = append(asked, url)
			if strings.Contains(url, "internal") {
				return errors.New("10.0.0.7 is a private address")
			}
			return nil
		}
	})
	a := w.account(nil)
	answer := w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(with(chatMessage(a.Token), "chatServer", "internal.example.com"))...)
	require.Equal(t, 400, answer.status)
	require.Equal(t, []string{"chatServer"}, answer.fields())
	require.Equal(t, []string{"https://internal.example.com"}, asked)
	w.begun(a)
	w.begun(a)
	require.Len(t, asked, 2, "a known session's server is not asked about again")
	answer = w.send("POST", "/relay/v1/chat/accounts", w.admin, "json", "name", "A", "allowed_chat_servers", "chat.example.com,internal.example.com")
	require.Equal(t, 400, answer.status)
	require.Equal(t, []string{"allowed_chat_servers"}, answer.fields())
}

func TestChatMessagesAreIdempotentForEachCallOfASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	send := func(fields map[string]string) answer {
		r := w.send("POST", chatPath+"notifyUserNewChatMessage", w.admin, "json", pairs(with(fields, "messageID", "m-1"))...)
		require.Equal(t, 200, r.status, r.text)
		return r
	}
	first := send(chatMessage(a.Token))
	again := send(chatMessage(a.Token))
	require.Equal(t, true, again.body["duplicate"])
	require.Equal(t, first.body["messageID"], again.body["messageID"])
	other := send(with(chatMessage(a.Token), "chatSessionID", "another-session"))
	require.NotContains(t, other.body, "duplicate")
	end := w.send("POST", chatPath+"notifyUserEndChat", w.admin, "json", "chatServer", chatServer, "chatSessionID", sessionID, "messageID", "m-1")
	require.NotContains(t, end.body, "duplicate")
}

func TestAKeyForOtherChannelsHasNoChat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	w.begun(a)
	key := w.key([]int64{1001}, auth.Permissions()...)
	for name, c := range chatCalls(a.Token) {
		answer := w.send("POST", chatPath+name, key, "json", pairs(c.good)...)
		require.Equal(t, 403, answer.status, "%s: %s", name, answer.text)
		require.Equal(t, "channel_forbidden", answer.body["code"], name)
	}
	for _, path := range []string{chatPath + "whitelistedDomainsAndBlacklistedIPs", "/relay/v1/chat/accounts", "/relay/v1/chat/accounts/" + a.ID, "/relay/v1/chat/sessions/" + sessionID} {
		require.Equal(t, 403, w.get("GET", path, key).status, path)
	}
	list := w.get("GET", "/relay/v1/chat/sessions", key)
	require.Empty(t, list.body["items"])
	chatKey := w.key([]int64{8}, auth.APIChat)
	require.Equal(t, 200, w.send("POST", chatPath+"notifyUserNewChatMessage", chatKey, "json", pairs(chatMessage(a.Token))...).status)
}

// fileBody is a multipart body with one file after the given fields.
func fileBody(t testing.TB, field, name, contentType, content string, fields ...string) (string, io.Reader) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		require.NoError(t, w.WriteField(fields[i], fields[i+1]))
	}
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition(field, name)}, "Content-Type": {contentType},
	})
	require.NoError(t, err)
	_, err = io.WriteString(part, content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return w.FormDataContentType(), &b
}

// content reads a stored file.
func (w *world) content(file string) string {
	w.t.Helper()
	r, _, err := w.files.Open(w.t.Context(), file)
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, r.Close()) }()
	data, err := io.ReadAll(r)
	require.NoError(w.t, err)
	return string(data)
}

func TestAttachmentsInEveryFormThatIsDocumented(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	ids := map[string]string{"chatServer": chatServer, "chatSessionID": sessionID, "chatAccountToken": a.Token, "messageNumber": "3", "phoneNumber": "31612345678"}
	query := url.Values{}
	for name, value := range ids {
		query.Set(name, value)
	}
	const content = "%PDF-1.7 \x00\x01\xff and so on"
	text := base64.StdEncoding.EncodeToString([]byte(content))
	inQuery, inBody := chatPath+"addAttachment?"+query.Encode(), chatPath+"addAttachment"
	encoded := func(encoding string, list ...string) func() (string, io.Reader) {
		return func() (string, io.Reader) { return encodings[encoding](t, list) }
	}
	raw := func(fields ...string) func() (string, io.Reader) {
		return func() (string, io.Reader) {
			return fileBody(t, "file", "offer.pdf", "application/pdf", content, fields...)
		}
	}
	for i, test := range []struct {
		path string
		body func() (string, io.Reader)
		name string
	}{
		{inQuery, raw(), "offer.pdf"},
		{inBody, raw(pairs(ids)...), "offer.pdf"},
		{inQuery, encoded("multipart", "file", text), "file"},
		{inQuery, encoded("urlencoded", "file", text), "file"},
		{inQuery, encoded("json", "file", text), "file"},
		{inBody, encoded("multipart", append(pairs(ids), "fileName", "a.pdf", "file", text)...), "a.pdf"},
		{inBody, encoded("urlencoded", append(pairs(ids), "file", text)...), "file"},
		{inBody, encoded("json", append(pairs(ids), "file", text)...), "file"},
		{inQuery, func() (string, io.Reader) {
			return "application/json", strings.NewReader(`{ "file" : "` + strings.ReplaceAll(text, "/", `\/`) + `" }`)
		}, "file"},
	} {
		contentType, body := test.body()
		answer := w.raw("POST", test.path, w.admin, contentType, body)
		require.Equal(t, 200, answer.status, "%d: %s", i, answer.text)
		require.Equal(t, "Attachment sent.", answer.body["message"])
		m := w.stored(relay.Position(i + 1)).Message
		require.Equal(t, "chat.attachment", m.Type)
		require.Equal(t, relay.KindAttachment, m.Kind)
		require.Equal(t, "3", m.Fields["messageNumber"])
		require.NotContains(t, m.Fields, "file")
		require.Len(t, m.Attachments, 1)
		require.Equal(t, test.name, m.Attachments[0].Name, i)
		require.Equal(t, "application/pdf", m.Attachments[0].ContentType, i)
		require.EqualValues(t, len(content), m.Attachments[0].Size)
		require.Equal(t, content, w.content(m.Attachments[0].File), i)
	}
}

// storedFiles counts what the file store holds.
func (w *world) storedFiles() uint64 {
	w.t.Helper()
	s, err := w.conn.JetStream().Stream(w.t.Context(), "OBJ_RELAY_FILES")
	require.NoError(w.t, err)
	info, err := s.Info(w.t.Context())
	require.NoError(w.t, err)
	return info.State.Msgs
}

func TestARefusedAttachmentLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *api.Options) { o.AttachmentLimit, o.BodyLimit = 300<<10, 4096 })
	a := w.account(nil)
	good := url.Values{"chatServer": {chatServer}, "chatSessionID": {sessionID}, "chatAccountToken": {a.Token}}
	path := chatPath + "addAttachment?" + good.Encode()
	bad := func(name, value string) string {
		q := maps.Clone(good)
		q[name] = []string{value}
		if value == "" {
			delete(q, name)
		}
		return chatPath + "addAttachment?" + q.Encode()
	}
	file := func(content string, fields ...string) func() (string, io.Reader) {
		return func() (string, io.Reader) { return fileBody(t, "file", "a.bin", "", content, fields...) }
	}
	text := func(contentType, body string) func() (string, io.Reader) {
		return func() (string, io.Reader) { return contentType, strings.NewReader(body) }
	}
	const form = "application/x-www-form-urlencoded"
	large := strings.Repeat("x", 300<<10+1)
	for name, test := range map[string]struct {
		path   string
		body   func() (string, io.Reader)
		status int
		field  string
	}{
		"no file":                {path, file(""), 400, "file"},
		"no body":                {path, text(form, ""), 400, "file"},
		"empty text":             {path, text(form, "file="), 400, "file"},
		"no base64":              {path, text(form, "file=%21%21%21%21"), 400, "file"},
		"half base64":            {path, text(form, "file=A"), 400, "file"},
		"base64 goes on":         {path, text(form, "file=YQ%3D%3DYQ"), 400, "file"},
		"broken escape":          {path, text(form, "file=YW%ZZ"), 400, ""},
		"broken JSON":            {path, text("application/json", `{"file":"YWJj"`), 400, ""},
		"JSON goes on":           {path, text("application/json", `{"file":"YWJj"}{}`), 400, ""},
		"cut off":                {path, text("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc"), 400, ""},
		"no closing delimiter":   {path, text("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nabc\r\n--x\r\n"), 400, ""},
		"another type":           {path, text("application/pdf", "x"), 415, ""},
		"too large":              {path, file(large), 413, ""},
		"too large as base64":    {path, text(form, "file="+url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(large)))), 413, ""},
		"large fields":           {path, file("x", "other", strings.Repeat("f", 5000)), 413, ""},
		"large JSON field":       {path, text("application/json", `{"other":"`+strings.Repeat("f", 5000)+`","file":"YWJj"}`), 413, ""},
		"two files":              {path, text("application/json", `{"file":"YWJj","file":"YWJj"}`), 400, "file"},
		"a file elsewhere":       {path, func() (string, io.Reader) { return fileBody(t, "document", "a", "", "x") }, 400, "document"},
		"ids twice":              {path, file("x", "chatServer", chatServer), 400, "chatServer"},
		"unknown account":        {bad("chatAccountToken", "unknown0token"), file("x"), 400, "chatAccountToken"},
		"no token":               {bad("chatAccountToken", ""), file("x"), 400, "chatAccountToken"},
		"no server":              {bad("chatServer", ""), file("x"), 400, "chatServer"},
		"bad server":             {bad("chatServer", "https://a.b/?c"), file("x"), 400, "chatServer"},
		"short session":          {bad("chatSessionID", "short"), file("x"), 400, "chatSessionID"},
		"long session":           {bad("chatSessionID", strings.Repeat("s", 66)), file("x"), 400, "chatSessionID"},
		"bad phone":              {bad("phoneNumber", "12a"), file("x"), 400, "phoneNumber"},
		"bad number":             {bad("messageNumber", "two"), file("x"), 400, "messageNumber"},
		"number in another case": {bad("messagenumber", "2"), file("x"), 400, "messagenumber"},
	} {
		contentType, body := test.body()
		answer := w.raw("POST", test.path, w.admin, contentType, body)
		require.Equal(t, test.status, answer.status, "%s: %s", name, answer.text)
		if test.field != "" {
			require.Equal(t, []string{test.field}, answer.fields(), name)
		}
	}
	w.nothingStored()
	require.Zero(t, w.storedFiles())

	// The limit itself is fine.
	contentType, body := file(large[1:])()
	answer := w.raw("POST", path, w.admin, contentType, body)
	require.Equal(t, 200, answer.status, answer.text)
}
