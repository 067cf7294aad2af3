package api_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/endpoints"
	"omnirelay/relay"
	"omnirelay/relay/api"
	"omnirelay/relay/auth"
	"omnirelay/relay/client"
	"omnirelay/signer"
)

const (
	inboundPath  = "/api/v2/channel/customChannelMessage"
	outboundPath = "/api/v2/message"
)

// stored reads an accepted message back from the log.
func (w *world) stored(position relay.Position) relay.Entry {
	w.t.Helper()
	e, err := w.queue.Load(w.t.Context(), 0, position)
	require.NoError(w.t, err)
	return e
}

// nothingStored checks that the log is empty.
func (w *world) nothingStored() {
	w.t.Helper()
	_, err := w.queue.Load(w.t.Context(), 0, 1)
	require.Error(w.t, err)
}

func TestEveryFieldOfAMessageIsStored(t *testing.T) {
	t.Parallel()
	for encoding := range encodings {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := w.channel(0, func(p *endpoints.Patch) { p.IncludeSignature = new(true) })
			text := "Grüße & <b>more</b>\nsecond line 👋"
			a := w.send("POST", inboundPath, w.admin, encoding, "ticketID", "858462", "channelID", "1001", "message", text,
				"title", "Title", "toAddress", "us", "fromAddress", "them", "userID", "254")
			require.Equal(t, 200, a.status, a.text)
			require.Equal(t, "result", a.body["type"])
			e := w.stored(1)
			require.Equal(t, string(e.ID), a.body["messageID"])
			require.NotContains(t, a.body, "duplicate")
			require.WithinDuration(t, time.Now(), e.AcceptedAt, time.Minute)
			e.Message.ID, e.Message.AcceptedAt = "", time.Time{}
			require.Equal(t, relay.Message{
				Type: "message.inbound", Direction: relay.Inbound, Kind: relay.KindMessage, Destination: relay.Helpdesk, Conversation: "ticket:858462",
				ChannelID: 1001, ChannelName: "Example channel", TicketID: 858462, Text: text, Title: "Title", ToAddress: "us", FromAddress: "them", UserID: 254,
			}, e.Message)

			outbound := relay.Message{
				Type: "message.outbound", Direction: relay.Outbound, Kind: relay.KindMessage, Destination: "channel-1001", Conversation: "ticket:858462",
				ChannelID: 1001, ChannelName: "Example channel", TicketID: 858462, Text: text, Title: "Title", ToAddress: "them", FromAddress: "us", UserID: 254, Signature: "Best, Ann",
			}
			fields := []string{"ticketID", "858462", "message", text, "title", "Title", "toAddress", "them", "fromAddress", "us", "userID", "254", "signature", "Best, Ann"}
			a = w.send("POST", outboundPath, w.admin, encoding, append(fields, "type", "1001", "submitStatus", "solved", "ccInput", "x@example.org")...)
			require.Equal(t, 200, a.status, a.text)
			e = w.stored(2)
			e.Message.ID, e.Message.AcceptedAt = "", time.Time{}
			require.Equal(t, outbound, e.Message)

			a = w.send("POST", "/hooks/channel/1001/"+c.HookToken.Reveal(), "", encoding, fields...)
			require.Equal(t, 200, a.status, a.text)
			e = w.stored(3)
			e.Message.ID, e.Message.AcceptedAt = "", time.Time{}
			require.Equal(t, outbound, e.Message, "the hook takes the same message")
		})
	}
}

func TestWhatNamesTheConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(0, nil)
	for i, test := range []struct {
		path   string
		fields []string
		want   string
	}{
		{inboundPath, []string{"ticketID", "5", "fromAddress", "ann"}, "ticket:5"},
		{inboundPath, []string{"channelID", "1001", "fromAddress", "ann", "toAddress", "us"}, "address:ann"},
		{inboundPath, []string{"channelID", "1001", "ticketID", "0", "fromAddress", "ann"}, "address:ann"},
		{inboundPath, []string{"channelID", "1001"}, "channel:1001"},
		{outboundPath, []string{"type", "1001", "ticketID", "5", "toAddress", "ann"}, "ticket:5"},
		{outboundPath, []string{"type", "1001", "fromAddress", "us", "toAddress", "ann"}, "address:ann"},
	} {
		a := w.send("POST", test.path, w.admin, "json", append(test.fields, "message", "ok")...)
		require.Equal(t, 200, a.status, a.text)
		require.Equal(t, test.want, w.stored(relay.Position(i+1)).Conversation)
	}
}

func TestTheSignatureIsCarriedOnlyWhereTheChannelWantsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(0, nil)
	a := w.send("POST", outboundPath, w.admin, "json", "type", "1001", "ticketID", "5", "message", "ok", "signature", "Best, Ann")
	require.Equal(t, 200, a.status)
	require.Empty(t, w.stored(1).Signature)
}

func TestBadMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.channel(0, nil)
	hook := "/hooks/channel/1001/" + c.HookToken.Reveal()
	inbound := map[string]string{"channelID": "1001", "message": "ok"}
	outbound := map[string]string{"type": "1001", "ticketID": "5", "message": "ok"}
	hooked := map[string]string{"ticketID": "5", "message": "ok"}
	tests := []struct {
		path         string
		good         map[string]string
		field, value string // replaces the good one; "" leaves it out
		names        []string
	}{
		{inboundPath, inbound, "channelID", "", []string{"ticketID", "channelID"}},
		{inboundPath, inbound, "channelID", "0", []string{"ticketID", "channelID"}},
		{inboundPath, inbound, "channelID", "1002", []string{"channelID"}},
		{inboundPath, inbound, "channelID", "8", []string{"channelID"}},
		{inboundPath, inbound, "channelID", "one", []string{"channelID"}},
		{inboundPath, inbound, "channelID", "9223372036854775808", []string{"channelID"}},
		{inboundPath, inbound, "ticketID", "-5", []string{"ticketID"}},
		{inboundPath, inbound, "ticketID", "5.0", []string{"ticketID"}},
		{inboundPath, inbound, "message", "", []string{"message"}},
		{inboundPath, inbound, "message", "a\x00b", []string{"message"}},
		{inboundPath, inbound, "title", strings.Repeat("t", 1001), []string{"title"}},
		{inboundPath, inbound, "fromAddress", strings.Repeat("a", 1001), []string{"fromAddress"}},
		{inboundPath, inbound, "toAddress", strings.Repeat("a", 1001), []string{"toAddress"}},
		{inboundPath, inbound, "userID", "me", []string{"userID"}},
		{inboundPath, inbound, "ticketId", "5", []string{"ticketId"}},
		{inboundPath, inbound, "messageID", "smörgås", []string{"messageID"}},
		{outboundPath, outbound, "type", "", []string{"type"}},
		{outboundPath, outbound, "type", "calllog", []string{"type"}},
		{outboundPath, outbound, "type", "contactform", []string{"type"}},
		{outboundPath, outbound, "type", "contactformX", []string{"type"}},
		{outboundPath, outbound, "type", "8", []string{"ticketID"}},
		{outboundPath, outbound, "type", "1002", []string{"type"}},
		{outboundPath, outbound, "type", "99999999999999999999", []string{"type"}},
		{outboundPath, outbound, "ticketID", "", []string{"ticketID", "toAddress"}},
		{outboundPath, outbound, "ticketID", "x", []string{"ticketID"}},
		{outboundPath, outbound, "message", "", []string{"message"}},
		{outboundPath, outbound, "sendAt", "2030-01-01 10:00:00", []string{"sendAt"}},
		{outboundPath, outbound, "sendAt", "tomorrow", []string{"sendAt"}},
		{outboundPath, outbound, "forwardedFileIDs", "1,2", []string{"forwardedFileIDs"}},
		{outboundPath, outbound, "forwardedFileIDs[]", "1", []string{"forwardedFileIDs"}},
		{outboundPath, outbound, "signature", strings.Repeat("s", 65536), []string{"signature"}},
		{hook, hooked, "message", "", []string{"message"}},
		{hook, hooked, "ticketID", "", []string{"ticketID", "toAddress"}},
		{hook, hooked, "ticketID", "T-5", []string{"ticketID"}},
	}
	for i, test := range tests {
		fields := maps.Clone(test.good)
		fields[test.field] = test.value
		if test.value == "" {
			delete(fields, test.field)
		}
		var pairs []string
		for name, value := range fields {
			pairs = append(pairs, name, value)
		}
		for encoding := range encodings {
			a := w.send("POST", test.path, w.admin, encoding, pairs...)
			require.Equal(t, 400, a.status, "%d %s %s", i, encoding, a.text)
			require.Equal(t, "invalid_field", a.body["code"], "%d %s", i, encoding)
			require.ElementsMatch(t, test.names, a.fields(), "%d %s", i, encoding)
			if test.value != "" {
				continue
			}
			// An empty value is the same as none.
			a = w.send("POST", test.path, w.admin, encoding, append(pairs, test.field, "")...)
			require.Equal(t, 400, a.status, "%d %s %s", i, encoding, a.text)
			require.ElementsMatch(t, test.names, a.fields(), "%d %s", i, encoding)
		}
	}
	w.nothingStored()
}

func TestBadBodiesStoreNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *api.Options) { o.BodyLimit = 4096 })
	w.channel(0, nil)
	form := "application/x-www-form-urlencoded"
	tests := map[string]struct {
		contentType, body string
		headers           []string
		status            int
		code              string
	}{
		"too large":           {form, "channelID=1001&message=" + strings.Repeat("m", 4096), nil, 413, "body_too_large"},
		"wrong content type":  {"text/plain", "channelID=1001&message=ok", nil, 415, "unsupported_media_type"},
		"no content type":     {"", "channelID=1001&message=ok", nil, 415, "unsupported_media_type"},
		"compressed":          {form, "channelID=1001&message=ok", []string{"Content-Encoding", "gzip"}, 415, "unsupported_media_type"},
		"broken multipart":    {"multipart/form-data; boundary=x", "--x\r\nContent-Disp", nil, 400, "malformed_request"},
		"broken JSON":         {"application/json", `{"message":"ok",`, nil, 400, "malformed_request"},
		"invalid UTF-8":       {form, "channelID=1001&message=%ff", nil, 400, "invalid_field"},
		"NUL":                 {form, "channelID=1001&message=%00", nil, 400, "invalid_field"},
		"duplicate":           {form, "channelID=1001&message=a&message=b", nil, 400, "invalid_field"},
		"nested message":      {"application/json", `{"channelID":1001,"message":{"text":"a"}}`, nil, 400, "invalid_field"},
		"empty":               {form, "", nil, 400, "invalid_field"},
		"file":                {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"message\"; filename=\"a\"\r\n\r\nok\r\n--x--\r\n", nil, 400, "invalid_field"},
		"empty key":           {form, "channelID=1001&message=ok", []string{"Idempotency-Key", ""}, 400, "invalid_field"},
		"long key":            {form, "channelID=1001&message=ok", []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, "invalid_field"},
		"unprintable key":     {form, "channelID=1001&message=ok", []string{"Idempotency-Key", "a\tb"}, 400, "invalid_field"},
		"key of other script": {form, "channelID=1001&message=ok", []string{"Idempotency-Key", "ключ"}, 400, "invalid_field"},
	}
	for name, test := range tests {
		a := w.raw("POST", inboundPath, w.admin, test.contentType, strings.NewReader(test.body), test.headers...)
		require.Equal(t, test.status, a.status, "%s: %s", name, a.text)
		require.Equal(t, test.code, a.body["code"], name)
	}
	// Without a Content-Length the limit is found while reading.
	a := w.raw("POST", inboundPath, w.admin, form, &endless{})
	require.Equal(t, 413, a.status)

	var many strings.Builder
	for i := range 10_000 {
		many.WriteString("f" + strconv.Itoa(i) + "=&")
	}
	large := newWorld(t)
	a = large.raw("POST", inboundPath, large.admin, form, strings.NewReader(many.String()+"ticketID=1&message=ok"))
	require.Equal(t, 400, a.status)
	require.Equal(t, "too_many_fields", a.body["code"])
	w.nothingStored()
	large.nothingStored()
}

// endless never ends and has no known length.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'm'
	}
	return len(p), nil
}

func TestTheHelpdeskMaySendMoreThanItDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.send("POST", inboundPath, w.admin, "json", "ticketID", "5", "message", "ok", "brandID", "3", "extra[deep]", "x")
	require.Equal(t, 200, a.status, a.text)
}

func TestTheSameIdempotencyKeyIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(0, nil)
	other := w.channel(0, nil)
	form := "application/x-www-form-urlencoded"
	send := func(path, body string, headers ...string) answer {
		a := w.raw("POST", path, w.admin, form, strings.NewReader(body), headers...)
		require.Equal(t, 200, a.status, a.text)
		return a
	}
	header := []string{"Idempotency-Key", "order 7/a"}
	first := send(inboundPath, "channelID=1001&message=one", header...)
	again := send(inboundPath, "channelID=1001&message=one", header...)
	require.Equal(t, first.body["messageID"], again.body["messageID"])
	require.Equal(t, true, again.body["duplicate"])
	require.NotContains(t, first.body, "duplicate")
	field := send(inboundPath, "channelID=1001&message=one&messageID=order+7/a")
	require.Equal(t, first.body["messageID"], field.body["messageID"], "the field is the same key")

	different := []answer{
		send(inboundPath, "channelID=1002&message=one", header...),
		send(inboundPath, "ticketID=1001&message=one", header...),
		send(outboundPath, "type=1001&ticketID=1&message=one", header...),
		send(inboundPath, "channelID=1001&message=one", "Idempotency-Key", "order 8"),
		send(inboundPath, "channelID=1001&message=one"),
	}
	ids := []any{first.body["messageID"]}
	for i, a := range different {
		require.NotContains(t, a.body, "duplicate", "%d", i)
		require.NotContains(t, ids, a.body["messageID"], "%d", i)
		ids = append(ids, a.body["messageID"])
	}
	hook := "/hooks/channel/1002/" + other.HookToken.Reveal()
	one := send(hook, "ticketID=1&message=one", "webhook-id", "evt_1")
	two := send(hook, "ticketID=1&message=one", "webhook-id", "evt_1")
	require.Equal(t, one.body["messageID"], two.body["messageID"], "webhook-id is a key too")
	require.Equal(t, true, two.body["duplicate"])
}

func TestALimitedKeyHandsInForItsChannelsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.channel(0, nil)
	w.channel(0, nil)
	key := w.key([]int64{1002}, auth.MessageCreate)
	for _, refused := range [][]string{
		{inboundPath, "channelID", "1001"},
		{inboundPath, "channelID", "77"},
		{inboundPath, "ticketID", "5"},
		{outboundPath, "type", "1001", "ticketID", "5"},
	} {
		a := w.send("POST", refused[0], key, "json", append(refused[1:], "message", "ok")...)
		require.Equal(t, 403, a.status, refused)
		require.Equal(t, "channel_forbidden", a.body["code"])
	}
	w.nothingStored()
	require.Equal(t, 200, w.send("POST", inboundPath, key, "json", "channelID", "1002", "ticketID", "5", "message", "ok").status)
	require.Equal(t, 200, w.send("POST", outboundPath, key, "json", "type", "1002", "ticketID", "5", "message", "ok").status)
}

func TestTheHookIsOpenToItsTokenOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.channel(0, nil)
	token := c.HookToken.Reveal()
	hook := func(id, token string) answer {
		return w.send("POST", "/hooks/channel/"+id+"/"+token, w.admin, "json", "ticketID", "5", "message", "ok")
	}
	absent := hook("1002", token)
	require.Equal(t, 404, absent.status)
	for _, wrong := range []string{"x", token[1:], token + "x", strings.ToUpper(token)} {
		a := hook("1001", wrong)
		require.Equal(t, 404, a.status)
		require.Equal(t, absent.body, a.body, "a wrong token tells nothing about the channel")
	}
	require.Equal(t, 400, hook("abc", token).status)
	w.nothingStored()
	require.Equal(t, 200, hook("1001", token).status)

	a := w.get("OPTIONS", "/hooks/channel/1001/whatever", "")
	require.Equal(t, 204, a.status)
	allowed := strings.Split(strings.ReplaceAll(a.header.Get("Allow"), " ", ""), ",")
	slices.Sort(allowed)
	require.Equal(t, []string{"OPTIONS", "POST"}, allowed)
}

func TestTheHookTakesFieldsFromTheQueryToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.channel(0, nil)
	path := "/hooks/channel/1001/" + c.HookToken.Reveal()
	a := w.raw("POST", path+"?ticket_id=5", "", "application/json", strings.NewReader(`{"data":{"text":"hello","to":{"address":"ann"}}}`))
	require.Equal(t, 200, a.status, a.text)
	e := w.stored(1)
	require.Equal(t, []any{int64(5), "hello", "ann"}, []any{e.TicketID, e.Text, e.ToAddress})
	a = w.raw("POST", path+"?message=a", "", "application/json", strings.NewReader(`{"message":"b"}`))
	require.Equal(t, []string{"message"}, a.fields())
}

func TestASignedHookMustVerify(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	w := newWorld(t, func(o *api.Options) { o.Now = func() time.Time { return now } })
	secret := signer.NewSecret()
	c := w.channel(0, func(p *endpoints.Patch) { p.Secret = &secret })
	unsigned := w.channel(0, nil)
	body := `{"ticketID":5,"message":"hello"}`
	send := func(c endpoints.Channel, id string, at time.Time, signed string, by signer.Secret) answer {
		h := http.Header{}
		if id != "" {
			signer.SetHeaders(h, id, at, []byte(signed), by)
		}
		var headers []string
		for name := range h {
			headers = append(headers, name, h.Get(name))
		}
		return w.raw("POST", "/hooks/channel/"+strconv.FormatInt(c.ID, 10)+"/"+c.HookToken.Reveal(), "", "application/json", strings.NewReader(body), headers...)
	}
	for name, a := range map[string]answer{
		"another body":   send(c, "evt_1", now, body+" ", secret),
		"another secret": send(c, "evt_1", now, body, signer.NewSecret()),
		"too old":        send(c, "evt_1", now.Add(-time.Hour), body, secret),
	} {
		require.Equal(t, 401, a.status, name)
		require.Equal(t, "signature_invalid", a.body["code"], name)
	}
	w.nothingStored()
	require.Equal(t, 200, send(c, "evt_1", now, body, secret).status)
	require.Equal(t, 200, send(c, "", now, body, secret).status, "without a signature the token is enough")
	require.Equal(t, 200, send(unsigned, "evt_2", now, body, signer.NewSecret()).status, "without a secret there is nothing to verify with")
}

func TestAStoreThatIsAwayIsA503(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.conn.NATS().Close()
	a := w.send("POST", inboundPath, w.admin, "json", "ticketID", "5", "message", "ok")
	require.Equal(t, 503, a.status, a.text)
	require.Equal(t, "store_unavailable", a.body["code"])
	require.Equal(t, "2", a.header.Get("Retry-After"))
	require.Contains(t, w.log.String(), `"level":"warn"`)
	a = w.get("GET", "/api/v2/channel", "a key that is not in memory")
	require.Equal(t, 503, a.status, "who knows whether the key is good: %s", a.text)
}

func TestAFullStoreIsA503(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queue.SetRoom(0)
	a := w.send("POST", inboundPath, w.admin, "json", "ticketID", "5", "message", "ok")
	require.Equal(t, 503, a.status)
	require.Equal(t, "store_full", a.body["code"])
	require.Equal(t, "30", a.header.Get("Retry-After"))
	w.queue.SetRoom(1 << 30)
	require.Equal(t, 200, w.send("POST", inboundPath, w.admin, "json", "ticketID", "5", "message", "ok").status)
}

// TestTheAnswerHoldsEveryField fails for a field that is new and not written.
func TestTheAnswerHoldsEveryField(t *testing.T) {
	t.Parallel()
	for _, a := range []client.Accepted{
		{},
		{Type: "result", Message: "<Message> accepted.", MessageID: relay.NewID()},
		{Type: "result", Message: "Message scheduled.", MessageID: relay.NewID(), TicketID: -1, SendAt: time.Now().UTC(), Duplicate: true},
	} {
		got, err := api.EncodeAccepted(a)
		require.NoError(t, err)
		want, err := json.Marshal(a)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got))
	}
	require.Equal(t, 6, reflect.TypeFor[client.Accepted]().NumField())
}
