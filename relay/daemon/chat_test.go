package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/relay/client"
	"omnirelay/relay/config"
	"omnirelay/relay/daemon"
	"omnirelay/relay/sink"
	"omnirelay/signer"
)

const bootstrapKey = "a-bootstrap-key-of-the-test"

// startDaemon starts a whole relay and says where it answers.
func startDaemon(t *testing.T, change func(*config.Config)) (base string, c *client.Client) {
	t.Helper()
	o := config.Default()
	o.Listen, o.AdminListen, o.DataDir = "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	o.BootstrapKey = config.NewSecret(bootstrapKey)
	o.Egress.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if change != nil {
		change(&o)
	}
	d, err := daemon.New(t.Context(), daemon.Options{Config: o, Version: "test", Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Stop(context.Background())) })
	require.NoError(t, d.Start(t.Context()))
	base = "http://" + d.Addr().String()
	c, err = client.New(client.Options{BaseURL: base, Key: bootstrapKey})
	require.NoError(t, err)
	return base, c
}

// received is a call that a server got.
type received struct {
	path   string
	header http.Header
	body   []byte
	form   url.Values
}

// receiver is a server that hands over what it gets.
func receiver(t *testing.T, answer string) (address string, calls <-chan received) {
	t.Helper()
	got := make(chan received, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a request: %v", err)
		}
		form, _ := url.ParseQuery(string(body)) // those that are forms
		got <- received{r.URL.Path, r.Header, body, form}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

// TestAChatGoesRoundThroughARealHelpdesk has a customer write, the helpdesk make a ticket of
// it, and an agent's answers come back to the chat server in every way there is.
func TestAChatGoesRoundThroughARealHelpdesk(t *testing.T) {
	t.Parallel()
	desk := sink.NewDesk(sink.DeskOptions{APIKey: "desk-key"})
	deskServer := httptest.NewServer(desk)
	t.Cleanup(deskServer.Close)
	base, c := startDaemon(t, func(o *config.Config) {
		o.Helpdesk.Kind, o.Helpdesk.BaseURL, o.Helpdesk.APIKey = config.HelpdeskOmnidesk, deskServer.URL, config.NewSecret("desk-key")
	})
	chatServer, calls := receiver(t, "ok")
	secret := signer.NewSecret()
	account, err := c.CreateAccount(t.Context(), client.AccountFields{Name: new("Web shop"), Secret: new(secret.Reveal())})
	require.NoError(t, err)

	const session = "0193a3b0-session-1"
	sent, err := c.SendChat(t.Context(), client.ChatMessage{ChatServer: chatServer, SessionID: session, Token: account.Token, Message: "Hello"})
	require.NoError(t, err)
	require.Equal(t, "Message sent.", sent.Message)
	require.Eventually(t, func() bool {
		s, err := c.ChatSession(t.Context(), session)
		return err == nil && s.TicketID != 0
	}, 10*time.Second, 10*time.Millisecond, "the helpdesk's answer names the ticket")
	tickets := desk.Tickets()
	require.Len(t, tickets, 1)
	require.Equal(t, account.HookURL, tickets[0].Server, "replies are to come through the relay")
	again, err := c.SendChat(t.Context(), client.ChatMessage{ChatServer: chatServer, SessionID: session, Token: account.Token, Message: "Are you there?"})
	require.NoError(t, err)
	require.Equal(t, tickets[0].ID, again.TicketID)

	// The helpdesk itself calls the hook.
	status, err := desk.Reply(t.Context(), tickets[0].ID, "Hi!")
	require.NoError(t, err)
	require.Equal(t, 200, status)
	call := <-calls
	require.Equal(t, "/messageForCustomer", call.path)
	require.Equal(t, "Hi!", call.form.Get("message"))
	require.Equal(t, session, call.form.Get("chatSessionID"))
	require.NoError(t, signer.Verify(call.header, call.body, time.Now(), secret))

	// An agent's message by the API, found by its ticket.
	_, err = c.SendReply(t.Context(), client.ChatReply{TicketID: tickets[0].ID, Message: "ok"})
	require.NoError(t, err)
	require.Equal(t, "ok", (<-calls).form.Get("message"))

	// Files, in both directions.
	customer := url.Values{"chatServer": {chatServer}, "chatSessionID": {session}, "chatAccountToken": {account.Token}}
	postFile(t, base+"/api/v2/chat/addAttachment?"+customer.Encode(), "from the customer")
	require.Eventually(t, func() bool { return len(desk.Tickets()[0].Files) == 1 }, 10*time.Second, 10*time.Millisecond)
	file := desk.Tickets()[0].Files[0]
	require.Equal(t, "a.txt", file.Name)
	require.EqualValues(t, len("from the customer"), file.Size)
	postFile(t, account.HookURL+"/uploadForCustomer?chatSessionID="+session, "from the agent")
	call = <-calls
	require.Equal(t, "/uploadForCustomer", call.path)
	require.Contains(t, string(call.body), "from the agent")
	require.NoError(t, signer.Verify(call.header, call.body, time.Now(), secret))
}

func postFile(t *testing.T, address, content string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", "a.txt")
	require.NoError(t, err)
	_, err = io.WriteString(part, content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, &b)
	require.NoError(t, err)
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("apiKey", bootstrapKey)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode, string(text))
}

// TestFilesReachAnEndpointAsAddresses has an agent send a file on a custom channel, and the
// endpoint fetch it.
func TestFilesReachAnEndpointAsAddresses(t *testing.T) {
	t.Parallel()
	base, c := startDaemon(t, nil)
	endpoint, calls := receiver(t, "")
	channel, err := c.CreateChannel(t.Context(), client.ChannelFields{Name: new("Shop"), Endpoint: new(endpoint)})
	require.NoError(t, err)
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, value := range map[string]string{"type": "1001", "ticketID": "5", "message": "see the file"} {
		require.NoError(t, w.WriteField(name, value))
	}
	part, err := w.CreateFormFile("attachments[]", "offer.txt")
	require.NoError(t, err)
	_, err = io.WriteString(part, "ten per cent off")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.EqualValues(t, 1001, channel.ID)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/api/v2/message", &b)
	require.NoError(t, err)
	req.Header.Set("Content-Type", w.FormDataContentType())
	req.Header.Set("apiKey", bootstrapKey)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode)

	var message struct {
		Data struct {
			Attachments []struct {
				Name, URL string
				Size      int64
			}
		}
	}
	require.NoError(t, json.Unmarshal((<-calls).body, &message))
	require.Len(t, message.Data.Attachments, 1)
	require.Equal(t, "offer.txt", message.Data.Attachments[0].Name)
	req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, message.Data.Attachments[0].URL, nil)
	require.NoError(t, err)
	res, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "ten per cent off", string(text))
}

// TestAnAgentDeskOfOnesOwnGetsChatsAsJSON shows what a helpdesk of kind webhook needs to
// answer: where, and to whom.
func TestAnAgentDeskOfOnesOwnGetsChatsAsJSON(t *testing.T) {
	t.Parallel()
	address, calls := receiver(t, "")
	_, c := startDaemon(t, func(o *config.Config) {
		o.Helpdesk.Kind, o.Helpdesk.URL = config.HelpdeskWebhook, address
	})
	chatServer, replies := receiver(t, "ok")
	account, err := c.CreateAccount(t.Context(), client.AccountFields{Name: new("Web shop")})
	require.NoError(t, err)
	_, err = c.SendChat(t.Context(), client.ChatMessage{ChatServer: chatServer, SessionID: "session-0001", Token: account.Token, Message: "Hello", URL: "https://shop.example.com"})
	require.NoError(t, err)
	var message struct {
		Type string
		Data struct {
			Message, Conversation string
			Fields                map[string]string
		}
	}
	require.NoError(t, json.Unmarshal((<-calls).body, &message))
	require.Equal(t, "chat.message", message.Type)
	require.Equal(t, "Hello", message.Data.Message)
	require.Equal(t, "session:session-0001", message.Data.Conversation)
	require.Equal(t, map[string]string{
		"chatServer": account.HookURL, "chatSessionID": "session-0001", "chatAccountToken": account.Token, "url": "https://shop.example.com",
	}, message.Data.Fields)

	form := url.Values{"chatSessionID": {message.Data.Fields["chatSessionID"]}, "message": {"Hi!"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, message.Data.Fields["chatServer"]+"/messageForCustomer", bytes.NewBufferString(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "Hi!", (<-replies).form.Get("message"))
}
