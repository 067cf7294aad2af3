package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/endpoints"
	"omnirelay/queue"
	"omnirelay/queue/natsd"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
	"omnirelay/relay/chat"
	"omnirelay/relay/config"
	"omnirelay/relay/deliver"
	"omnirelay/relay/dispatch"
	"omnirelay/relay/download"
	"omnirelay/relay/helpdesk"
	"omnirelay/relay/sink"
	"omnirelay/relay/tickets"
	"omnirelay/signer"
)

func TestMain(m *testing.M) { natsdtest.Main(m) }

// outside is everything that the relay sends to: HTTP servers by host, reached through pipes,
// so that a bubble's clock can run.
type outside struct {
	mu    sync.Mutex
	hosts map[string]http.Handler
	down  atomic.Bool // nobody listens anywhere
	dials atomic.Int64
	stop  []func()
}

// transport dials the servers.
func (o *outside) transport() *http.Transport {
	return &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		o.dials.Add(1)
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		handler := o.hosts[host]
		if handler == nil || o.down.Load() {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		ours, theirs := net.Pipe()
		server := &http.Server{Handler: handler}
		listener := &onePipe{conn: theirs, closed: make(chan struct{})}
		go func() { _ = server.Serve(listener) }()
		o.stop = append(o.stop, func() { _ = server.Close() })
		return ours, nil
	}}
}

// onePipe is a listener with one connection.
type onePipe struct {
	conn   net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *onePipe) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *onePipe) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *onePipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// half is the relay's sending half, as New puts it together.
type half struct {
	t        *testing.T
	out      *outside
	conn     *natsd.Conn
	log      *queue.Log
	files    *queue.Files
	channels *endpoints.Registry
	accounts *chat.Accounts
	sessions *chat.Sessions
	tickets  *tickets.Tickets
	close    func()
}

func newHalf(t *testing.T, change func(*config.Config)) *half {
	t.Helper()
	ctx := context.Background()
	c := config.Default()
	if change != nil {
		change(&c)
	}
	h := &half{t: t, out: &outside{hosts: map[string]http.Handler{}}, conn: natsdtest.OpenDir(t, t.TempDir())}
	js := h.conn.JetStream()
	var err error
	h.log, err = queue.Open(ctx, js, queue.Options{Log: zerolog.Nop()})
	require.NoError(t, err)
	h.files, err = h.log.OpenFiles(ctx)
	require.NoError(t, err)
	holds, err := h.log.OpenHolds(ctx)
	require.NoError(t, err)
	replays, err := h.log.OpenReplays(ctx)
	require.NoError(t, err)
	h.channels, err = endpoints.Open(ctx, js, endpoints.Options{Log: zerolog.Nop()})
	require.NoError(t, err)
	h.accounts, err = chat.OpenAccounts(ctx, js, chat.AccountOptions{Log: zerolog.Nop()})
	require.NoError(t, err)
	h.sessions, err = chat.OpenSessions(ctx, js, chat.SessionOptions{Log: zerolog.Nop()})
	require.NoError(t, err)
	links, err := download.Open(ctx, js, download.Options{BaseURL: "https://relay.example.com"})
	require.NoError(t, err)
	h.tickets, err = tickets.Open(ctx, js, tickets.Options{TTL: time.Duration(c.Helpdesk.TicketTTL)})
	require.NoError(t, err)
	targets, err := newDestinations(c, h.channels, liveChat{accounts: h.accounts, sessions: h.sessions, files: h.files, links: links})
	require.NoError(t, err)
	transport := h.out.transport()
	d := dispatch.New(dispatch.Options{
		Log: h.log,
		Sender: &learning{
			Sender:   deliver.New(deliver.Options{Transport: transport, Resolver: targets}),
			sessions: h.sessions, tickets: h.tickets, log: zerolog.Nop(),
		},
		Catalog: targets, Holds: holds, Replays: replays, Logger: zerolog.Nop(),
		Observer: &statusTeller{channels: h.channels, log: h.log, window: time.Hour},
	}, time.Second)
	for shard := range h.log.Shards() {
		require.NoError(t, d.Acquire(ctx, shard))
	}
	h.close = sync.OnceFunc(func() {
		require.NoError(t, d.Close())
		transport.CloseIdleConnections()
		for _, stop := range h.out.stop {
			stop()
		}
		h.sessions.Close()
		h.accounts.Close()
		h.channels.Close()
		replays.Close()
		holds.Close()
		h.log.Close()
		require.NoError(t, h.conn.Close())
	})
	t.Cleanup(h.close) // inside the bubble, so that a failed test can end it
	return h
}

// omnideskAt is the configuration of a helpdesk at desk.example.com.
func omnideskAt(c *config.Config) {
	c.Helpdesk.Kind, c.Helpdesk.BaseURL, c.Helpdesk.APIKey = config.HelpdeskOmnidesk, "http://desk.example.com", config.NewSecret("key")
}

func (h *half) desk() *sink.Desk {
	d := sink.NewDesk(sink.DeskOptions{APIKey: "key"})
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.hosts["desk.example.com"] = d
	return d
}

func (h *half) append(m relay.Message) relay.ID {
	h.t.Helper()
	r, err := h.log.Append(context.Background(), &m, "")
	require.NoError(h.t, err)
	return r.ID
}

// waitFor lets time pass and what it causes happen.
func (h *half) waitFor(d time.Duration) {
	time.Sleep(d) // of the bubble
	synctest.Wait()
}

// status looks a message up. Not by Log.Find, which goes by the time in the id: that never
// goes back, over all the bubbles of the process, each of which has a clock of its own.
func (h *half) status(id relay.ID) queue.Status {
	h.t.Helper()
	page, err := h.log.List(context.Background(), queue.Filter{Limit: 1000})
	require.NoError(h.t, err)
	for _, s := range page.Items {
		if s.Entry.ID == id {
			return s
		}
	}
	require.Fail(h.t, "the message is not in the log")
	return queue.Status{}
}

const (
	chatServer = "http://chat.example.com/c"
	chatToken  = "abcDEF0123456789"
)

func customer(address, text string) relay.Message {
	return relay.Message{
		Type: helpdesk.TypeInbound, Direction: relay.Inbound, Kind: relay.KindMessage, Destination: relay.Helpdesk,
		Conversation: "address:" + address, ChannelID: 1001, FromAddress: address, Text: text,
	}
}

func visitor(kind, session string, fields map[string]string) relay.Message {
	m := relay.Message{
		Type: kind, Direction: relay.Inbound, Kind: relay.KindMessage, Destination: relay.Helpdesk,
		Conversation: "session:" + session, ChannelID: helpdesk.LiveChat,
		Fields: map[string]string{
			"chatServer": chatServer, "chatSessionID": session, "chatAccountToken": chatToken,
			helpdesk.FieldRelayServer: "https://relay.example.com/hooks/chat/abc",
		},
	}
	maps.Copy(m.Fields, fields)
	return m
}

func TestATicketIsLearntAndShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, omnideskAt)
		h.desk()
		const id = "session-number-1"
		_, err := h.sessions.Begin(t.Context(), chat.Account{ID: "a"}, id, chatServer, 8)
		require.NoError(t, err)
		m := visitor(helpdesk.TypeChatMessage, id, nil)
		m.Text = "Hi"
		sent := h.append(m)
		h.waitFor(time.Second)
		s := h.status(sent)
		require.Equal(t, queue.StateDelivered, s.State)
		require.EqualValues(t, 12312, s.Attempts[0].TicketID)
		session, err := h.sessions.ByTicket(t.Context(), 12312)
		require.NoError(t, err)
		require.Equal(t, id, session.ID)
		h.close()
	})
}

func TestARefusalIn200IsNoSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, omnideskAt)
		h.out.hosts["desk.example.com"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":"error","message":"This ticket does not exist."}`)
		})
		id := h.append(customer("ann", "Hi"))
		h.waitFor(time.Hour)
		s := h.status(id)
		require.Equal(t, queue.StateDead, s.State)
		last := s.Attempts[len(s.Attempts)-1]
		require.Equal(t, relay.ReasonBadAnswer, last.Reason)
		require.Contains(t, last.Error, "This ticket does not exist.")
		h.close()
	})
}

func TestATimeoutAtTheHelpdeskIsAmbiguous(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]struct {
		state    queue.State
		messages []string
	}{
		config.OnTimeoutRetry: {queue.StateDelivered, []string{"Hi", "Hi"}},
		config.OnTimeoutDead:  {queue.StateDead, []string{"Hi"}},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHalf(t, func(c *config.Config) {
					omnideskAt(c)
					c.Helpdesk.OnTimeout = policy
				})
				desk := h.desk()
				desk.Misbehave(sink.Fault{Action: sink.CloseAfter, First: 1})
				id := h.append(customer("ann", "Hi"))
				h.waitFor(time.Hour)
				s := h.status(id)
				require.Equal(t, want.state, s.State)
				require.Equal(t, relay.ReasonAmbiguous, s.Attempts[0].Reason)
				require.Equal(t, want.messages, desk.Tickets()[0].Messages)
				h.close()
			})
		})
	}
}

// hookpoints is a chat server.
type hookpoints struct {
	t       *testing.T
	secrets []signer.Secret
	mu      sync.Mutex
	got     []string
}

func (p *hookpoints) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && len(p.secrets) > 0 {
		err = signer.Verify(r.Header, body, time.Now(), p.secrets...)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	text := string(body)
	if form, err := url.ParseQuery(text); err == nil && r.Header.Get("Content-Type") == "application/x-www-form-urlencoded" {
		text = form.Get("message") + form.Get("event")
	}
	p.got = append(p.got, r.URL.Path+" "+text)
	_, _ = io.WriteString(w, "ok")
}

func agent(kind, session string, fields map[string]string) relay.Message {
	m := visitor(kind, session, fields)
	m.Direction, m.Destination = relay.Outbound, relay.ChatDestination(chatServer)
	return m
}

func TestAgentsReachTheChatServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, nil)
		secret, err := signer.ParseSecret("a shared secret")
		require.NoError(t, err)
		account, err := h.accounts.Create(t.Context(), chat.Patch{Name: new("Shop"), Token: new(chatToken), Secret: &secret})
		require.NoError(t, err)
		server := &hookpoints{t: t, secrets: []signer.Secret{secret}}
		h.out.hosts["chat.example.com"] = server
		file, err := h.files.Put(t.Context(), "a.txt", "text/plain", io.LimitReader(zeros{}, 300_000), 1<<20)
		require.NoError(t, err)

		reply := agent(helpdesk.TypeChatReply, "session-number-1", map[string]string{"message": "Hello"})
		h.append(reply)
		h.waitFor(time.Second)
		h.append(agent(helpdesk.TypeChatTyping, "session-number-1", map[string]string{"event": "startedtyping"}))
		h.waitFor(time.Second)
		upload := agent(helpdesk.TypeChatUpload, "session-number-1", nil)
		upload.Kind, upload.Attachments = relay.KindAttachment, []relay.Attachment{file}
		id := h.append(upload)
		h.waitFor(time.Second)
		require.Equal(t, queue.StateDelivered, h.status(id).State)
		require.Len(t, server.got, 3)
		require.Equal(t, []string{"/c/messageForCustomer Hello", "/c/typingIndicatorForCustomer startedtyping"}, server.got[:2])
		require.Contains(t, server.got[2], "/c/uploadForCustomer --omnirelay-")
		require.Greater(t, len(server.got[2]), 300_000)

		require.NoError(t, h.accounts.Delete(t.Context(), account.ID))
		id = h.append(reply)
		h.waitFor(time.Second)
		s := h.status(id)
		require.Equal(t, queue.StateDead, s.State)
		require.Equal(t, relay.ReasonDiscarded, s.Attempts[0].Reason)
		h.close()
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestChannelsAreToldWhatBecameOfMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, nil)
		secret, err := signer.ParseSecret("a shared secret")
		require.NoError(t, err)
		app := sink.New(sink.Options{Secrets: []signer.Secret{secret}, Faults: []sink.Fault{{Action: sink.Answer, Status: 500, First: 2}}})
		told := &notes{secret: secret}
		h.out.hosts["app.example.com"], h.out.hosts["status.example.com"] = app, told
		_, err = h.channels.Create(t.Context(), 1001, endpoints.Patch{
			Name: new("App"), Endpoint: new("http://app.example.com/hook"), StatusCallback: new("http://status.example.com/news"), Secret: &secret,
		})
		require.NoError(t, err)
		m := relay.Message{
			Type: "message.outbound", Direction: relay.Outbound, Kind: relay.KindMessage, Destination: relay.ChannelDestination(1001),
			ChannelID: 1001, Conversation: "ticket:7", TicketID: 7, Text: "Hi",
		}
		r, err := h.log.Append(t.Context(), &m, "")
		require.NoError(t, err)
		queued, key := relay.QueuedStatus(&m, r.Position) // as the API does
		_, err = h.log.Append(t.Context(), &queued, key)
		require.NoError(t, err)
		h.waitFor(time.Hour)

		var states []string
		for i, n := range told.list() {
			require.Equal(t, "message.status", n.Type)
			d := n.Data
			require.Equal(t, string(r.ID), d.MessageID)
			require.EqualValues(t, 1001, d.ChannelID)
			require.EqualValues(t, 7, d.TicketID)
			require.Equal(t, "ticket:7", d.Conversation)
			require.Equal(t, relay.Outbound, d.Direction)
			require.Equal(t, i, d.Attempt)
			require.Equal(t, d.State == relay.StateRetrying, d.NextAt != "")
			states = append(states, fmt.Sprint(d.State, " ", d.Reason, " ", d.Status))
		}
		require.Equal(t, []string{"queued  0", "retrying status_5xx 500", "retrying status_5xx 500", "delivered ok 200"}, states)

		// Nobody is told of a status message, and nobody any more when the address goes.
		_, err = h.channels.Update(t.Context(), 1001, endpoints.Patch{StatusCallback: new("")})
		require.NoError(t, err)
		h.append(m)
		h.waitFor(time.Hour)
		require.Len(t, told.list(), 4)
		h.close()
	})
}

// notes is the receiver of a status callback.
type notes struct {
	secret signer.Secret
	mu     sync.Mutex
	got    []statusBody
}

func (n *notes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = signer.Verify(r.Header, body, time.Now(), n.secret)
	}
	var b statusBody
	if err == nil {
		err = json.Unmarshal(body, &b)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.got = append(n.got, b)
}

func (n *notes) list() []statusBody {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]statusBody(nil), n.got...)
}
