package queue_test

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd/natsdtest"
)

func TestReadAck(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]struct {
		seq       uint64
		duplicate bool
	}{
		`{"stream":"RELAY_MSG_0","seq":17}`:                       {17, false},
		`{"stream":"RELAY_MSG_0","seq":18446744073709551615}`:     {1<<64 - 1, false},
		`{"stream":"RELAY_MSG_0","seq":17,"duplicate": true}`:     {17, true},
		`{"stream":"RELAY_MSG_0","domain":"hub","seq":17}`:        {17, false},
		`{ "stream": "RELAY_MSG_0", "seq": 17, "val": "x" }`:      {17, false},
		`{"stream":"RELAY_MSG_0","seq":17,"batch":"b","count":3}`: {17, false},
	} {
		seq, duplicate, err := queue.ReadAck(&nats.Msg{Data: []byte(data)})
		require.NoError(t, err, data)
		require.Equal(t, want.seq, seq, data)
		require.Equal(t, want.duplicate, duplicate, data)
	}
	for _, data := range []string{``, `17`, `{}`, `{"stream":"","seq":17}`, `{"stream":"S","seq":18446744073709551616}`, `{"stream":"S","seq":17`} {
		_, _, err := queue.ReadAck(&nats.Msg{Data: []byte(data)})
		require.ErrorIs(t, err, jetstream.ErrInvalidJSAck, data)
	}
	_, _, err := queue.ReadAck(&nats.Msg{Data: []byte(`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"S","seq":0}`)})
	var refused *jetstream.APIError
	require.ErrorAs(t, err, &refused)
	require.EqualValues(t, 10077, refused.ErrorCode)
	_, _, err = queue.ReadAck(&nats.Msg{Header: nats.Header{"Status": {"503"}}})
	require.ErrorIs(t, err, jetstream.ErrNoStreamResponse)
}

// FuzzReadAck holds the short way to the decoder's word.
func FuzzReadAck(f *testing.F) {
	for _, data := range []string{`{"stream":"S","seq":17}`, `{"stream":"S","seq":17,"duplicate":true}`, `{"error":{"code":400},"stream":"S","seq":0}`, `{"stream":"","seq":1}`} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		seq, duplicate, err := queue.ReadAck(&nats.Msg{Data: data})
		if err != nil {
			return
		}
		var want struct {
			jetstream.PubAck
			Error *jetstream.APIError `json:"error"`
		}
		if json.Unmarshal(data, &want) != nil {
			return // a stream's name with a control character: no server sends one
		}
		require.Equal(t, want.Sequence, seq, "%s", data)
		require.Equal(t, want.Duplicate, duplicate, "%s", data)
		require.Nil(t, want.Error, "%s", data)
	})
}

// TestAnAppendWaitsForNoRead holds back everything that the server says to those who read.
func TestAnAppendWaitsForNoRead(t *testing.T) {
	t.Parallel()
	conn := natsdtest.OpenDir(t, t.TempDir())
	line := &mute{quiet: make(chan struct{})}
	other, err := conn.Another(line.between)
	require.NoError(t, err)
	l, err := queue.Open(t.Context(), other.JetStream(), queue.Options{Appends: conn.Appends()})
	require.NoError(t, err)
	t.Cleanup(func() {
		l.Close()
		require.NoError(t, other.Close())
		require.NoError(t, conn.Close())
	})
	line.hush()
	receipt, err := l.Append(t.Context(), text(1001, "ticket:1", "a"), "")
	require.NoError(t, err)
	_, err = l.Append(t.Context(), text(1001, "ticket:1", "b"), "")
	require.NoError(t, err)
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = l.Load(soon, receipt.Shard, receipt.Position)
	require.ErrorIs(t, err, context.DeadlineExceeded, "this read is held back")
	line.cut()
}

// TestAnAppendIsGivenUpWithItsConnection breaks the connection while the server holds its
// answers back: every append hears of it at once, not when its patience is at its end.
func TestAnAppendIsGivenUpWithItsConnection(t *testing.T) {
	t.Parallel()
	conn := natsdtest.OpenDir(t, t.TempDir())
	line := &mute{quiet: make(chan struct{})}
	other, err := conn.Another(line.between)
	require.NoError(t, err)
	l, err := queue.Open(t.Context(), other.JetStream(), queue.Options{})
	require.NoError(t, err)
	t.Cleanup(func() {
		l.Close()
		require.NoError(t, other.Close())
		require.NoError(t, conn.Close())
	})
	line.hush()
	const n = 20
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := l.Append(context.Background(), text(1001, "ticket:1", "a"), "")
			errs <- err
		}()
	}
	require.Eventually(t, func() bool { return queue.Unanswered(l) == n }, 10*time.Second, time.Millisecond)
	began := time.Now()
	line.cut()
	for range n {
		require.ErrorIs(t, <-errs, queue.ErrUnavailable)
	}
	require.Less(t, time.Since(began), 5*time.Second, "patience is 10 s")
	require.Zero(t, queue.Unanswered(l))
}

// TestAnAppendThatIsNeverAnswered waits for as long as it says, not longer.
func TestAnAppendThatIsNeverAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := natsdtest.OpenDir(t, t.TempDir())
		line := &mute{quiet: make(chan struct{})}
		other, err := conn.Another(line.between)
		require.NoError(t, err)
		l, err := queue.Open(t.Context(), other.JetStream(), queue.Options{})
		require.NoError(t, err)
		_, err = l.Append(t.Context(), text(1001, "ticket:1", "a"), "")
		require.NoError(t, err)
		time.Sleep(7 * time.Second) // the alarm of the first rings while the second waits
		line.hush()
		began := time.Now()
		_, err = l.Append(t.Context(), text(1001, "ticket:1", "b"), "")
		require.ErrorIs(t, err, queue.ErrUnavailable)
		require.Equal(t, 10*time.Second, time.Since(began).Truncate(time.Second))
		require.Zero(t, queue.Unanswered(l))
		l.Close()
		require.NoError(t, other.Close())
		require.NoError(t, conn.Close())
	})
}

// TestAnAppendThatIsGivenUpLeavesNothing ends the wait for an acknowledgement that comes later.
func TestAnAppendThatIsGivenUpLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if _, err := s.Append(gone, text(1001, "ticket:1", "a"), ""); err != nil {
			require.ErrorIs(t, err, queue.ErrUnavailable)
		}
	}
	require.Zero(t, queue.Unanswered(s.Log))
	for range 100 { // what comes late is nobody else's
		first, second := s.send(1001, "b"), s.send(1001, "c")
		require.Less(t, first.Position, second.Position)
		e, err := s.Load(t.Context(), 0, second.Position)
		require.NoError(t, err)
		require.Equal(t, second.ID, e.ID)
	}
}

// mute is a connection whose reader hears nothing once hush was called, until it is cut.
type mute struct {
	net.Conn
	once  sync.Once
	quiet chan struct{}
}

func (m *mute) between(c net.Conn) net.Conn {
	if m.Conn != nil {
		return c // a later connection is as it should be
	}
	m.Conn = c
	return m
}

func (m *mute) hush() { m.once.Do(func() { close(m.quiet) }) }

func (m *mute) Read(p []byte) (int, error) {
	for {
		n, err := m.Conn.Read(p)
		select {
		case <-m.quiet:
			if err != nil {
				return n, err
			}
		default:
			return n, err
		}
	}
}

func (m *mute) cut() { m.Conn.Close() }
