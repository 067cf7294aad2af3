package egress_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"omnirelay/relay/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter is a server on 127.0.0.1 that counts requests and connections.
type counter struct {
	*httptest.Server
	requests, conns atomic.Int64
}

func newCounter(t *testing.T) *counter {
	t.Helper()
	c := &counter{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c.requests.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	c.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			c.conns.Add(1)
		}
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}

// get makes one request through the guard's transport.
func get(t *testing.T, guard *egress.Guard, url string) error {
	t.Helper()
	transport := guard.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func TestTransportRefusesLoopbackUnlessAllowed(t *testing.T) {
	t.Parallel()
	server := newCounter(t)
	var blocked *egress.BlockedError
	require.ErrorAs(t, get(t, egress.New(nil), server.URL), &blocked)
	require.Equal(t, "127.0.0.1", blocked.Addr.String())
	require.Zero(t, server.conns.Load(), "a refused address must not see a packet")

	require.NoError(t, get(t, egress.New(prefixes("127.0.0.0/8")), server.URL))
	require.EqualValues(t, 1, server.requests.Load())
}

func TestTransportRefusesOddSpellings(t *testing.T) {
	t.Parallel()
	server := newCounter(t)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	for _, host := range []string{"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]", "[::1]", "localhost", "[::ffff:8.8.8.8]"} {
		var blocked *egress.BlockedError
		require.ErrorAs(t, get(t, egress.New(nil), "http://"+host+":"+port), &blocked, host)
	}
	require.Zero(t, server.conns.Load())
}

func TestTransportDecidesOnTheConnectedAddress(t *testing.T) {
	t.Parallel()
	server := newCounter(t)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	// The name leads to an allowed address when it is checked and to loopback afterwards.
	names := &zone{answers: map[string][]string{"rebind.test.": {"8.8.8.8", "127.0.0.1"}}}
	guard := egress.New(nil, egress.WithResolver(names.resolver(t)))
	url := "http://rebind.test:" + port + "/"
	require.NoError(t, guard.CheckURL(t.Context(), url))
	var blocked *egress.BlockedError
	require.ErrorAs(t, get(t, guard, url), &blocked)
	require.Equal(t, "127.0.0.1", blocked.Addr.String())
	require.Zero(t, server.conns.Load())
}

func TestTransportReachesANameWithAnAllowedAddress(t *testing.T) {
	t.Parallel()
	server := newCounter(t)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	names := &zone{answers: map[string][]string{"inside.test.": {"127.0.0.1"}}}
	guard := egress.New(prefixes("127.0.0.1/32"), egress.WithResolver(names.resolver(t)))
	require.NoError(t, get(t, guard, "http://inside.test:"+port))
	require.EqualValues(t, 1, server.requests.Load())
}

// Not parallel: it sets the environment.
func TestTransportIgnoresProxiesOfTheEnvironment(t *testing.T) {
	proxy, server := newCounter(t), newCounter(t)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	guard := egress.New(prefixes("127.0.0.0/8"))
	require.Nil(t, guard.Transport().Proxy)
	require.NoError(t, get(t, guard, server.URL))
	require.Zero(t, proxy.conns.Load())
}

func TestTransportKeepsConnections(t *testing.T) {
	t.Parallel()
	server := newCounter(t)
	transport := egress.New(prefixes("127.0.0.0/8")).Transport()
	t.Cleanup(transport.CloseIdleConnections)
	for range 5 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("x"))
		require.NoError(t, err)
		res, err := transport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
	}
	require.EqualValues(t, 5, server.requests.Load())
	require.EqualValues(t, 1, server.conns.Load())
}

func TestTransportBoundsResponseHeaders(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Large", strings.Repeat("x", 128<<10))
	}))
	t.Cleanup(server.Close)
	require.ErrorContains(t, get(t, egress.New(prefixes("127.0.0.0/8")), server.URL), "header")
}
