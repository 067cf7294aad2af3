package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

func TestAddressesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "127.0.0.1:8080", "ftp://example.com", "http://", "http://user:hunter2@[::1", "/relay"} {
		_, err := client.New(client.Options{BaseURL: bad})
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func serve(t *testing.T, key string, handler http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := client.New(client.Options{BaseURL: server.URL + "/base/", Key: key, HTTP: server.Client()})
	require.NoError(t, err)
	return c
}

func TestARefusalKeepsEverythingTheRelaySays(t *testing.T) {
	t.Parallel()
	c := serve(t, "k", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprint(w, `{"type":"error","status":"error","code":"store_full","message":"Full.","errors":[{"field":"a","message":"is b"},{"field":"c","message":"is d"}]}`)
	})
	_, err := c.SendInbound(t.Context(), client.InboundMessage{TicketID: 1, Message: "x"})
	refusal, ok := errors.AsType[*client.Error](err)
	require.True(t, ok)
	require.Equal(t, &client.Error{
		Status: 503, Code: "store_full", Message: "Full.", RetryAfter: 30 * time.Second,
		Fields: []relay.FieldError{{Field: "a", Rule: "is b"}, {Field: "c", Rule: "is d"}},
	}, refusal)
	require.Equal(t, "Full.: a is b; c is d", err.Error())
}

func TestAnswersOfOtherServers(t *testing.T) {
	t.Parallel()
	const key = "a-secret-key-of-mine"
	for status, want := range map[int]string{502: "the relay answered 502 Bad Gateway", 200: "may come from another server"} {
		c := serve(t, key, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, "<html>")
		})
		_, err := c.Version(t.Context())
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), key)
	}
}

func TestTheKeyFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("reached with %v", r.Header)
	}))
	t.Cleanup(elsewhere.Close)
	c := serve(t, "k", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, err := c.Version(t.Context())
	require.ErrorContains(t, err, "the relay answered 307")
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	type seen struct {
		method, path, query, key, idempotency string
		body                                  map[string]any
	}
	var got seen
	c := serve(t, "k", func(w http.ResponseWriter, r *http.Request) {
		got = seen{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("apiKey"), r.Header.Get("Idempotency-Key"), nil}
		_ = json.NewDecoder(r.Body).Decode(&got.body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{}`)
	})
	ctx := t.Context()
	_, err := c.SendOutbound(ctx, client.OutboundMessage{ChannelID: 1001, ToAddress: "ann", Message: "hi", IdempotencyKey: "k7"})
	require.NoError(t, err)
	require.Equal(t, seen{"POST", "/base/api/v2/message", "", "k", "k7", map[string]any{"type": 1001.0, "toAddress": "ann", "message": "hi"}}, got)
	_, err = c.UpdateChannel(ctx, 13, client.ChannelFields{Name: new("n"), Secret: new(""), Timeout: new(relay.Duration(time.Minute)), RateLimit: new(0.0)})
	require.NoError(t, err)
	require.Equal(t, seen{"PUT", "/base/api/v2/channel/13", "", "k", "", map[string]any{"name": "n", "custom_channel_secret": "", "timeout": "1m0s", "rate_limit": 0.0}}, got)
	require.NoError(t, c.DiscardDead(ctx, "../../keys?x"))
	require.Equal(t, "/base/relay/v1/dead/..%2F..%2Fkeys%3Fx/discard", got.path, "an id stays one part of the path")
	_, err = c.Messages(ctx, client.MessageFilter{ChannelID: 7, State: client.StateDead, Since: time.Unix(0, 0).UTC(), Limit: 3})
	require.NoError(t, err)
	require.Equal(t, "channelID=7&limit=3&since=1970-01-01T00%3A00%3A00Z&state=dead", got.query)
}

func TestListsAreWalkedToTheEnd(t *testing.T) {
	t.Parallel()
	c := serve(t, "k", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Query().Get("cursor") {
		case "":
			_, _ = fmt.Fprint(w, `{"items":[{"id":"a"},{"id":"b"}],"next":"2"}`)
		case "2":
			_, _ = fmt.Fprint(w, `{"items":[{"id":"c"}],"next":"3"}`)
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	var ids []relay.ID
	var last error
	for m, err := range c.AllMessages(t.Context(), client.MessageFilter{}) {
		if err != nil {
			last = err
			continue
		}
		ids = append(ids, m.ID)
	}
	require.Equal(t, []relay.ID{"a", "b", "c"}, ids)
	require.ErrorContains(t, last, "500")
	for m, err := range c.AllMessages(t.Context(), client.MessageFilter{}) {
		require.NoError(t, err)
		require.Equal(t, relay.ID("a"), m.ID)
		break
	}
}

func TestACancelledCallSaysSo(t *testing.T) {
	t.Parallel()
	c := serve(t, "k", func(http.ResponseWriter, *http.Request) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Stats(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
