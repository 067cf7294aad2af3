package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/sink"
	"omnirelay/signer"
)

// receiver is an endpoint that can be stopped and started again at the same address. It
// remembers the bodies in their order, one line of JSON each.
type receiver struct {
	t    *testing.T
	sink *sink.Sink
	addr string
	srv  *http.Server

	lines lines
}

// lines gathers what the sink prints.
type lines struct {
	mu   sync.Mutex
	text []string
}

// Write implements io.Writer; the sink writes a line at a time.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, string(p))
	return len(p), nil
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.text...)
}

// receive opens a receiver that verifies with the secrets.
func receive(t *testing.T, secrets ...string) *receiver {
	t.Helper()
	r := &receiver{t: t, addr: freeAddress(t)}
	o := sink.Options{Out: &r.lines, JSON: true}
	for _, text := range secrets {
		s, err := signer.ParseSecret(text)
		require.NoError(t, err)
		o.Secrets = append(o.Secrets, s)
	}
	r.sink = sink.New(o)
	r.open()
	t.Cleanup(r.close)
	return r
}

// freeAddress is an address of loopback that nobody listens on, and that nobody gets who
// asks for any free port or connects from one: it can be left and taken again.
func freeAddress(t *testing.T) string {
	t.Helper()
	const low, high = 20_000, 32_000 // below the ports that Linux gives out by itself
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", low+rand.IntN(high-low)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	require.Fail(t, "no port is free")
	return ""
}

func (r *receiver) open() {
	r.t.Helper()
	var l net.Listener
	// A relay that is just being forked holds what its parent has closed, until it runs.
	require.True(r.t, wait(func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", r.addr)
		return err == nil
	}), "cannot listen on %s", r.addr)
	r.srv = &http.Server{Handler: r.sink, ReadHeaderTimeout: time.Minute}
	go func() { _ = r.srv.Serve(l) }() // ends with close
}

// close ends every connection; from then on the relay is refused.
func (r *receiver) close() { _ = r.srv.Close() }

func (r *receiver) url() string { return "http://" + r.addr + "/hook" }

// accepts waits until so many messages have got a 2xx.
func (r *receiver) accepts(n int) {
	r.t.Helper()
	enough := func() bool { return r.sink.Stats().Accepted >= n }
	if !wait(enough) || r.sink.Stats().Accepted > n {
		require.Fail(r.t, "not as many accepted messages as expected", "%d expected, got %+v", n, r.sink.Stats())
	}
}

// isClean checks that what came was signed, in order and without repeats.
func (r *receiver) isClean() {
	r.t.Helper()
	s := r.sink.Stats()
	require.Zero(r.t, s.Repeats, "repeats")
	require.Zero(r.t, s.OutOfOrder, "out of order")
	require.Zero(r.t, s.Unsigned+s.BadSignature+s.Unreadable, "%+v", s)
}
