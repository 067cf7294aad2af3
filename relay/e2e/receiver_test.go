package e2e_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/sink"
	"omnirelay/signer"
)

// receiver is an endpoint that can be stopped and started again at the same address. It
// remembers the bodies in their order, one line of JSON each.
type receiver struct {
	*host
	sink  *sink.Sink
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
	r := &receiver{}
	o := sink.Options{Out: &r.lines, JSON: true}
	for _, text := range secrets {
		s, err := signer.ParseSecret(text)
		require.NoError(t, err)
		o.Secrets = append(o.Secrets, s)
	}
	r.sink = sink.New(o)
	r.host = listen(t, r.sink)
	return r
}

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
