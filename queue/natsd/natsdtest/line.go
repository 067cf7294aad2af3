package natsdtest

import (
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd"
)

// Line is a connection of its own to an embedded server, and can be cut: then nothing comes
// through in either direction and nobody is told, as when a network is partitioned.
type Line struct {
	*natsd.Conn

	mu   sync.Mutex
	cut  bool
	mend chan struct{} // closed while the line is whole
	held [][]byte      // what was sent into the cut line
	ends []*end
}

// Connect makes a Line to the server of c. The caller closes it.
func Connect(t testing.TB, c *natsd.Conn) *Line {
	t.Helper()
	l := &Line{mend: make(chan struct{})}
	close(l.mend)
	var err error
	l.Conn, err = c.Another(func(c net.Conn) net.Conn {
		e := &end{Conn: c, line: l, closed: make(chan struct{})}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ends = append(l.ends, e)
		return e
	})
	require.NoError(t, err)
	return l
}

// Cut lets nothing more through.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.mend = true, make(chan struct{})
}

// Mend lets everything through again. What was under way comes through late, as far as the
// server has not given the connection up.
func (l *Line) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.ends[len(l.ends)-1]
	for _, p := range l.held {
		if _, err := last.Conn.Write(p); err != nil {
			break
		}
	}
	l.cut, l.held = false, nil
	close(l.mend)
}

func (l *Line) mended() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mend
}

// end is the client's end of a connection.
type end struct {
	net.Conn
	line   *Line
	once   sync.Once
	closed chan struct{}
}

// Read implements net.Conn.
func (e *end) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	select {
	case <-e.line.mended():
		return n, err
	case <-e.closed:
		return 0, net.ErrClosed
	}
}

// Write implements net.Conn. It never waits for a mended line, as a socket with room in its
// buffer does not.
func (e *end) Write(p []byte) (int, error) {
	e.line.mu.Lock()
	if e.line.cut {
		defer e.line.mu.Unlock()
		e.line.held = append(e.line.held, append([]byte(nil), p...))
		return len(p), nil
	}
	e.line.mu.Unlock()
	return e.Conn.Write(p)
}

// Close implements net.Conn.
func (e *end) Close() error {
	e.once.Do(func() { close(e.closed) })
	return e.Conn.Close()
}
