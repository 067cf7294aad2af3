package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/client"
)

// rig is a relay with a helpdesk behind it, a channel, an account and a session that has
// begun.
type rig struct {
	*program
	desk    *desk
	server  *receiver // the session's chat server
	channel client.Channel
	account client.Account
	in      *strings.Replacer
}

const sessionID = "0193a3b0-session-1"

func openRig(t *testing.T, settings ...string) *rig {
	t.Helper()
	// The helpdesk is told where the relay is, so that stays the same over restarts.
	d, env := openDesk(t, append(settings, "OMNIRELAY_LISTEN="+freeAddress(t), "OMNIRELAY_DELIVERY_RETRY_INITIAL=20ms")...)
	b := &rig{program: start(t, env...), desk: d, server: receive(t, secret)}
	b.channel = b.program.channel(b.server.url(), signedWith(secret))
	var err error
	b.account, err = b.CreateAccount(t.Context(), client.AccountFields{Name: new("Web shop"), Secret: new(secret)})
	require.NoError(t, err)
	sent, err := b.SendChat(t.Context(), client.ChatMessage{ChatServer: "http://" + b.server.addr + "/c", SessionID: sessionID, Token: b.account.Token, Message: "Hello"})
	require.NoError(t, err)
	b.becomes(sent.MessageID, client.StateDelivered)
	b.in = b.values(sessionID)
	return b
}

// values fills in good values.
func (b *rig) values(session string) *strings.Replacer {
	return strings.NewReplacer(
		"{server}", "http://"+b.server.addr+"/c", "{session}", session, "{token}", b.account.Token,
		"{channel}", "1001", "{endpoint}", b.server.url()+"?a=b&c=d")
}

// kept is everything that the relay has stored, as far as it can be asked.
func (b *rig) kept() map[string]any {
	b.t.Helper()
	kept := map[string]any{"helpdesk": b.desk.count(), "chat server": b.server.sink.Stats().Requests}
	for _, path := range []string{
		"/relay/v1/messages?limit=1000", "/relay/v1/dead", "/relay/v1/scheduled", "/relay/v1/chat/sessions", "/relay/v1/chat/accounts", "/api/v2/channel",
	} {
		kept[path] = caller{b.t, b.program, "json"}.call("GET", path, nil)["items"]
	}
	return kept
}

// refuses checks that an answer is a refusal that names one field.
func refuses(t *testing.T, status int, text, field, call string) {
	t.Helper()
	require.Equal(t, http.StatusBadRequest, status, "%s: %s", call, text)
	var answer struct {
		Type, Status, Code, Message string
		Errors                      []struct{ Field, Message string }
	}
	require.NoError(t, json.Unmarshal([]byte(text), &answer), text)
	require.Equal(t, "error", answer.Type, call)
	require.Equal(t, "error", answer.Status, call)
	require.Len(t, answer.Errors, 1, "%s: %s", call, text)
	require.Equal(t, field, answer.Errors[0].Field, "%s: %s", call, text)
	require.NotEmpty(t, answer.Errors[0].Message, call)
	require.Contains(t, answer.Message, field, call)
}

// TestEveryBadValueOfThePagesIsRefused sends, for every field of every call, every value that
// its published rule forbids, in every encoding.
func TestEveryBadValueOfThePagesIsRefused(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	before := b.kept()
	tried := 0
	for name, p := range published() {
		if name == "addAttachment" {
			continue // below
		}
		good := p.good(b.in)
		for i, f := range p.fields {
			for _, bad := range f.bad(t, good[2*i+1]) {
				for encoding := range encodings {
					pairs := slices.Clone(good)
					pairs[2*i+1] = bad
					status, text := caller{t, b.program, encoding}.ask(p.method, "/api/v2/"+b.in.Replace(p.path), nil, pairs...)
					refuses(t, status, text, f.name, name+" "+f.name+"="+bad+" as "+encoding)
					tried++
				}
			}
		}
		require.Equal(t, before, b.kept(), "%s stored something", name)
	}
	t.Logf("%d bad values", tried)
	require.Greater(t, tried, 3000)
}

// uploads are the ways to send a file: raw in a multipart body, and as base64 in every
// encoding. Fields go into the same body, before the file.
func uploads(t *testing.T, content string) map[string]func(pairs []string) (string, io.Reader) {
	t.Helper()
	encoded := base64.StdEncoding.EncodeToString([]byte(content))
	ways := map[string]func([]string) (string, io.Reader){
		"raw": func(pairs []string) (string, io.Reader) {
			var body bytes.Buffer
			w := newForm(t, &body, pairs)
			part, err := w.CreateFormFile("file", "photo.jpg")
			require.NoError(t, err)
			_, err = io.WriteString(part, content)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			return w.FormDataContentType(), &body
		},
	}
	for name, encode := range encodings {
		ways["base64 "+name] = func(pairs []string) (string, io.Reader) {
			return encode(t, append(slices.Clone(pairs), "file", encoded))
		}
	}
	return ways
}

// TestEveryBadValueOfAFilesCallIsRefused does the same for the call with a file, with its
// fields in the query, as one page has it, and in the body, as the other does.
func TestEveryBadValueOfAFilesCallIsRefused(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	before := b.kept()
	p := published()["addAttachment"]
	good := p.good(b.in)
	const path = "/api/v2/chat/addAttachment"
	c := caller{t, b.program, ""}
	for way, body := range uploads(t, "a photo") {
		for i, f := range p.fields {
			for _, bad := range f.bad(t, good[2*i+1]) {
				pairs := slices.Clone(good)
				pairs[2*i+1] = bad
				query := url.Values{}
				for j := 0; j < len(pairs); j += 2 {
					query.Set(pairs[j], pairs[j+1])
				}
				call := f.name + "=" + bad + " with the file " + way
				contentType, r := body(nil)
				status, text := c.send("POST", path+"?"+query.Encode(), nil, contentType, r)
				refuses(t, status, text, f.name, call+", in the query")
				contentType, r = body(pairs)
				status, text = c.send("POST", path, nil, contentType, r)
				refuses(t, status, text, f.name, call+", in the body")
			}
		}
	}
	for encoding := range encodings {
		c := caller{t, b.program, encoding}
		status, text := c.ask("POST", path, nil, good...)
		refuses(t, status, text, "file", "no file as "+encoding)
		status, text = c.ask("POST", path, nil, append(slices.Clone(good), "file", "bytes: !")...)
		refuses(t, status, text, "file", "no base64 as "+encoding)
	}
	require.Equal(t, before, b.kept(), "something was stored")
}

// TestBadPathsAndIDs: channels and hooks that are none.
func TestBadPathsAndIDs(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	before := b.kept()
	c := caller{t, b.program, "json"}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		var pairs []string
		if method == "PUT" {
			pairs = []string{"name", "Another"}
		}
		for _, bad := range []string{"x", "0", "-1", "1.5", "1e3", "0x3e9", "1001%20", "99999999999999999999", "%E0%A5%A7"} {
			status, text := c.ask(method, "/api/v2/channel/"+bad, nil, pairs...)
			refuses(t, status, text, "id", method+" channel/"+bad)
		}
		status, text := c.ask(method, "/api/v2/channel/4242", nil, pairs...)
		require.Equal(t, http.StatusNotFound, status, text)
	}
	for _, hook := range []string{"messageForCustomer", "uploadForCustomer", "typingIndicatorForCustomer"} {
		status, text := c.ask("POST", "/hooks/chat/"+strings.Repeat("a", 40)+"/"+hook, nil, "chatSessionID", sessionID, "message", "psst", "url", "https://a/")
		require.Equal(t, http.StatusNotFound, status, text)
	}
	require.Equal(t, before, b.kept(), "something was stored")
}

// TestEveryBadValueOfAHookpointIsRefused: their fields are not published; these are the rules
// that the relay documents.
func TestEveryBadValueOfAHookpointIsRefused(t *testing.T) {
	t.Parallel()
	b := openRig(t)
	before := b.kept()
	hook := strings.TrimPrefix(b.account.HookURL, b.p.API)
	number := []string{"x", "-1", "1.5", "9223372036854775808"}
	every := map[string][]string{
		"chatSessionID": {"", strings.Repeat("1", 66)}, "ticketID": number, "userID": number,
		"userName": {strings.Repeat("n", 1001)}, "messageID": {strings.Repeat("m", 256)},
	}
	for name, test := range map[string]struct {
		good []string
		bad  map[string][]string
	}{
		"messageForCustomer":         {[]string{"message", "Hi"}, map[string][]string{"message": {""}}},
		"uploadForCustomer":          {[]string{"url", "https://desk.example.com/a.pdf"}, map[string][]string{"url": {strings.Repeat("u", 4097)}, "fileName": {strings.Repeat("f", 256)}}},
		"typingIndicatorForCustomer": {[]string{"event", "startedtyping"}, nil},
	} {
		good := append([]string{"chatSessionID", sessionID}, test.good...)
		bad := maps.Clone(every)
		maps.Copy(bad, test.bad)
		for field, values := range bad {
			for _, value := range values {
				for encoding := range encodings {
					pairs := []string{field, value}
					for i := 0; i < len(good); i += 2 {
						if good[i] != field {
							pairs = append(pairs, good[i], good[i+1])
						}
					}
					c := caller{t, b.program, encoding}
					status, text := c.ask("POST", hook+"/"+name, nil, pairs...)
					refuses(t, status, text, field, name+" "+field+"="+value+" as "+encoding)
				}
			}
		}
		c := caller{t, b.program, "json"}
		status, text := c.ask("POST", hook+"/"+name, nil, append([]string{"chatSessionID", "another-session"}, test.good...)...)
		require.Equal(t, http.StatusNotFound, status, text)
		require.Contains(t, text, "There is no such chat session")
	}
	c := caller{t, b.program, "json"}
	status, text := c.ask("POST", hook+"/uploadForCustomer", nil, "chatSessionID", sessionID)
	refuses(t, status, text, "file", "an upload of nothing")
	require.Equal(t, before, b.kept(), "something was stored")
}
