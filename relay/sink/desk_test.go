package sink_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/sink"
)

// desk is a Desk behind a server.
type desk struct {
	*sink.Desk
	t      *testing.T
	url    string
	client *http.Client
}

func openDesk(t *testing.T, o sink.DeskOptions) *desk {
	t.Helper()
	if o.APIKey == "" {
		o.APIKey = "key"
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	if o.Transport == nil {
		o.Transport = transport
	}
	d := &desk{Desk: sink.NewDesk(o), t: t, client: &http.Client{Transport: transport}}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// call makes a call with the given fields, name and value in turn, and an id where one is
// given as "webhook-id".
func (d *desk) call(method, path string, fields ...string) (int, map[string]any) {
	d.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	id := ""
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "webhook-id" {
			id = fields[i+1]
			continue
		}
		if fields[i] == "file" {
			part, err := w.CreateFormFile("file", "photo.jpg")
			require.NoError(d.t, err)
			_, err = io.WriteString(part, fields[i+1])
			require.NoError(d.t, err)
			continue
		}
		require.NoError(d.t, w.WriteField(fields[i], fields[i+1]))
	}
	require.NoError(d.t, w.Close())
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, &body)
	require.NoError(d.t, err)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("apiKey", "key")
	if id != "" {
		r.Header.Set("Webhook-Id", id)
	}
	res, err := d.client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	var answer map[string]any
	require.NoError(d.t, json.NewDecoder(res.Body).Decode(&answer))
	return res.StatusCode, answer
}

const (
	chatServer = "https://chat.example.com/c"
	chatID     = "0193a3b0-session-1"
	chatToken  = "abcDEF0123456789"
)

func (d *desk) chat(name string, fields ...string) (int, map[string]any) {
	d.t.Helper()
	return d.call(http.MethodPost, "/api/v2/chat/"+name, append([]string{"chatServer", chatServer, "chatSessionID", chatID}, fields...)...)
}

func TestTheDeskKeepsTickets(t *testing.T) {
	t.Parallel()
	d := openDesk(t, sink.DeskOptions{})
	status, answer := d.chat("notifyUserNewChatEvent", "event", "startedtyping")
	require.Equal(t, http.StatusBadRequest, status)
	require.Equal(t, map[string]any{"status": "error", "type": "error", "message": "session " + chatID + " does not exist"}, answer)

	status, answer = d.chat("notifyUserNewChatMessage", "chatAccountToken", chatToken, "message", "Hi")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, map[string]any{"type": "result", "message": "Message sent.", "ticketID": 12312.}, answer)
	for _, call := range [][]string{
		{"notifyUserNewChatMessage", "chatAccountToken", chatToken, "message", "there"},
		{"notifyUserNewChatEvent", "event", "startedtyping"},
		{"notifyUserVisited", "url", "https://shop.example.com/"},
		{"addAttachment", "chatAccountToken", chatToken, "file", "bytes"},
		{"notifyUserEndChat"},
	} {
		status, answer = d.chat(call[0], call[1:]...)
		require.Equal(t, http.StatusOK, status, call[0])
		require.EqualValues(t, 12312, answer["ticketID"], call[0])
	}
	status, answer = d.call(http.MethodPost, "/api/v2/channel/customChannelMessage", "channelID", "1001", "fromAddress", "ann", "message", "Hello")
	require.Equal(t, http.StatusOK, status)
	require.EqualValues(t, 12313, answer["ticketID"])
	_, answer = d.call(http.MethodPost, "/api/v2/channel/customChannelMessage", "channelID", "1001", "fromAddress", "ann", "message", "again")
	require.EqualValues(t, 12313, answer["ticketID"])
	_, answer = d.call(http.MethodPost, "/api/v2/channel/customChannelMessage", "ticketID", "12313", "message", "by ticket")
	require.EqualValues(t, 12313, answer["ticketID"])
	_, answer = d.call(http.MethodPost, "/api/v2/channel/customChannelMessage", "channelID", "1001", "fromAddress", "bob", "message", "Hello")
	require.EqualValues(t, 12314, answer["ticketID"])

	require.Equal(t, []sink.Ticket{
		{
			ID: 12312, ChannelID: 8, Session: chatID, Server: chatServer, Ended: true, Messages: []string{"Hi", "there"},
			Files: []sink.File{{Name: "photo.jpg", ContentType: "application/octet-stream", Size: 5, SHA256: "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"}},
		},
		{ID: 12313, ChannelID: 1001, Address: "ann", Messages: []string{"Hello", "again", "by ticket"}},
		{ID: 12314, ChannelID: 1001, Address: "bob", Messages: []string{"Hello"}},
	}, d.Tickets())
}

func TestTheDeskHoldsCallsToTheRules(t *testing.T) {
	t.Parallel()
	d := openDesk(t, sink.DeskOptions{FileLimit: 10})
	for _, test := range []struct {
		want int
		path string
		args []string
	}{
		{http.StatusBadRequest, "chat/notifyUserNewChatMessage", []string{"chatServer", chatServer, "chatSessionID", "short", "chatAccountToken", chatToken, "message", "Hi"}},
		{http.StatusBadRequest, "chat/notifyUserNewChatMessage", []string{"chatServer", "a_b_c_d", "chatSessionID", chatID, "chatAccountToken", chatToken, "message", "Hi"}},
		{http.StatusBadRequest, "chat/notifyUserNewChatMessage", []string{"chatServer", chatServer, "chatSessionID", chatID, "chatAccountToken", chatToken}},
		{http.StatusBadRequest, "chat/notifyUserNewChatMessage", []string{"chatServer", chatServer, "chatSessionID", chatID, "chatAccountToken", chatToken, "message", "Hi", "messageNumber", "51"}},
		{http.StatusBadRequest, "chat/addAttachment", []string{"chatServer", chatServer, "chatSessionID", chatID, "chatAccountToken", chatToken}},
		{http.StatusRequestEntityTooLarge, "chat/addAttachment", []string{"chatServer", chatServer, "chatSessionID", chatID, "chatAccountToken", chatToken, "file", "eleven byte"}},
		{http.StatusBadRequest, "channel/customChannelMessage", []string{"channelID", "x", "message", "Hi"}},
		{http.StatusNotFound, "chat/unknown", nil},
		{http.StatusNotFound, "message", nil},
		{http.StatusNotFound, "channel/17", nil},
	} {
		status, answer := d.call(http.MethodPost, "/api/v2/"+test.path, test.args...)
		require.Equal(t, test.want, status, "%s %v: %v", test.path, test.args, answer)
		require.Equal(t, "error", answer["status"])
	}
	require.Empty(t, d.Tickets())
}

func TestTheDeskWantsItsKey(t *testing.T) {
	t.Parallel()
	d := openDesk(t, sink.DeskOptions{APIKey: "another"})
	for _, path := range []string{"chat/notifyUserEndChat", "chat/requestChatQueue", "channel"} {
		status, _ := d.call(http.MethodPost, "/api/v2/"+path, "chatServer", chatServer, "chatSessionID", chatID)
		require.Equal(t, http.StatusUnauthorized, status, path)
		status, _ = d.call(http.MethodPost, "/api/v2/"+path+"?apiKey=another", "chatServer", chatServer, "chatSessionID", chatID)
		require.NotEqual(t, http.StatusUnauthorized, status, path)
	}
}

func TestTheDeskMisbehavesAndCounts(t *testing.T) {
	t.Parallel()
	d := openDesk(t, sink.DeskOptions{})
	first, second := string(relay.NewID()), string(relay.NewID())
	say := func(id, text string) int {
		status, _ := d.chat("notifyUserNewChatMessage", "chatAccountToken", chatToken, "message", text, "webhook-id", id)
		return status
	}
	d.Misbehave(sink.Fault{Action: sink.Answer, Status: 503})
	require.Equal(t, 503, say(second, "two"))
	require.Empty(t, d.Tickets(), "what was refused was not taken")
	d.Misbehave(sink.Fault{Action: sink.CloseAfter})
	require.Equal(t, 0, say(second, "two"))
	require.Equal(t, []string{"two"}, d.Tickets()[0].Messages, "the call was taken, and nobody told")
	d.Misbehave()
	require.Equal(t, 200, say(first, "one"))
	require.Equal(t, 200, say(first, "one"))
	stats := d.Stats()
	require.Equal(t, 1, stats.OutOfOrder, "one came after two")
	require.Equal(t, 1, stats.Repeats)
	require.Equal(t, []string{"two", "one"}, d.Tickets()[0].Messages)
}

func TestAgentsAnswer(t *testing.T) {
	t.Parallel()
	var got []url.Values
	customer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		r.Form.Set("path", r.URL.Path)
		got = append(got, r.Form)
	}))
	t.Cleanup(customer.Close)
	d := openDesk(t, sink.DeskOptions{})
	status, answer := d.call(http.MethodPost, "/api/v2/channel", "name", "App", "custom_channel_endpoint", customer.URL+"/hook", "custom_channel_secret", "s3cr3t")
	require.Equal(t, http.StatusOK, status)
	require.EqualValues(t, 1001, answer["id"])
	_, answer = d.call(http.MethodGet, "/api/v2/channel/1001")
	require.Equal(t, map[string]any{"id": 1001., "name": "App", "custom_channel_endpoint": customer.URL + "/hook"}, answer["item"])

	_, _ = d.call(http.MethodPost, "/api/v2/channel/customChannelMessage", "channelID", "1001", "fromAddress", "ann", "message", "Hello")
	status, _ = d.call(http.MethodPost, "/agent/reply", "ticketID", "12312", "message", "Hi Ann")
	require.Equal(t, http.StatusOK, status)
	_, _ = d.call(http.MethodPost, "/api/v2/chat/notifyUserNewChatMessage", "chatServer", customer.URL+"/c/", "chatSessionID", chatID, "chatAccountToken", chatToken, "message", "Hello")
	status, _ = d.call(http.MethodPost, "/agent/reply", "ticketID", "12313", "message", "Hi there")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, []url.Values{
		{"path": {"/hook"}, "ticketID": {"12312"}, "toAddress": {"ann"}, "message": {"Hi Ann"}},
		{"path": {"/c/messageForCustomer"}, "ticketID": {"12313"}, "chatSessionID": {chatID}, "message": {"Hi there"}},
	}, got)
	status, _ = d.call(http.MethodPost, "/agent/reply", "ticketID", "1", "message", "x")
	require.Equal(t, http.StatusBadGateway, status)

	status, _ = d.call(http.MethodPut, "/api/v2/channel/1001", "custom_channel_endpoint", "http://127.0.0.1:1/")
	require.Equal(t, http.StatusOK, status)
	_, answer = d.call(http.MethodGet, "/api/v2/channel")
	require.Contains(t, answer["items"].([]any)[0], "custom_channel_endpoint")
	status, _ = d.call(http.MethodDelete, "/api/v2/channel/1001")
	require.Equal(t, http.StatusOK, status)
	status, _ = d.call(http.MethodGet, "/api/v2/channel/1001")
	require.Equal(t, http.StatusNotFound, status)
}

func TestTheDeskAnswersQueries(t *testing.T) {
	t.Parallel()
	d := openDesk(t, sink.DeskOptions{})
	for path, fields := range map[string][]string{
		"requestChatConfig": {"chatServer", chatServer, "chatAccountToken", chatToken},
		"checkOriginAndIP":  {"chatServer", chatServer, "chatAccountToken", chatToken, "origin", "shop.example.com", "ip", "192.0.2.1"},
		"requestChatQueue":  {"chatAccountToken", chatToken},
	} {
		status, answer := d.call(http.MethodPost, "/api/v2/chat/"+path, fields...)
		require.Equal(t, http.StatusOK, status, path)
		require.NotEmpty(t, answer["type"])
		status, _ = d.call(http.MethodPost, "/api/v2/chat/"+path, fields[2:]...)
		require.True(t, status == http.StatusBadRequest || len(fields) == 2, path)
		status, _ = d.call(http.MethodGet, "/api/v2/chat/"+path)
		require.Equal(t, http.StatusNotFound, status)
	}
	status, _ := d.call(http.MethodGet, "/api/v2/chat/whitelistedDomainsAndBlacklistedIPs")
	require.Equal(t, http.StatusOK, status)
	for _, path := range []string{"/agent/tickets", "/stats"} {
		status, _ := d.call(http.MethodGet, path)
		require.Equal(t, http.StatusOK, status, path)
	}
}
