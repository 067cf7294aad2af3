package deliver_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/deliver"
)

// target is a Resolver of one Target.
type target deliver.Target

func (t target) Resolve(context.Context, *relay.Entry) (deliver.Target, error) {
	return deliver.Target(t), nil
}

// endsWith is a transport whose connections a function serves.
func endsWith(serve func(net.Conn)) *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go serve(theirs)
		return ours, nil
	}}
}

// takes reads a whole request.
func takes(t *testing.T, c net.Conn) {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, err = io.Copy(io.Discard, req.Body)
	}
	require.NoError(t, err)
}

func TestARequestWithoutAnAnswerIsAmbiguousWhereRepeatsAreNotKnown(t *testing.T) {
	t.Parallel()
	const long = 1 << 20
	tests := map[string]struct {
		serve   func(*testing.T, net.Conn)
		certain relay.Reason // at a receiver that knows repeats
		unsure  relay.Reason // at one that does not
	}{
		"no answer in time": {func(t *testing.T, c net.Conn) {
			takes(t, c)
			_, _ = c.Read(make([]byte, 1)) // until the sender gives up
			_ = c.Close()
		}, relay.ReasonTimeout, relay.ReasonAmbiguous},
		"closed after the request": {func(t *testing.T, c net.Conn) {
			takes(t, c)
			_ = c.Close()
		}, relay.ReasonReset, relay.ReasonAmbiguous},
		"closed in the middle of it": {func(t *testing.T, c net.Conn) {
			_, err := io.CopyN(io.Discard, c, 1000)
			require.NoError(t, err)
			_ = c.Close()
		}, relay.ReasonReset, relay.ReasonReset},
		"a proxy waited in vain": {func(t *testing.T, c net.Conn) {
			takes(t, c)
			_, _ = io.WriteString(c, "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n")
			_ = c.Close()
		}, relay.ReasonStatus5xx, relay.ReasonAmbiguous},
		"a clear refusal": {func(t *testing.T, c net.Conn) {
			takes(t, c)
			_, _ = io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
			_ = c.Close()
		}, relay.ReasonStatus5xx, relay.ReasonStatus5xx},
		"a clear success": {func(t *testing.T, c net.Conn) {
			takes(t, c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			_ = c.Close()
		}, relay.ReasonOK, relay.ReasonOK},
	}
	for name, test := range tests {
		for policy, want := range map[deliver.Ambiguity]relay.Reason{
			deliver.NotAmbiguous: test.certain, deliver.AmbiguousRetry: test.unsure, deliver.AmbiguousDead: test.unsure,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					transport := endsWith(func(c net.Conn) { test.serve(t, c) })
					defer transport.CloseIdleConnections()
					d := deliver.New(deliver.Options{Transport: transport, Resolver: target{URL: "http://desk.example.com/", Timeout: 10 * time.Second, Ambiguous: policy}})
					r := d.Deliver(t.Context(), &relay.Entry{Message: relay.Message{ID: relay.NewID(), Text: strings.Repeat("x", long)}})
					require.Equal(t, want, r.Reason)
					require.Equal(t, want == relay.ReasonAmbiguous && policy == deliver.AmbiguousDead, r.Final)
					if want == relay.ReasonAmbiguous {
						require.NotEmpty(t, r.Error, "the cause is told")
					}
				})
			})
		}
	}
}

func TestWhatWasNeverSentIsNotAmbiguous(t *testing.T) {
	t.Parallel()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}}
	d := deliver.New(deliver.Options{Transport: transport, Resolver: target{URL: "http://desk.example.com/", Ambiguous: deliver.AmbiguousDead}})
	r := d.Deliver(t.Context(), &relay.Entry{Message: relay.Message{ID: relay.NewID()}})
	require.Equal(t, relay.ReasonDNS, r.Reason)
	require.False(t, r.Final)
}
