// Package natsdtest gives tests a real embedded JetStream, in milliseconds, also inside a
// testing/synctest bubble.
package natsdtest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd"
)

// Main is the TestMain of packages that start JetStream inside a synctest bubble. The
// server's access-time service starts a goroutine with the first file store and keeps it for
// the process; started here, outside every bubble, it cannot hold a bubble's clock still.
func Main(m *testing.M) {
	ats.Register()
	m.Run() // keeps the exit code for when TestMain returns
	ats.Unregister()
}

// Open starts an embedded JetStream with file storage in a temporary directory and stops it
// with the test.
func Open(t testing.TB) *natsd.Conn {
	t.Helper()
	c := OpenDir(t, t.TempDir())
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// OpenDir is Open on a directory of the caller's, who closes it too: for restarts.
func OpenDir(t testing.TB, dir string) *natsd.Conn {
	t.Helper()
	c, err := natsd.Embedded(natsd.EmbeddedOptions{
		Dir: dir,
		Log: zerolog.Nop(),
		// Each sync is a tick of a bubble's clock; days of fake time should not take many.
		SyncInterval: 10 * time.Minute,
	})
	require.NoError(t, err)
	return c
}
