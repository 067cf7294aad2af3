package deliver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/deliver"
	"omnirelay/relay/egress"
	"omnirelay/signer"
)

// received is the documented body as a receiver decodes it.
type received struct {
	Data struct {
		Message, Title, Conversation string
		TicketID                     int64
	}
}

func decode(t *testing.T, body []byte) (r received) {
	t.Helper()
	require.NoError(t, json.Unmarshal(body, &r))
	return r
}

// valid is what JSON makes of text: each invalid byte becomes U+FFFD.
func valid(text string) string { return string([]rune(text)) }

// quiet starts a receiver whose complaints about broken connections are not shown.
func quiet(t *testing.T, handler http.HandlerFunc, start func(*httptest.Server)) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	start(server)
	t.Cleanup(server.Close)
	return server
}

// abort ends the connection without an answer; linger 0 makes that a reset.
func abort(t *testing.T, w http.ResponseWriter, linger int) {
	t.Helper()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok || tcp.SetLinger(linger) != nil || tcp.Close() != nil {
		t.Errorf("cannot abort a %T", conn)
	}
}

// TestDeliverFailures has a receiver for each way to fail. Each gets a URL with a token and
// a signed request; neither may show in what is recorded.
func TestDeliverFailures(t *testing.T) {
	t.Parallel()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	start, startTLS := (*httptest.Server).Start, (*httptest.Server).StartTLS
	ok := func(http.ResponseWriter, *http.Request) {}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, "because")
		}
	}
	raw := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}
	nameless := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no name server")
	}}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		start   func(*httptest.Server)
		url     func(server string) string
		guard   *egress.Guard
		trust   bool
		timeout time.Duration

		want   relay.Reason
		status int
	}{
		"refused":                   {handler: ok, start: func(s *httptest.Server) { s.Start(); s.Close() }, want: relay.ReasonRefused},
		"reset":                     {handler: func(w http.ResponseWriter, _ *http.Request) { abort(t, w, 0) }, want: relay.ReasonReset},
		"closed":                    {handler: func(w http.ResponseWriter, _ *http.Request) { abort(t, w, -1) }, want: relay.ReasonReset},
		"broken off in the headers": {handler: raw("HTTP/1.1 200 OK\r\nContent-Length: 3"), want: relay.ReasonReset},
		"no HTTP":                   {handler: raw("220 mail.test ESMTP\r\n"), want: relay.ReasonNetwork},
		"hangs": {handler: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client left
			<-r.Context().Done()
		}, timeout: 20 * time.Millisecond, want: relay.ReasonTimeout},
		"blocked": {handler: ok, guard: egress.New(nil), want: relay.ReasonBlockedAddress},
		"no such name": {handler: ok, guard: egress.New(loopback, egress.WithResolver(nameless)),
			url: func(string) string { return "http://nowhere.test/?token=sesame" }, want: relay.ReasonDNS},
		"certificate of strangers": {handler: ok, start: startTLS, want: relay.ReasonTLS},
		"certificate for another name": {handler: ok, start: startTLS, trust: true,
			url:  func(s string) string { return strings.Replace(s, "127.0.0.1", "localhost", 1) },
			want: relay.ReasonTLS},
		"client certificate wanted": {handler: ok, trust: true, start: func(s *httptest.Server) {
			s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
			s.StartTLS()
		}, want: relay.ReasonTLS},
		"HTTPS to an HTTP port": {handler: ok, url: func(s string) string { return strings.Replace(s, "http:", "https:", 1) }, want: relay.ReasonTLS},
		"trusted certificate":   {handler: ok, start: startTLS, trust: true, want: relay.ReasonOK, status: 200},
		"early hints": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNoContent)
		}, want: relay.ReasonOK, status: 204},
		"switching protocols": {handler: raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), want: relay.ReasonStatus5xx, status: 101},
		"not modified":        {handler: status(304), want: relay.ReasonRedirect, status: 304},
		"bad request":         {handler: status(400), want: relay.ReasonStatus4xx, status: 400},
		"not found":           {handler: status(404), want: relay.ReasonStatus4xx, status: 404},
		"gone":                {handler: status(410), want: relay.ReasonGone, status: 410},
		"too many requests":   {handler: status(429), want: relay.ReasonRateLimited, status: 429},
		"internal error":      {handler: status(500), want: relay.ReasonStatus5xx, status: 500},
		"unavailable":         {handler: status(503), want: relay.ReasonStatus5xx, status: 503},
		"no such status":      {handler: status(799), want: relay.ReasonStatus5xx, status: 799},
		"2xx broken off": {handler: raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
			want: relay.ReasonOK, status: 200},
		"2xx that never ends": {handler: func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, want: relay.ReasonOK, status: 200},
		"2xx whose body stalls": {handler: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, timeout: 50 * time.Millisecond, want: relay.ReasonOK, status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.start == nil {
				test.start = start
			}
			server := quiet(t, test.handler, test.start)
			guard := test.guard
			if guard == nil {
				guard = egress.New(loopback)
			}
			transport := guard.Transport()
			t.Cleanup(transport.CloseIdleConnections)
			if test.trust {
				pool := x509.NewCertPool()
				pool.AddCert(server.Certificate())
				transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
			}
			target := deliver.Target{
				URL: server.URL + "/hook?token=sesame", Timeout: test.timeout, Secrets: []signer.Secret{secret(t, "sesame-key")},
			}
			if test.url != nil {
				target.URL = test.url(target.URL)
			}
			d := deliver.New(deliver.Options{
				Transport: transport,
				Resolver:  resolve(func(*relay.Entry) (deliver.Target, error) { return target, nil }),
			})
			result := d.Deliver(t.Context(), entry())
			require.Equal(t, test.want, result.Reason, "%+v", result)
			require.Equal(t, test.status, result.Status, "%+v", result)
			require.Equal(t, test.want == relay.ReasonOK, result.Error == "", "%+v", result)
			require.NotContains(t, fmt.Sprintf("%+v", result), "sesame")
		})
	}
}

func TestDeliverNeverFollowsRedirects(t *testing.T) {
	t.Parallel()
	var hits atomic.Int64
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/?token=sesame", status)
		})
		result := to(t, deliver.Target{URL: server.URL}).Deliver(t.Context(), entry())
		require.Equal(t, relay.ReasonRedirect, result.Reason)
		require.Equal(t, status, result.Status)
		require.Contains(t, result.Error, elsewhere.URL)
		require.NotContains(t, result.Error, "sesame")
	}
	require.Zero(t, hits.Load())
}

// TestTimeoutCoversTheWholeAttempt runs in fake time over in-memory connections.
func TestTimeoutCoversTheWholeAttempt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		timeout time.Duration
		want    time.Duration
		reason  relay.Reason
	}{
		"default, silent": {handler: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, want: deliver.DefaultTimeout, reason: relay.ReasonTimeout},
		"own, just in time": {handler: func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(59 * time.Second)
			w.WriteHeader(http.StatusNoContent)
		}, timeout: time.Minute, want: 59 * time.Second, reason: relay.ReasonOK},
		"body drips": {handler: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusInternalServerError)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
				}
			}
		}, timeout: 10500 * time.Millisecond, want: 10500 * time.Millisecond, reason: relay.ReasonStatus5xx},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := inMemory(t, test.handler, deliver.Target{URL: "http://receiver.test/", Timeout: test.timeout})
				result := d.Deliver(t.Context(), entry())
				require.Equal(t, test.reason, result.Reason, "%+v", result)
				require.Equal(t, test.want, result.Duration)
			})
		})
	}
}

// An attempt that the caller calls off ends at once, and the caller's context says why.
func TestDeliverEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		d := inMemory(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		}, deliver.Target{URL: "http://receiver.test/"})
		result := d.Deliver(ctx, entry())
		require.Error(t, ctx.Err())
		require.NotEqual(t, relay.ReasonOK, result.Reason)
		require.NotEqual(t, relay.ReasonTimeout, result.Reason)
		require.Zero(t, result.Duration)
	})
}

// inMemory serves the handler over net.Pipe, which fake time understands, and makes a
// Deliverer that reaches it.
func inMemory(t *testing.T, handler http.HandlerFunc, target deliver.Target) *deliver.Deliverer {
	t.Helper()
	conns := make(chan net.Conn)
	listener := &pipes{conns: conns, closed: make(chan struct{})}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Hour}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		conns <- there
		return here, nil
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	return deliver.New(deliver.Options{
		Transport: transport,
		Resolver:  resolve(func(*relay.Entry) (deliver.Target, error) { return target, nil }),
	})
}

// pipes is a listener on connections made by net.Pipe.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
