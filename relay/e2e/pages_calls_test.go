package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

// sends makes a call of the pages with good values and returns the answer.
func (b *rig) sends(encoding, name string, in *strings.Replacer) map[string]any {
	b.t.Helper()
	p := published()[name]
	return caller{b.t, b.program, encoding}.call(p.method, "/api/v2/"+in.Replace(p.path), nil, p.good(in)...)
}

// atDesk is a call as the helpdesk is to get it: the published fields in the published order,
// with the relay's own hook for a chat server.
func (b *rig) atDesk(name string, in *strings.Replacer) deskCall {
	p := published()[name]
	c := deskCall{Call: p.method + " " + p.path, Key: deskKey, Status: http.StatusOK}
	query := url.Values{}
	pairs := p.good(in)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == "chatServer" {
			pairs[i+1] = b.account.HookURL
		}
		if name == "addAttachment" {
			query.Set(pairs[i], pairs[i+1])
			continue
		}
		c.Fields = append(c.Fields, pairs[i]+"="+pairs[i+1])
	}
	c.Query = query.Encode()
	return c
}

// last waits until the helpdesk has taken a message and returns the call that it became.
func (b *rig) last(answer map[string]any) deskCall {
	b.t.Helper()
	id := answer["messageID"].(string)
	b.becomes(relay.ID(id), client.StateDelivered)
	calls := b.desk.calls()
	at := slices.IndexFunc(calls, func(c deskCall) bool { return c.ID == id })
	require.GreaterOrEqual(b.t, at, 0, "%+v", calls)
	calls[at].ID = ""
	return calls[at]
}

// TestEveryCallOfThePagesReachesTheHelpdesk makes the fifteen calls of both pages with good
// values of all their fields, and compares them with what the helpdesk got.
func TestEveryCallOfThePagesReachesTheHelpdesk(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	for encoding := range encodings {
		t.Log(encoding)
		b.callsOfTheChannelPage(encoding)
		b.callsOfTheChatPage(encoding)
	}
}

func (b *rig) callsOfTheChannelPage(encoding string) {
	t, c := b.t, caller{b.t, b.program, encoding}
	holds := func(item any, name string) {
		pairs := published()[name].good(b.in)
		for i := 0; i < len(pairs); i += 2 {
			want := any(pairs[i+1])
			if want == "true" {
				want = true
			}
			if pairs[i] == "custom_channel_secret" {
				pairs[i], want = "custom_channel_secret_set", true
			}
			require.Equal(t, want, item.(map[string]any)[pairs[i]], pairs[i])
		}
	}
	made := b.sends(encoding, "channel create", b.in)["item"].(map[string]any)
	holds(made, "channel create")
	id := fmt.Sprint(int64(made["id"].(float64)))
	in := strings.NewReplacer("{channel}", id, "{endpoint}", b.server.url()+"?a=b&c=d")
	changed := b.sends(encoding, "channel change", in)["item"]
	holds(changed, "channel change")
	require.Equal(t, changed, c.call("GET", "/api/v2/channel/"+id, nil)["item"])
	require.Contains(t, c.call("GET", "/api/v2/channel", nil)["items"], changed)
	got := b.last(b.sends(encoding, "customChannelMessage", in))
	require.Equal(t, b.atDesk("customChannelMessage", in), got)
	require.Equal(t, "result", c.call("DELETE", "/api/v2/channel/"+id, nil)["type"])
	status, _ := c.ask("GET", "/api/v2/channel/"+id, nil)
	require.Equal(t, http.StatusNotFound, status)
}

func (b *rig) callsOfTheChatPage(encoding string) {
	t := b.t
	session := "session-in-" + encoding
	in := b.values(session)
	first := b.sends(encoding, "notifyUserNewChatMessage", in)
	require.Equal(t, "Message sent.", first["message"])
	require.Equal(t, b.atDesk("notifyUserNewChatMessage", in), b.last(first))
	require.NotContains(t, first, "ticketID", "nobody knows it yet")
	// From the second on the ticket is known.
	again := b.sends(encoding, "notifyUserNewChatMessage", in)
	b.last(again)
	known, err := b.ChatSession(t.Context(), session)
	require.NoError(t, err)
	require.NotZero(t, known.TicketID)
	require.EqualValues(t, known.TicketID, again["ticketID"])

	for _, name := range []string{"notifyUserNewChatEvent", "notifyUserVisited"} {
		require.Equal(t, b.atDesk(name, in), b.last(b.sends(encoding, name, in)), name)
	}
	b.files(encoding, in)
	require.Equal(t, b.atDesk("notifyUserEndChat", in), b.last(b.sends(encoding, "notifyUserEndChat", in)))

	// The questions are the helpdesk's to answer.
	for _, name := range []string{"requestChatConfig", "checkOriginAndIP", "requestChatQueue", "lists"} {
		p, ok := published()[name]
		if !ok {
			p = page{method: "GET", path: "chat/whitelistedDomainsAndBlacklistedIPs"}
		}
		answer := caller{t, b.program, encoding}.call(p.method, "/api/v2/"+p.path, nil, p.good(in)...)
		require.Contains(t, []any{"item", "result"}, answer["type"], name)
		at := slices.IndexFunc(b.desk.calls(), func(c deskCall) bool { return c.Call == p.method+" "+p.path })
		require.GreaterOrEqual(t, at, 0, name)
		got, want := b.desk.calls()[at], b.atDesk(name, in)
		require.ElementsMatch(t, want.Fields, got.Fields, name)
		require.Equal(t, deskKey, got.Key)
	}
	allowed := b.sends(encoding, "checkOriginAndIP", in)
	require.Equal(t, "Allowed.", allowed["message"], "the helpdesk's own words")
}

// files hands in a file in every form that there is.
func (b *rig) files(encoding string, in *strings.Replacer) {
	t := b.t
	pairs := published()["addAttachment"].good(in)
	query := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	const path = "/api/v2/chat/addAttachment"
	content := "\xff\xd8\xff bytes that are no text \x00\r\n--" + encoding
	for way, body := range uploads(t, content) {
		if way != "raw" && way != "base64 "+encoding {
			continue
		}
		name, contentType := "file file", "image/jpeg" // by its first bytes: a text in base64 has no name and no type
		if way == "raw" {
			name, contentType = "file photo.jpg", "application/octet-stream" // as its part says
		}
		for place, fields := range map[string][]string{"query": nil, "body": pairs} {
			address := path
			if fields == nil {
				address += "?" + query.Encode()
			}
			sent, r := body(fields)
			status, text := caller{t, b.program, encoding}.send("POST", address, nil, sent, r)
			require.Equal(t, http.StatusOK, status, "%s, ids in the %s: %s", way, place, text)
			var answer map[string]any
			require.NoError(t, json.Unmarshal([]byte(text), &answer))
			want := b.atDesk("addAttachment", in)
			want.File = fileText(name, contentType, []byte(content))
			require.Equal(t, want, b.last(answer), "%s, ids in the %s", way, place)
		}
	}
}

// hookCall is what a chat server got at a hookpoint.
type hookCall struct {
	Path, ID, Signature, ContentType, Body string
}

// fields takes a form apart, whichever it is.
func (c hookCall) fields(t *testing.T) (fields map[string]string, file string) {
	t.Helper()
	fields = map[string]string{}
	media, params, err := mime.ParseMediaType(c.ContentType)
	require.NoError(t, err)
	if media == "application/x-www-form-urlencoded" {
		values, err := url.ParseQuery(c.Body)
		require.NoError(t, err)
		for name := range values {
			require.Len(t, values[name], 1)
			fields[name] = values.Get(name)
		}
		return fields, ""
	}
	parts := multipart.NewReader(strings.NewReader(c.Body), params["boundary"])
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return fields, file
		}
		require.NoError(t, err)
		data, err := io.ReadAll(p)
		require.NoError(t, err)
		if p.FileName() != "" {
			file = fileText(p.FormName()+" "+p.FileName(), p.Header.Get("Content-Type"), data)
			continue
		}
		fields[p.FormName()] = string(data)
	}
}

// hooked waits until a chat server has taken so many calls, and returns them.
func hooked(t *testing.T, r *receiver, n int) []hookCall {
	t.Helper()
	var calls []hookCall
	taken := func() bool {
		calls = nil
		for _, text := range r.lines.all() {
			var l struct {
				hookCall
				Answer string
			}
			require.NoError(t, json.Unmarshal([]byte(text), &l))
			if l.Answer == "200" {
				calls = append(calls, l.hookCall)
			}
		}
		return len(calls) >= n
	}
	require.True(t, wait(taken), "%d calls expected, got %+v", n, calls)
	require.Len(t, calls, n)
	return calls
}

// TestEveryHookpointReachesTheChatServer calls the three hookpoints as a helpdesk does and
// compares with what the session's chat server gets.
func TestEveryHookpointReachesTheChatServer(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	hook := strings.TrimPrefix(b.account.HookURL, b.p.API)
	n := 0
	for encoding := range encodings {
		c := caller{t, b.program, encoding}
		say := func(name string, pairs ...string) hookCall {
			t.Helper()
			status, text := c.ask("POST", hook+"/"+name, nil, append([]string{"chatSessionID", sessionID, "userID", "254", "userName", "Bob"}, pairs...)...)
			require.Equal(t, http.StatusOK, status, text)
			require.Equal(t, "ok", text)
			n++
			call := hooked(t, b.server, n)[n-1]
			require.Equal(t, "/c/"+name, call.Path)
			require.Equal(t, "verified", call.Signature)
			return call
		}
		session, err := b.ChatSession(t.Context(), sessionID)
		require.NoError(t, err)
		common := func(call hookCall, more ...string) map[string]string {
			want := map[string]string{
				"chatSessionID": sessionID, "userID": "254", "userName": "Bob", "ticketID": fmt.Sprint(session.TicketID), "messageID": call.ID,
			}
			for i := 0; i < len(more); i += 2 {
				want[more[i]] = more[i+1]
			}
			return want
		}
		const reply = "Hi! é 世界 <b>&amp;</b>\nline 2"
		call := say("messageForCustomer", "message", reply)
		got, _ := call.fields(t)
		require.Equal(t, common(call, "message", reply), got)

		call = say("typingIndicatorForCustomer", "event", "stoppedtyping")
		got, _ = call.fields(t)
		require.Equal(t, common(call, "event", "stoppedtyping"), got)

		call = say("uploadForCustomer", "url", "https://desk.example.com/offer.pdf?a=b")
		got, _ = call.fields(t)
		require.Equal(t, common(call, "url", "https://desk.example.com/offer.pdf?a=b"), got)
	}

	// A file comes as a part, and arrives as one.
	contentType, body := uploads(t, "an offer")["raw"]([]string{"chatSessionID", sessionID})
	status, text := caller{t, b.program, ""}.send("POST", hook+"/uploadForCustomer", nil, contentType, body)
	require.Equal(t, http.StatusOK, status, text)
	n++
	call := hooked(t, b.server, n)[n-1]
	require.Equal(t, "/c/uploadForCustomer", call.Path)
	got, file := call.fields(t)
	require.Equal(t, sessionID, got["chatSessionID"])
	require.Equal(t, fileText("file photo.jpg", "application/octet-stream", []byte("an offer")), file)
	b.server.isClean()
}
