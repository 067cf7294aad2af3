package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/endpoints"
	"omnirelay/queue"
	"omnirelay/queue/natsd"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay/api"
	"omnirelay/relay/auth"
	"omnirelay/relay/chat"
	"omnirelay/relay/client"
	"omnirelay/relay/download"
	"omnirelay/relay/tickets"
)

// world is the whole API on a real JetStream.
type world struct {
	t        testing.TB
	conn     *natsd.Conn
	channels *endpoints.Registry
	keys     *auth.Registry
	queue    *queue.Log
	files    *queue.Files
	accounts *chat.Accounts
	sessions *chat.Sessions
	links    *download.Links
	tickets  *tickets.Tickets
	holds    *queue.Holds
	replays  *queue.Replays
	api      *api.API
	log      *logBuffer
	admin    string // a key with every permission
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t testing.TB, options ...func(*api.Options)) *world {
	t.Helper()
	conn := natsdtest.Open(t)
	js := conn.JetStream()
	ctx := context.Background()
	w := &world{t: t, conn: conn, log: &logBuffer{}}
	var err error
	w.channels, err = endpoints.Open(ctx, js, endpoints.Options{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(w.channels.Close)
	w.keys, err = auth.Open(ctx, js, auth.Options{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(w.keys.Close)
	w.queue, err = queue.Open(ctx, js, queue.Options{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(w.queue.Close)
	w.holds, err = w.queue.OpenHolds(ctx)
	require.NoError(t, err)
	t.Cleanup(w.holds.Close)
	w.replays, err = w.queue.OpenReplays(ctx)
	require.NoError(t, err)
	t.Cleanup(w.replays.Close)
	files, err := w.queue.OpenFiles(ctx)
	require.NoError(t, err)
	schedule, err := w.queue.OpenSchedule(ctx)
	require.NoError(t, err)
	t.Cleanup(schedule.Close)
	w.accounts, err = chat.OpenAccounts(ctx, js, chat.AccountOptions{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(w.accounts.Close)
	w.sessions, err = chat.OpenSessions(ctx, js, chat.SessionOptions{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(w.sessions.Close)
	w.links, err = download.Open(ctx, js, download.Options{BaseURL: "https://relay.example.org"})
	require.NoError(t, err)
	w.tickets, err = tickets.Open(ctx, js, tickets.Options{TTL: time.Hour})
	require.NoError(t, err)
	w.files = files
	o := api.Options{
		Files:     files,
		Schedule:  schedule,
		Accounts:  w.accounts,
		Sessions:  w.sessions,
		Links:     w.links,
		Tickets:   w.tickets,
		Channels:  w.channels,
		Keys:      w.keys,
		Queue:     w.queue,
		Holds:     w.holds,
		Replays:   w.replays,
		CheckURL:  func(context.Context, string) error { return nil },
		PublicURL: "https://relay.example.org",
		Version:   "test",
		Log:       zerolog.New(w.log),
	}
	for _, option := range options {
		option(&o)
	}
	w.api, err = api.New(o)
	require.NoError(t, err)
	w.admin = w.key(nil, auth.Permissions()...)
	return w
}

// key makes a key for the channels, all when nil.
func (w *world) key(channels []int64, permissions ...auth.Permission) string {
	w.t.Helper()
	made, _, err := w.keys.Create(context.Background(), auth.CreateRequest{Name: "test key", Permissions: permissions, Channels: channels})
	require.NoError(w.t, err)
	return made.Reveal()
}

// channel makes a channel.
func (w *world) channel(id int64, change func(*endpoints.Patch)) endpoints.Channel {
	w.t.Helper()
	p := endpoints.Patch{Name: new("Example channel"), Endpoint: new("https://receiver.example.com/hook")}
	if change != nil {
		change(&p)
	}
	c, err := w.channels.Create(context.Background(), id, p)
	require.NoError(w.t, err)
	return c
}

// client is the API's Go client over a real connection.
func (w *world) client(key string) *client.Client {
	w.t.Helper()
	server := httptest.NewServer(w.api)
	w.t.Cleanup(server.Close)
	c, err := client.New(client.Options{BaseURL: server.URL, Key: key, HTTP: server.Client()})
	require.NoError(w.t, err)
	return c
}

// encodings are the three ways in which fields travel; pairs are names and values.
var encodings = map[string]func(t testing.TB, pairs []string) (contentType string, body io.Reader){
	"multipart": func(t testing.TB, pairs []string) (string, io.Reader) {
		t.Helper()
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		for i := 0; i < len(pairs); i += 2 {
			require.NoError(t, w.WriteField(pairs[i], pairs[i+1]))
		}
		require.NoError(t, w.Close())
		return w.FormDataContentType(), &b
	},
	"urlencoded": func(_ testing.TB, pairs []string) (string, io.Reader) {
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Add(pairs[i], pairs[i+1])
		}
		return "application/x-www-form-urlencoded", strings.NewReader(values.Encode())
	},
	"json": func(t testing.TB, pairs []string) (string, io.Reader) {
		t.Helper()
		fields := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			fields[pairs[i]] = pairs[i+1]
		}
		data, err := json.Marshal(fields)
		require.NoError(t, err)
		return "application/json", bytes.NewReader(data)
	},
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

// field is a field of the answer; a path walks into objects.
func (a answer) field(path ...string) any {
	var v any = a.body
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

// fields are the names under errors.
func (a answer) fields() []string {
	list, _ := a.body["errors"].([]any)
	var names []string
	for _, e := range list {
		names = append(names, e.(map[string]any)["field"].(string))
	}
	return names
}

// send does a request with fields in an encoding.
func (w *world) send(method, path, key, encoding string, pairs ...string) answer {
	w.t.Helper()
	contentType, body := encodings[encoding](w.t, pairs)
	return w.raw(method, path, key, contentType, body)
}

// get does a request without a body.
func (w *world) get(method, path, key string) answer {
	w.t.Helper()
	return w.raw(method, path, key, "", nil)
}

func (w *world) raw(method, path, key, contentType string, body io.Reader, headers ...string) answer {
	w.t.Helper()
	r := httptest.NewRequest(method, path, body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if key != "" {
		r.Header.Set("apiKey", key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	a := answer{status: rec.Code, header: rec.Result().Header, text: rec.Body.String()}
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		require.NoError(w.t, json.Unmarshal(rec.Body.Bytes(), &a.body), a.text)
	}
	return a
}
