package deliver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"omnirelay/relay"
	"omnirelay/relay/deliver"
	"omnirelay/relay/egress"
	"omnirelay/signer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// resolve is a Resolver with one answer.
type resolve func(e *relay.Entry) (deliver.Target, error)

func (r resolve) Resolve(_ context.Context, e *relay.Entry) (deliver.Target, error) { return r(e) }

// to makes a Deliverer that sends everything to one target, over real connections on
// loopback.
func to(t testing.TB, target deliver.Target) *deliver.Deliverer {
	t.Helper()
	transport := egress.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}).Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return deliver.New(deliver.Options{
		Transport: transport,
		Resolver:  resolve(func(*relay.Entry) (deliver.Target, error) { return target, nil }),
		Version:   "1.2.3",
	})
}

// serve starts a receiver.
func serve(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func secret(t testing.TB, text string) signer.Secret {
	t.Helper()
	s, err := signer.ParseSecret(text)
	require.NoError(t, err)
	return s
}

func entry() *relay.Entry {
	return &relay.Entry{
		Message: relay.Message{
			ID:           "msg_019aab3c-6b1e-7c3a-9b57-1f0c2d3e4f50",
			Type:         "message.outbound",
			Direction:    relay.Outbound,
			Kind:         relay.KindMessage,
			Destination:  relay.ChannelDestination(1001),
			Conversation: "ticket:858462",
			AcceptedAt:   time.Date(2026, 11, 22, 11, 0, 0, 123_456_789, time.FixedZone("CET", 3600)),
			ChannelID:    1001,
			ChannelName:  "Example channel",
			TicketID:     858462,
			Text:         "Hello <b>& \"you\"</b> 🌍",
			ToAddress:    "+31612345678",
			FromAddress:  "support",
			UserID:       254,
		},
		Position: 17,
	}
}

func TestDeliverSendsTheDocumentedRequest(t *testing.T) {
	t.Parallel()
	const want = `{"type":"message.outbound","timestamp":"2026-11-22T10:00:00.123Z",` +
		`"data":{"messageID":"msg_019aab3c-6b1e-7c3a-9b57-1f0c2d3e4f50","channelID":1001,"channelName":"Example channel",` +
		`"ticketID":858462,"conversation":"ticket:858462","sequence":17,"message":"Hello <b>& \"you\"</b> 🌍","title":"",` +
		`"toAddress":"+31612345678","fromAddress":"support","userID":254,"attachments":[]}}`
	current, next := secret(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), secret(t, "the next secret")
	var calls atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		check := func(what string, got, want any) {
			if got != want {
				t.Errorf("%s is %v, want %v", what, got, want)
			}
		}
		check("body", string(body), want)
		check("method", r.Method, http.MethodPost)
		check("request URI", r.RequestURI, "/hook?token=sesame&a=b%20c")
		check("Content-Length", r.Header.Get("Content-Length"), fmt.Sprint(len(want)))
		check("transfer encodings", len(r.TransferEncoding), 0)
		check("Content-Type", r.Header.Get("Content-Type"), "application/json")
		check("User-Agent", r.Header.Get("User-Agent"), "omnirelay/1.2.3")
		check("X-Extra", r.Header.Get("X-Extra"), "yes")
		check("webhook-id", r.Header.Get("webhook-id"), "msg_019aab3c-6b1e-7c3a-9b57-1f0c2d3e4f50")
		for _, s := range []signer.Secret{current, next} {
			check("verification", signer.Verify(r.Header, body, time.Now(), s), nil)
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, "thanks")
	})
	d := to(t, deliver.Target{
		URL:     server.URL + "/hook?token=sesame&a=b%20c",
		Secrets: []signer.Secret{current, next},
		Header: http.Header{
			"X-Extra": {"yes"}, "content-type": {"text/plain"}, "User-Agent": {"other"}, "webhook-id": {"other"},
			"Webhook-Signature": {"v1,forged"}, "Content-Length": {"3"}, "Transfer-Encoding": {"chunked"},
		},
	})
	for range 2 { // the second over the kept connection, with the same bytes
		result := d.Deliver(t.Context(), entry())
		require.Positive(t, result.Duration)
		result.Duration = 0
		require.Equal(t, relay.Result{Reason: relay.ReasonOK, Status: 202, Response: "thanks"}, result)
	}
	require.EqualValues(t, 2, calls.Load())
}

func TestDeliverWithoutSecretSendsNoSignature(t *testing.T) {
	t.Parallel()
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("webhook-id") == "" || r.Header.Get("webhook-timestamp") == "" {
			t.Error("the id and the timestamp belong to unsigned requests too")
		}
		if _, signed := r.Header["Webhook-Signature"]; signed {
			t.Error("signed without a secret")
		}
	})
	d := to(t, deliver.Target{URL: server.URL, Header: http.Header{"webhook-signature": {"v1,forged"}}, Secrets: []signer.Secret{{}}})
	require.Equal(t, relay.ReasonOK, d.Deliver(t.Context(), entry()).Reason)
}

func TestJSONLeavesOutWhatIsNotThere(t *testing.T) {
	t.Parallel()
	e := entry()
	e.TicketID, e.Signature = 0, "Kind regards,\nAgnes"
	e.Attachments = []relay.Attachment{{File: "internal-name", Name: "a.pdf", ContentType: "application/pdf", Size: 5}}
	payload, err := deliver.JSON(e)
	require.NoError(t, err)
	again, err := deliver.JSON(e)
	require.NoError(t, err)
	require.Equal(t, payload.Bytes, again.Bytes)
	require.True(t, json.Valid(payload.Bytes))
	text := string(payload.Bytes)
	require.NotContains(t, text, "ticketID")
	require.NotContains(t, text, "internal-name", "names in the file store are nobody's business")
	require.Contains(t, text, `"signature":"Kind regards,\nAgnes"`)
	require.Contains(t, text, `"attachments":[{"name":"a.pdf","contentType":"application/pdf","size":5}]`)
}

func TestDeliverStreamsALargeBody(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	key := secret(t, "key")
	var opened, closed atomic.Int64
	open := func(context.Context) (io.ReadCloser, error) {
		opened.Add(1)
		return closer{strings.NewReader(content), func() { closed.Add(1) }}, nil
	}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || signer.Verify(r.Header, body, time.Now(), key) != nil || r.ContentLength != int64(len(content)) {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	d := to(t, deliver.Target{
		URL: server.URL, Secrets: []signer.Secret{key},
		Render: func(*relay.Entry) (deliver.Payload, error) {
			return deliver.Payload{ContentType: "application/octet-stream", Open: open, Size: int64(len(content))}, nil
		},
	})
	require.Equal(t, relay.ReasonOK, d.Deliver(t.Context(), entry()).Reason)
	require.EqualValues(t, 2, opened.Load(), "once to sign and once to send")
	require.EqualValues(t, 2, closed.Load())
}

type closer struct {
	io.Reader
	close func()
}

func (c closer) Close() error { c.close(); return nil }

func TestDeliverSendsAnEmptyBodyWithALength(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 || len(r.TransferEncoding) != 0 {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	d := to(t, deliver.Target{URL: server.URL, Render: func(*relay.Entry) (deliver.Payload, error) { return deliver.Payload{}, nil }})
	require.Equal(t, relay.ReasonOK, d.Deliver(t.Context(), entry()).Reason)
}

func TestDeliverReadsTheAnswerOfATargetThatAsksForIt(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			fmt.Fprint(w, "no such ticket")
			return
		}
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusBadRequest)
		}
		fmt.Fprint(w, "858462")
	})
	read := func(_ http.Header, body []byte) (int64, error) {
		if bytes.HasPrefix(body, []byte("no")) {
			return 0, errors.New("the helpdesk says: " + string(body))
		}
		return 858462, nil
	}
	for path, want := range map[string]relay.Result{
		"/":        {Reason: relay.ReasonOK, Status: 200, Response: "858462", TicketID: 858462},
		"/bad":     {Reason: relay.ReasonBadAnswer, Status: 200, Response: "no such ticket", Error: "the helpdesk says: no such ticket"},
		"/refused": {Reason: relay.ReasonStatus4xx, Status: 400, Response: "858462", Error: "the receiver answered 400 Bad Request"},
	} {
		result := to(t, deliver.Target{URL: server.URL + path, Read: read}).Deliver(t.Context(), entry())
		result.Duration = 0
		require.Equal(t, want, result, path)
	}
}

func TestDeliverWithoutARequest(t *testing.T) {
	t.Parallel()
	render := func(*relay.Entry) (deliver.Payload, error) { return deliver.Payload{}, errors.New("no text") }
	for name, test := range map[string]struct {
		target deliver.Target
		err    error
		want   relay.Result
	}{
		"gone": {err: fmt.Errorf("channel 1001: %w", deliver.ErrGone), want: relay.Result{
			Reason: relay.ReasonDiscarded, Error: "the destination no longer exists"}},
		"gone, by somebody": {err: fmt.Errorf("channel 1001: %w", &deliver.GoneError{By: "key_ann"}), want: relay.Result{
			Reason: relay.ReasonDiscarded, Error: "the destination no longer exists", By: "key_ann",
		}},
		"not sent": {err: fmt.Errorf("helpdesk: %w", deliver.ErrNotSent), want: relay.Result{Reason: relay.ReasonKept}},
		"registry away": {err: errors.New("no JetStream"), want: relay.Result{
			Reason: relay.ReasonUnresolved, Error: "looking up destination channel-1001: no JetStream"}},
		"no URL": {want: relay.Result{
			Reason: relay.ReasonUnresolved, Error: "destination channel-1001: its URL does not start with https:// or http://"}},
		"broken URL": {target: deliver.Target{URL: "http://x/%zz?token=sesame"}, want: relay.Result{
			Reason: relay.ReasonUnresolved, Error: "destination channel-1001: its URL cannot be parsed"}},
		"no host": {target: deliver.Target{URL: "http:///hook"}, want: relay.Result{
			Reason: relay.ReasonUnresolved, Error: "destination channel-1001: its URL names no host"}},
		"password": {target: deliver.Target{URL: "http://u:sesame@x.test"}, want: relay.Result{
			Reason: relay.ReasonUnresolved, Error: "destination channel-1001: its URL carries a user name or password, which are never sent"}},
		"cannot render": {target: deliver.Target{URL: "http://x.test", Render: render}, want: relay.Result{
			Reason: relay.ReasonUndeliverable, Error: "no text"}},
	} {
		d := deliver.New(deliver.Options{
			Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				t.Errorf("%s: a request was sent", name)
				return nil, errors.New("unexpected")
			}),
			Resolver: resolve(func(*relay.Entry) (deliver.Target, error) { return test.target, test.err }),
		})
		require.Equal(t, test.want, d.Deliver(t.Context(), entry()), name)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func BenchmarkJSON(b *testing.B) {
	e := entry()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := deliver.JSON(e); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDeliver is a whole signed delivery over loopback; the receiver's share is in it.
func BenchmarkDeliver(b *testing.B) {
	server := serve(b, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	d := to(b, deliver.Target{URL: server.URL + "/hook", Secrets: []signer.Secret{secret(b, "key")}})
	e := entry()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if result := d.Deliver(b.Context(), e); result.Reason != relay.ReasonOK {
				b.Errorf("%+v", result)
				return
			}
		}
	})
}
