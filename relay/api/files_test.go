package api_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/api"
)

func TestFilesOfAnAgentsMessage(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, func(o *api.Options) { o.Now = func() time.Time { return now } })
	w.channel(0, nil)
	contentType, body := fileBody(t, "attachments[]", `C:\tmp\größe "1".html`, "text/html", "<script>alert(1)</script>", "type", "1001", "ticketID", "5", "message", "see the file")
	answer := w.raw("POST", outboundPath, w.admin, contentType, body)
	require.Equal(t, 200, answer.status, answer.text)
	m := w.stored(1)
	require.Equal(t, "message.outbound", m.Type)
	require.Len(t, m.Attachments, 1)
	file := m.Attachments[0]
	require.Equal(t, `größe "1".html`, file.Name)

	address, err := url.Parse(w.links.URL(file, m.AcceptedAt))
	require.NoError(t, err)
	got := w.get("GET", address.RequestURI(), "")
	require.Equal(t, 200, got.status, got.text)
	require.Equal(t, "<script>alert(1)</script>", got.text)
	require.Equal(t, "text/html", got.header.Get("Content-Type"))
	require.True(t, strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment; filename*=utf-8''"), got.header.Get("Content-Disposition"))
	require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
	require.Contains(t, got.header.Get("Content-Security-Policy"), "sandbox")
	require.Equal(t, "25", got.header.Get("Content-Length"))

	tampered := *address
	tampered.Path = "/files/file_00000000-0000-7000-8000-000000000000"
	require.Equal(t, "link_invalid", w.get("GET", tampered.RequestURI(), "").body["code"])
	require.Equal(t, 400, w.get("GET", address.Path, "").status)
	now = now.Add(8 * 24 * time.Hour)
	old := w.get("GET", address.RequestURI(), "")
	require.Equal(t, 410, old.status)
	require.Equal(t, "link_expired", old.body["code"])
	now = now.Add(-8 * 24 * time.Hour)
	require.NoError(t, w.files.Delete(t.Context(), file.File))
	require.Equal(t, 404, w.get("GET", address.RequestURI(), "").status)
	require.NotContains(t, w.log.String(), address.Query().Get("signature"))
}

func TestWhatAMessageMayBring(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *api.Options) { o.AttachmentLimit = 1000 })
	w.channel(0, nil)
	fields := []string{"type", "1001", "ticketID", "5", "message", "see the file"}
	send := func(field, content string, fields ...string) answer {
		contentType, body := fileBody(t, field, "a.txt", "text/plain", content, fields...)
		return w.raw("POST", outboundPath, w.admin, contentType, body)
	}
	require.Equal(t, 413, send("attachments[]", strings.Repeat("x", 1001), fields...).status)
	require.Equal(t, []string{"file"}, send("file", "x", fields...).fields())
	require.Equal(t, []string{"attachments"}, send("attachments[]", "", fields...).fields())
	require.Equal(t, []string{"type"}, send("attachments[]", "x", "type", "1002", "ticketID", "5", "message", "m").fields())
	require.Equal(t, []string{"message"}, send("attachments[]", "x", "type", "1001", "ticketID", "5").fields())
	a := w.send("POST", outboundPath, w.admin, "json", append(fields, "attachments", "YQ==")...)
	require.Equal(t, []string{"attachments"}, a.fields())
	var many strings.Builder
	for i := range 11 {
		fmt.Fprintf(&many, "--x\r\nContent-Disposition: form-data; name=\"attachments[%d]\"; filename=\"a\"\r\n\r\nx\r\n", i)
	}
	require.Equal(t, []string{"attachments"}, w.raw("POST", outboundPath, w.admin, "multipart/form-data; boundary=x", strings.NewReader(many.String()+"--x--\r\n")).fields())
	w.nothingStored()
	require.Zero(t, w.storedFiles())
}

func TestScheduledMessages(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Amsterdam")
	require.NoError(t, err)
	w := newWorld(t, func(o *api.Options) { o.SendAtZone = zone })
	w.channel(0, nil)
	at := time.Now().Add(24 * time.Hour).In(zone).Truncate(time.Second)
	fields := []string{"type", "1001", "ticketID", "5", "message", "later", "sendAt", at.Format(time.DateTime)}
	a := w.send("POST", outboundPath, w.admin, "urlencoded", append(fields, "messageID", "m-1")...)
	require.Equal(t, 200, a.status, a.text)
	require.Equal(t, "Message scheduled.", a.body["message"])
	again := w.send("POST", outboundPath, w.admin, "urlencoded", append(fields, "messageID", "m-1")...)
	require.Equal(t, true, again.body["duplicate"])
	require.Equal(t, a.body["messageID"], again.body["messageID"])
	w.nothingStored()

	c := w.client(w.admin)
	var waiting []relay.ID
	for s, err := range c.AllScheduled(t.Context(), clientScheduled(1)) {
		require.NoError(t, err)
		require.True(t, at.Equal(s.SendAt))
		waiting = append(waiting, s.Message.ID)
	}
	require.Equal(t, []relay.ID{relay.ID(a.body["messageID"].(string))}, waiting)
	require.NoError(t, c.CancelScheduled(t.Context(), waiting[0]))
	require.ErrorContains(t, c.CancelScheduled(t.Context(), waiting[0]), "no message")
	m, err := c.Message(t.Context(), waiting[0])
	require.NoError(t, err)
	require.Contains(t, m.LastAttempt.By, "test key")

	now := w.send("POST", outboundPath, w.admin, "json", "type", "1001", "ticketID", "5", "message", "now", "sendAt", "2020-01-01 00:00:00")
	require.Equal(t, 200, now.status)
	require.Equal(t, "now", w.stored(1).Text)
	for _, bad := range []string{"2026-13-01 00:00:00", "2026-02-30 10:00:00", "2999-01-01 00:00:00", "2026-11-22T10:00:00", "soon"} {
		a := w.send("POST", outboundPath, w.admin, "json", "type", "1001", "ticketID", "5", "message", "m", "sendAt", bad)
		require.Equal(t, []string{"sendAt"}, a.fields(), bad)
	}
}
