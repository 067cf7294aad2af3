package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/signer"
)

// encodings are the three ways in which fields travel; pairs are names and values.
var encodings = map[string]func(t *testing.T, pairs []string) (contentType string, body io.Reader){
	"multipart": func(t *testing.T, pairs []string) (string, io.Reader) {
		t.Helper()
		var b bytes.Buffer
		w := newForm(t, &b, pairs)
		require.NoError(t, w.Close())
		return w.FormDataContentType(), &b
	},
	"urlencoded": func(_ *testing.T, pairs []string) (string, io.Reader) {
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Add(pairs[i], pairs[i+1])
		}
		return "application/x-www-form-urlencoded", strings.NewReader(values.Encode())
	},
	"json": func(t *testing.T, pairs []string) (string, io.Reader) {
		t.Helper()
		fields := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			fields[pairs[i]] = pairs[i+1]
		}
		data, err := json.Marshal(fields)
		require.NoError(t, err)
		return "application/json", bytes.NewReader(data)
	},
}

// newForm begins a multipart body with fields.
func newForm(t *testing.T, body io.Writer, pairs []string) *multipart.Writer {
	t.Helper()
	w := multipart.NewWriter(body)
	for i := 0; i < len(pairs); i += 2 {
		require.NoError(t, w.WriteField(pairs[i], pairs[i+1]))
	}
	return w
}

// caller does requests as an integrator would, without the project's own client.
type caller struct {
	t        *testing.T
	r        *program
	encoding string
}

// call does a request that must be answered with 200 and returns the answer.
func (c caller) call(method, path string, header http.Header, pairs ...string) map[string]any {
	c.t.Helper()
	status, text := c.ask(method, path, header, pairs...)
	require.Equal(c.t, http.StatusOK, status, "%s %s: %s", method, path, text)
	var answer map[string]any
	require.NoError(c.t, json.Unmarshal([]byte(text), &answer), "%s", text)
	return answer
}

// ask does a request with fields in the caller's encoding and returns the answer's status and
// body.
func (c caller) ask(method, path string, header http.Header, pairs ...string) (status int, text string) {
	c.t.Helper()
	var body io.Reader
	contentType := ""
	if len(pairs) > 0 {
		contentType, body = encodings[c.encoding](c.t, pairs)
	}
	return c.send(method, path, header, contentType, body)
}

// send does a request with any body.
func (c caller) send(method, path string, header http.Header, contentType string, body io.Reader) (status int, text string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.r.p.API+path, body)
	require.NoError(c.t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if !strings.HasPrefix(path, "/hooks/") {
		req.Header.Set("apiKey", c.r.key)
	}
	maps.Copy(req.Header, header)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	require.NoError(c.t, resp.Body.Close())
	return resp.StatusCode, string(data)
}

func TestEveryCallInEveryEncoding(t *testing.T) {
	t.Parallel()
	const deskSecret = "the-helpdesks-signing-secret"
	desk := receive(t, deskSecret)
	r := start(t, "OMNIRELAY_HELPDESK_KIND=webhook", "OMNIRELAY_HELPDESK_URL="+desk.url(), "OMNIRELAY_HELPDESK_SECRET="+deskSecret)
	for n, encoding := range []string{"multipart", "urlencoded", "json"} {
		t.Run(encoding, func(t *testing.T) {
			everyCall(t, r, encoding, desk, n)
		})
	}
}

// everyCall makes a channel, sends through it every way there is, looks at what became of
// it, and deletes it. round is how often that was done before.
func everyCall(t *testing.T, r *program, encoding string, desk *receiver, round int) {
	receiver := receive(t, secret)
	c := caller{t, r, encoding}

	// The Channel controller.
	made := c.call("POST", "/api/v2/channel", nil,
		"name", "Example channel", "icon", "note", "custom_channel_endpoint", receiver.url(),
		"custom_channel_secret", secret, "include_signature", "true", "retry_initial", "20ms")
	require.Equal(t, "item", made["type"])
	item := made["item"].(map[string]any)
	require.EqualValues(t, 1001+round, item["id"])
	require.Equal(t, true, item["custom_channel_secret_set"])
	require.NotContains(t, fmt.Sprint(made), secret)
	id := int64(item["id"].(float64))
	path := fmt.Sprintf("/api/v2/channel/%d", id)
	changed := c.call("PUT", path, nil, "name", "Another name", "custom_channel_warning_nl", "Let op!", "custom_channel_available_in_quick_ticket", "true")
	require.Equal(t, "Another name", changed["item"].(map[string]any)["name"])
	shown := c.call("GET", path, nil)
	require.Equal(t, changed, shown)
	list := c.call("GET", "/api/v2/channel?itemLimit=1", nil)
	require.Equal(t, "list", list["type"])
	require.EqualValues(t, 1, list["itemTotal"])
	require.Len(t, list["items"], 1)

	// A customer's message reaches the helpdesk.
	inbound := c.call("POST", "/api/v2/channel/customChannelMessage", nil,
		"ticketID", "858462", "channelID", fmt.Sprint(id), "message", "Where is my parcel?", "title", "Parcel",
		"toAddress", "shop", "fromAddress", "+31612345678", "userID", "0")
	require.Equal(t, "result", inbound["type"])
	r.becomes(relay.ID(inbound["messageID"].(string)), client.StateDelivered)
	desk.accepts(round + 1)
	desk.isClean()

	// An agent's message reaches the channel's endpoint, once for a key.
	key := http.Header{"Idempotency-Key": {"order-" + encoding}}
	message := []string{"ticketID", "858462", "type", fmt.Sprint(id), "message", "On its way.", "userID", "254", "signature", "Kind regards"}
	outbound := c.call("POST", "/api/v2/message", key, message...)
	again := c.call("POST", "/api/v2/message", key, message...)
	require.Equal(t, outbound["messageID"], again["messageID"])
	require.Equal(t, true, again["duplicate"])
	first := relay.ID(outbound["messageID"].(string))
	r.becomes(first, client.StateDelivered)

	// The helpdesk's own call of the channel's hook does the same.
	hook := strings.TrimPrefix(item["hook_url"].(string), r.p.API)
	hooked := c.call("POST", hook, nil, "ticketID", "858462", "message", "Has it come?")
	r.becomes(relay.ID(hooked["messageID"].(string)), client.StateDelivered)
	receiver.accepts(2)
	receiver.isClean()
	var line struct{ ID, Body, Signature string }
	require.NoError(t, json.Unmarshal([]byte(receiver.lines.all()[0]), &line))
	require.Equal(t, string(first), line.ID)
	require.Equal(t, "verified", line.Signature)
	var delivered struct {
		Type string
		Data map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(line.Body), &delivered))
	require.Equal(t, "message.outbound", delivered.Type)
	for name, want := range map[string]any{
		"messageID": string(first), "channelID": float64(id), "channelName": "Another name", "ticketID": 858462.0,
		"conversation": "ticket:858462", "message": "On its way.", "userID": 254.0, "signature": "Kind regards",
	} {
		require.Equal(t, want, delivered.Data[name], name)
	}

	// What became of it.
	status := c.call("GET", "/relay/v1/messages/"+string(first), nil)
	require.Equal(t, "delivered", status["item"].(map[string]any)["state"])
	messages := c.call("GET", fmt.Sprintf("/relay/v1/messages?channelID=%d&direction=out", id), nil)
	require.Len(t, messages["items"], 2)

	// Holds, dead letters and replays.
	c.call("POST", "/relay/v1/holds", nil, "channelID", fmt.Sprint(id), "why", "maintenance")
	require.Len(t, c.call("GET", "/relay/v1/holds", nil)["items"], 1)
	waiting := c.call("POST", "/api/v2/message", nil, "toAddress", "ann", "type", fmt.Sprint(id), "message", "Later.")
	c.call("DELETE", fmt.Sprintf("/relay/v1/holds/channel-%d", id), nil)
	r.becomes(relay.ID(waiting["messageID"].(string)), client.StateDelivered)
	c.call("POST", "/relay/v1/replays", nil, "channelID", fmt.Sprint(id), "since", "2026-01-02T03:04:05Z")
	require.True(t, wait(func() bool { return receiver.sink.Stats().Repeats == 3 }), "%+v", receiver.sink.Stats())
	require.True(t, wait(func() bool { return len(c.call("GET", "/relay/v1/replays", nil)["items"].([]any)) == 0 }))
	receiver.close()
	lost := c.call("POST", "/api/v2/message", nil, "toAddress", "ann", "type", fmt.Sprint(id), "message", "Too late.")

	// A channel that is deleted leaves what was not delivered as dead letters.
	require.Equal(t, "result", c.call("DELETE", path, nil)["type"])
	dead := lost["messageID"].(string)
	r.becomes(relay.ID(dead), client.StateDead)
	letters := c.call("GET", fmt.Sprintf("/relay/v1/dead?channelID=%d", id), nil)
	require.Len(t, letters["items"], 1)
	require.Equal(t, "discarded", c.call("GET", "/relay/v1/dead/"+dead, nil)["item"].(map[string]any)["attempt"].(map[string]any)["reason"])
	c.call("POST", "/relay/v1/dead/"+dead+"/replay", nil)
	r.becomes(relay.ID(dead), client.StateDead)
	c.call("POST", "/relay/v1/dead/"+dead+"/discard", nil)
	require.Empty(t, c.call("GET", fmt.Sprintf("/relay/v1/dead?channelID=%d", id), nil)["items"])

	// Keys.
	created := c.call("POST", "/relay/v1/keys", nil, "name", "shop", "permissions[]", "MESSAGE_CREATE")
	k := created["item"].(map[string]any)
	require.NotEmpty(t, k["apiKey"])
	c.call("DELETE", "/relay/v1/keys/"+k["id"].(string), nil)
	require.Len(t, c.call("GET", "/relay/v1/keys", nil)["items"], 2+round)
	require.NotEmpty(t, c.call("GET", "/relay/v1/version", nil)["item"])
	require.NotEmpty(t, c.call("GET", "/relay/v1/stats", nil)["item"])
	require.Equal(t, "3.1.0", c.call("GET", "/openapi.json", nil)["openapi"])
}

// TestASignedHookMustVerify: a helpdesk that signs is held to its signature.
func TestASignedHookMustVerify(t *testing.T) {
	t.Parallel()
	receiver := receive(t, secret)
	r := start(t)
	ch := r.channel(receiver.url(), signedWith(secret))
	post := func(body, signed string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ch.HookURL, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		if signed != "" {
			s, err := signer.ParseSecret(secret)
			require.NoError(t, err)
			signer.SetHeaders(req.Header, "hook-1", time.Now(), []byte(signed), s)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	const body = `{"ticketID":1,"message":"hello"}`
	require.Equal(t, http.StatusUnauthorized, post(body, `{"ticketID":1,"message":"other"}`))
	require.Equal(t, http.StatusOK, post(body, body))
	require.Equal(t, http.StatusOK, post(body, body), "the helpdesk's retry")
	receiver.accepts(1)
	require.Equal(t, http.StatusOK, post(body, ""))
	receiver.accepts(2)
	receiver.isClean()
}
