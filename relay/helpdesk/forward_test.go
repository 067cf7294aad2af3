package helpdesk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/helpdesk"
)

const (
	messageID = relay.ID("msg_01935a5e-0000-7000-8000-0123456789ab")
	server    = "https://chat.example.com/c/1"
	session   = "0193a3b0-session-1"
	token     = "abcDEF0123456789"
)

// chat is a message of live chat with the fields that its calls share.
func chat(kind string, fields map[string]string) relay.Message {
	m := relay.Message{ID: messageID, Type: kind, Conversation: "session:" + session, Fields: map[string]string{
		"chatServer": server, "chatSessionID": session, "chatAccountToken": token,
		helpdesk.FieldRelayServer: "https://relay.example.com/hooks/chat/abc",
	}}
	maps.Copy(m.Fields, fields)
	return m
}

// stored gives one file to whoever asks.
func stored(name, content string) helpdesk.OpenFile {
	return func(_ context.Context, file string) (io.ReadCloser, int64, error) {
		if file != name {
			return nil, 0, errors.New("no such file")
		}
		return io.NopCloser(strings.NewReader(content)), int64(len(content)), nil
	}
}

// bytesOf reads a body twice and checks that it is what it says.
func bytesOf(t *testing.T, b helpdesk.Body) string {
	t.Helper()
	if b.Open == nil {
		return string(b.Bytes)
	}
	var texts []string
	for range 2 {
		r, err := b.Open(t.Context())
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Len(t, text, int(b.Size))
		texts = append(texts, string(text))
	}
	require.Equal(t, texts[0], texts[1], "every attempt sends the same bytes")
	return texts[0]
}

func TestEachMessageBecomesItsCall(t *testing.T) {
	t.Parallel()
	relayed := map[string]string{"chatServer": "https://relay.example.com/hooks/chat/abc", "chatSessionID": session}
	with := func(more map[string]string) helpdesk.Values {
		v := helpdesk.Values{}
		maps.Copy(v, relayed)
		maps.Copy(v, more)
		return v
	}
	tests := map[string]struct {
		message relay.Message
		path    string
		rules   helpdesk.Call
		body    helpdesk.Values
	}{
		"a custom channel's message": {
			relay.Message{ID: messageID, Type: helpdesk.TypeInbound, ChannelID: 1001, Text: "Hällo\r\n\"there\"", FromAddress: "ann"},
			"channel/customChannelMessage", helpdesk.CustomChannelMessage(),
			helpdesk.Values{"channelID": "1001", "message": "Hällo\r\n\"there\"", "fromAddress": "ann"},
		},
		"with everything": {
			relay.Message{ID: messageID, Type: helpdesk.TypeInbound, ChannelID: 1001, TicketID: 7, Text: "Hi", Title: "T", ToAddress: "us", FromAddress: "ann", UserID: 3},
			"channel/customChannelMessage", helpdesk.CustomChannelMessage(),
			helpdesk.Values{"ticketID": "7", "channelID": "1001", "message": "Hi", "title": "T", "toAddress": "us", "fromAddress": "ann", "userID": "3"},
		},
		"a chat message": {
			func() relay.Message {
				m := chat(helpdesk.TypeChatMessage, map[string]string{"url": "https://shop.example.com/a?b=c", "messageNumber": "2", "customerName": "Ann", "phoneNumber": "+31612345678"})
				m.Text, m.ChannelID, m.TicketID = "Hi", 8, 12312
				return m
			}(),
			"chat/notifyUserNewChatMessage", helpdesk.NotifyUserNewChatMessage(),
			with(map[string]string{
				"chatAccountToken": token, "channelID": "8", "message": "Hi", "url": "https://shop.example.com/a?b=c",
				"messageNumber": "2", "customerName": "Ann", "phoneNumber": "+31612345678",
			}),
		},
		"a chat message beyond the fiftieth": {
			func() relay.Message {
				m := chat(helpdesk.TypeChatMessage, map[string]string{"messageNumber": "51"})
				m.Text = "Hi"
				return m
			}(),
			"chat/notifyUserNewChatMessage", helpdesk.NotifyUserNewChatMessage(),
			with(map[string]string{"chatAccountToken": token, "channelID": "8", "message": "Hi"}),
		},
		"an event": {
			chat(helpdesk.TypeChatEvent, map[string]string{"event": "startedtyping"}),
			"chat/notifyUserNewChatEvent", helpdesk.NotifyUserNewChatEvent(), with(map[string]string{"event": "startedtyping"}),
		},
		"a visit": {
			chat(helpdesk.TypeChatVisited, map[string]string{"url": "https://shop.example.com/"}),
			"chat/notifyUserVisited", helpdesk.NotifyUserVisited(), with(map[string]string{"url": "https://shop.example.com/"}),
		},
		"an end": {
			chat(helpdesk.TypeChatEnded, nil), "chat/notifyUserEndChat", helpdesk.NotifyUserEndChat(), with(nil),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, header, err := helpdesk.NewAccount("https://account.omnidesk.com/", "key").Forward(&test.message)
			require.NoError(t, err)
			require.Equal(t, "https://account.omnidesk.com/api/v2/"+test.path, address)
			require.Equal(t, "key", header.Get("apiKey"))

			b, err := helpdesk.ForwardBody(&test.message, nil)
			require.NoError(t, err)
			require.Contains(t, b.ContentType, "multipart/form-data; boundary=")
			got, err := helpdesk.ParseBody(b.ContentType, []byte(bytesOf(t, b)), helpdesk.DefaultLimits())
			require.NoError(t, err)
			require.Equal(t, test.body, got)
			require.NoError(t, test.rules.Check(got), "what is sent keeps the helpdesk's own rules")
		})
	}
}

func TestAnAttachmentIsSentAsAPart(t *testing.T) {
	t.Parallel()
	const content = "\x00binary\r\n--omnirelay\r\n"
	m := chat(helpdesk.TypeChatAttachment, map[string]string{"phoneNumber": "+31612345678", "file": "ignored"})
	m.Attachments = []relay.Attachment{{File: "file_1", Name: "ph\"oto\r\n/é.jpg", ContentType: "image/jpeg", Size: int64(len(content))}}
	account := helpdesk.NewAccount("https://account.omnidesk.com", "k&y")
	account.KeyInQuery = true
	address, header, err := account.Forward(&m)
	require.NoError(t, err)
	require.Empty(t, header.Get("apiKey"))
	u, err := url.Parse(address)
	require.NoError(t, err)
	require.Equal(t, "/api/v2/chat/addAttachment", u.Path)
	require.Equal(t, url.Values{
		"chatServer": {"https://relay.example.com/hooks/chat/abc"}, "chatSessionID": {session}, "chatAccountToken": {token},
		"phoneNumber": {"+31612345678"}, "apiKey": {"k&y"},
	}, u.Query())

	b, err := helpdesk.ForwardBody(&m, stored("file_1", content))
	require.NoError(t, err)
	upload := helpdesk.Upload{Names: []string{"file"}, FieldBytes: 1 << 10, Limits: helpdesk.DefaultLimits()}
	files := 0
	fields, err := helpdesk.ReadUpload(b.ContentType, strings.NewReader(bytesOf(t, b)), upload, func(f helpdesk.IncomingFile, _ helpdesk.Values) error {
		files++
		got, err := io.ReadAll(f.Content)
		require.NoError(t, err)
		require.Equal(t, content, string(got))
		require.Equal(t, "file", f.Field)
		require.Equal(t, "image/jpeg", f.ContentType)
		require.NotContains(t, f.Name, "\n")
		require.Contains(t, f.Name, "é.jpg")
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, files)
	require.Empty(t, fields)
}

func TestAFileThatCannotBeSent(t *testing.T) {
	t.Parallel()
	m := chat(helpdesk.TypeChatAttachment, nil)
	_, err := helpdesk.ForwardBody(&m, stored("file_1", "x"))
	require.ErrorContains(t, err, "has no file")

	m.Attachments = []relay.Attachment{{File: "file_1", Size: 2, ContentType: "broken\r\nX: y"}}
	b, err := helpdesk.ForwardBody(&m, stored("file_1", "x"))
	require.NoError(t, err)
	_, err = b.Open(t.Context())
	require.ErrorContains(t, err, "has 1 bytes and should have 2")
	b, err = helpdesk.ForwardBody(&m, stored("file_2", "xx"))
	require.NoError(t, err)
	_, err = b.Open(t.Context())
	require.ErrorContains(t, err, "no such file")
	b, err = helpdesk.ForwardBody(&m, stored("file_1", "xx"))
	require.NoError(t, err)
	require.NotContains(t, bytesOf(t, b), "X: y", "a content type of a stranger adds no header")
}

func TestTheHelpdeskHasNoCallForOtherMessages(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"", "message.outbound", helpdesk.TypeChatReply} {
		m := chat(kind, nil)
		_, _, err := helpdesk.NewAccount("https://x", "k").Forward(&m)
		require.ErrorContains(t, err, "no call")
		_, err = helpdesk.ForwardBody(&m, nil)
		require.ErrorContains(t, err, "no call")
	}
}

func TestAnAccountPrintsNoKey(t *testing.T) {
	t.Parallel()
	a := helpdesk.NewAccount("https://x", "s3cr3t")
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(format, a), "s3cr3t", format)
	}
}

func TestEachReplyBecomesItsHookpoint(t *testing.T) {
	t.Parallel()
	reply := chat(helpdesk.TypeChatReply, map[string]string{"userName": "Bob"})
	reply.Text, reply.TicketID, reply.UserID = "a & b", 12312, 3
	typing := chat(helpdesk.TypeChatTyping, map[string]string{"event": "startedtyping"})
	for kind, test := range map[string]struct {
		message relay.Message
		path    string
		want    url.Values
	}{
		"reply": {reply, "messageForCustomer", url.Values{
			"chatSessionID": {session}, "message": {"a & b"}, "ticketID": {"12312"}, "userID": {"3"}, "userName": {"Bob"}, "messageID": {string(messageID)},
		}},
		"typing": {typing, "typingIndicatorForCustomer", url.Values{"chatSessionID": {session}, "event": {"startedtyping"}, "messageID": {string(messageID)}}},
	} {
		address, err := helpdesk.HookpointURL(&test.message)
		require.NoError(t, err, kind)
		require.Equal(t, server+"/"+test.path, address)
		b, err := helpdesk.HookpointBody(&test.message, nil)
		require.NoError(t, err)
		require.Equal(t, "application/x-www-form-urlencoded", b.ContentType)
		got, err := url.ParseQuery(string(b.Bytes))
		require.NoError(t, err)
		require.Equal(t, test.want, got)
	}

	upload := chat(helpdesk.TypeChatUpload, map[string]string{"message": "see"})
	upload.Attachments = []relay.Attachment{{File: "file_1", Name: "a.txt", ContentType: "text/plain", Size: 5}}
	b, err := helpdesk.HookpointBody(&upload, stored("file_1", "bytes"))
	require.NoError(t, err)
	fields, err := helpdesk.ReadUpload(b.ContentType, strings.NewReader(bytesOf(t, b)), helpdesk.Upload{FieldBytes: 1 << 10, Limits: helpdesk.DefaultLimits()},
		func(f helpdesk.IncomingFile, soFar helpdesk.Values) error {
			require.Equal(t, session, soFar.Text("chatSessionID"), "the session comes before the file")
			got, err := io.ReadAll(f.Content)
			require.Equal(t, "bytes", string(got))
			return err
		})
	require.NoError(t, err)
	require.Equal(t, helpdesk.Values{"chatSessionID": session, "message": "see", "messageID": string(messageID)}, fields)

	// What the relay sends to a chat server it would itself take from a helpdesk.
	require.NoError(t, helpdesk.UploadForCustomerHook().Check(helpdesk.FromChatHook(helpdesk.HookUpload, fields)))
}

func TestWhereAChatServerIs(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"chat.example.com":        "https://chat.example.com/messageForCustomer",
		"chat.example.com:8443/":  "https://chat.example.com:8443/messageForCustomer",
		"http://10.0.0.1:80/a/b/": "http://10.0.0.1:80/a/b/messageForCustomer",
		"https://x.example.com":   "https://x.example.com/messageForCustomer",
	} {
		m := chat(helpdesk.TypeChatReply, map[string]string{"chatServer": given})
		got, err := helpdesk.HookpointURL(&m)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	m := chat(helpdesk.TypeChatReply, map[string]string{"chatServer": ""})
	_, err := helpdesk.HookpointURL(&m)
	require.ErrorContains(t, err, "no chatServer")
	m = chat(helpdesk.TypeChatMessage, nil)
	_, err = helpdesk.HookpointURL(&m)
	require.ErrorContains(t, err, "no hookpoint")
	_, err = helpdesk.HookpointBody(&m, nil)
	require.ErrorContains(t, err, "no hookpoint")
}
