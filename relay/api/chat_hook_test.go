package api_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/helpdesk"
)

func TestHookpointsInEachEncoding(t *testing.T) {
	t.Parallel()
	for encoding := range encodings {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.account(nil)
			w.begun(a)
			require.Equal(t, 1, w.sessions.Waiting(a.ID))
			hook := "/hooks/chat/" + a.HookToken.Reveal() + "/"
			position := relay.Position(1)
			next := func() relay.Message {
				position++
				m := w.stored(position).Message
				require.Equal(t, relay.Outbound, m.Direction)
				require.Equal(t, relay.ChatDestination(chatServer), m.Destination)
				require.Equal(t, "session:"+sessionID, m.Conversation)
				require.Equal(t, chatServer, m.Fields["chatServer"])
				require.Equal(t, sessionID, m.Fields["chatSessionID"])
				require.Equal(t, a.Token, m.Fields["chatAccountToken"])
				return m
			}
			ok := func(answer answer) {
				require.Equal(t, 200, answer.status, answer.text)
				require.Equal(t, "ok", answer.text)
				require.True(t, strings.HasPrefix(answer.header.Get("Content-Type"), "text/plain"))
			}

			ok(w.send("POST", hook+"typingIndicatorForCustomer", "", encoding, "chatSessionID", sessionID))
			m := next()
			require.Equal(t, "chat.typing", m.Type)
			require.Equal(t, relay.KindEvent, m.Kind)
			require.Equal(t, "startedtyping", m.Fields["event"])
			require.Equal(t, 1, w.sessions.Waiting(a.ID), "typing is no answer")
			ok(w.send("POST", hook+"typingIndicatorForCustomer", "", encoding, "session_id", sessionID, "isTyping", "false"))
			require.Equal(t, "stoppedtyping", next().Fields["event"])

			ok(w.send("POST", hook+"messageForCustomer", "", encoding, "chatSessionID", sessionID, "message", "Hi!", "ticketID", "12312", "userID", "254", "agentName", "Eva"))
			m = next()
			require.Equal(t, "chat.reply", m.Type)
			require.Equal(t, relay.KindMessage, m.Kind)
			require.Equal(t, "Hi!", m.Text)
			require.Equal(t, int64(12312), m.TicketID)
			require.Equal(t, int64(254), m.UserID)
			require.Equal(t, "Eva", m.Fields["userName"])
			require.Equal(t, 0, w.sessions.Waiting(a.ID))
			session, err := w.sessions.ByTicket(t.Context(), 12312)
			require.NoError(t, err, "the ticket is learnt from the hook too")
			require.Equal(t, sessionID, session.ID)

			// Another spelling, a slash too many, a field in the query.
			ok(w.send("POST", hook+"/messageForCustomer?sessionId="+sessionID, "", encoding, "Text", "Again"))
			require.Equal(t, "Again", next().Text)

			ok(w.send("POST", hook+"uploadForCustomer", "", encoding, "chatSessionID", sessionID, "fileUrl", "https://account.omnidesk.com/f/1"))
			m = next()
			require.Equal(t, "chat.upload", m.Type)
			require.Empty(t, m.Attachments)
			require.Equal(t, "https://account.omnidesk.com/f/1", m.Fields["url"])
			body, err := helpdesk.HookpointBody(&m, nil)
			require.NoError(t, err)
			require.Contains(t, string(body.Bytes), "url=https")

			ok(w.send("POST", hook+"agentJoined", "", encoding, "chatSessionID", sessionID, "agentSecret", "x y z"))
			require.Contains(t, w.log.String(), `"hookpoint":"agentJoined"`)
			require.Contains(t, w.log.String(), `"fields":["agentSecret","chatSessionID"]`)
			require.NotContains(t, w.log.String(), "x y z")
			_, err = w.queue.Load(t.Context(), 0, position+1)
			require.Error(t, err)
		})
	}
}

func TestAFileFromAnAgentThroughTheHook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	w.begun(a)
	contentType, body := fileBody(t, "attachment", "../../etc/offer.pdf", "application/pdf", "content", "chatSessionID", sessionID)
	answer := w.raw("POST", "/hooks/chat/"+a.HookToken.Reveal()+"/uploadForCustomer", "", contentType, body, "webhook-id", "m-1")
	require.Equal(t, 200, answer.status, answer.text)
	m := w.stored(2).Message
	require.Equal(t, relay.KindAttachment, m.Kind)
	require.Equal(t, "offer.pdf", m.Attachments[0].Name)
	require.Equal(t, "content", w.content(m.Attachments[0].File))
	before := w.storedFiles()

	contentType, body = fileBody(t, "attachment", "offer.pdf", "application/pdf", "content", "chatSessionID", sessionID)
	answer = w.raw("POST", "/hooks/chat/"+a.HookToken.Reveal()+"/uploadForCustomer", "", contentType, body, "webhook-id", "m-1")
	require.Equal(t, 200, answer.status)
	require.Equal(t, before, w.storedFiles(), "a repeat keeps no second file")
	_, err := w.queue.Load(t.Context(), 0, 3)
	require.Error(t, err)
}

func TestBadHookpointCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	w.begun(a)
	hook := "/hooks/chat/" + a.HookToken.Reveal() + "/"
	for name, test := range map[string]struct {
		answer answer
		status int
	}{
		"no session":      {w.send("POST", hook+"messageForCustomer", "", "json", "message", "x"), 400},
		"no message":      {w.send("POST", hook+"messageForCustomer", "", "json", "chatSessionID", sessionID), 400},
		"no file":         {w.send("POST", hook+"uploadForCustomer", "", "json", "chatSessionID", sessionID), 400},
		"unknown session": {w.send("POST", hook+"messageForCustomer", "", "json", "chatSessionID", "another-session", "message", "x"), 404},
		"strange session": {w.send("POST", hook+"messageForCustomer", "", "json", "chatSessionID", "a.>*", "message", "x"), 404},
		"text":            {w.raw("POST", hook+"messageForCustomer", "", "text/plain", strings.NewReader("x")), 415},
		"get":             {w.get("GET", hook+"messageForCustomer", ""), 405},
	} {
		require.Equal(t, test.status, test.answer.status, "%s: %s", name, test.answer.text)
	}
	options := w.get("OPTIONS", hook+"messageForCustomer", "")
	require.Equal(t, 204, options.status)
	require.Contains(t, options.header.Get("Allow"), "POST")
	require.NotContains(t, w.log.String(), a.HookToken.Reveal())
}

func TestRepliesOfAgentsByTheMessageCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account(nil)
	w.begun(a)
	require.NoError(t, w.sessions.Learn(t.Context(), sessionID, 12312))
	answer := w.send("POST", outboundPath, w.admin, "multipart", "type", "8", "ticketID", "12312", "message", "ok", "userID", "7")
	require.Equal(t, 200, answer.status, answer.text)
	require.EqualValues(t, 12312, answer.body["ticketID"])
	m := w.stored(2).Message
	require.Equal(t, "chat.reply", m.Type)
	require.Equal(t, "ok", m.Text)
	require.Equal(t, int64(7), m.UserID)
	require.Equal(t, 0, w.sessions.Waiting(a.ID))
	for _, fields := range [][]string{{}, {"ticketID", "99"}, {"chatSessionID", "another-session"}} {
		answer = w.send("POST", outboundPath, w.admin, "json", append(fields, "type", "8", "message", "ok")...)
		require.Equal(t, 400, answer.status, answer.text)
	}

	contentType, body := fileBody(t, "attachments[]", "a.txt", "text/plain", "content", "type", "8", "chatSessionID", sessionID, "message", "see the file", "messageID", "m-1")
	answer = w.raw("POST", outboundPath, w.admin, contentType, body)
	require.Equal(t, 200, answer.status, answer.text)
	require.Equal(t, "see the file", w.stored(3).Text)
	require.Empty(t, w.stored(3).Attachments)
	upload := w.stored(4).Message
	require.Equal(t, "chat.upload", upload.Type)
	require.Equal(t, "content", w.content(upload.Attachments[0].File))
	before := w.storedFiles()
	contentType, body = fileBody(t, "attachments[]", "a.txt", "text/plain", "content", "type", "8", "chatSessionID", sessionID, "message", "see the file", "messageID", "m-1")
	answer = w.raw("POST", outboundPath, w.admin, contentType, body)
	require.Equal(t, true, answer.body["duplicate"])
	require.Equal(t, before, w.storedFiles())
	_, err := w.queue.Load(t.Context(), 0, 5)
	require.Error(t, err)
}
