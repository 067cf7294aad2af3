package natsd_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd"
	"omnirelay/queue/natsd/natsdtest"
)

// What is acknowledged is in the block files that a flush syncs, and in the newest or the
// one before: the flusher relies on the server's file layout, and this is where a change of
// it shows.
func TestAcknowledgedBytesAreInTheFlushedFiles(t *testing.T) {
	t.Parallel()
	c := natsdtest.Open(t)
	_, err := c.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Storage: jetstream.FileStorage})
	require.NoError(t, err)
	flusher := c.Flusher("S")
	filler := bytes.Repeat([]byte("filler "), 1<<16)
	for i := range 40 { // enough for several block files
		mark := []byte("acknowledged-" + string(rune('A'+i)) + "!")
		_, err := c.JetStream().Publish(t.Context(), "s", append(filler, mark...))
		require.NoError(t, err)
		require.True(t, contains(t, flusher, mark), "message %d is not in any file that a flush would sync", i)
		require.NoError(t, flusher.Flush())
	}
	require.Greater(t, len(natsd.Blocks(flusher)), 1, "the test must see a change of files")
}

func contains(t *testing.T, f *natsd.Flusher, mark []byte) bool {
	t.Helper()
	for _, name := range natsd.Pending(f) {
		data, err := os.ReadFile(filepath.Join(natsd.Dir(f), name))
		require.NoError(t, err)
		if bytes.Contains(data, mark) {
			return true
		}
	}
	return false
}

func TestAFailedFlushStaysFailed(t *testing.T) {
	t.Parallel()
	c := natsdtest.Open(t)
	f := c.Flusher("NOSUCH")
	first := f.Flush()
	require.ErrorContains(t, first, "check the disk")
	_, err := c.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "NOSUCH", Subjects: []string{"n"}})
	require.NoError(t, err)
	require.Equal(t, first, f.Flush())
}

func BenchmarkFlush(b *testing.B) {
	c := natsdtest.Open(b)
	_, err := c.JetStream().CreateStream(b.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	require.NoError(b, err)
	flusher := c.Flusher("S")
	data := make([]byte, 512)
	b.ReportAllocs()
	for b.Loop() {
		_, err := c.JetStream().Publish(b.Context(), "s", data)
		require.NoError(b, err)
		require.NoError(b, flusher.Flush())
	}
}
