package natsd_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd"
	"omnirelay/queue/natsd/natsdtest"
)

func TestMain(m *testing.M) { natsdtest.Main(m) }

func TestEmbeddedKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := natsdtest.OpenDir(t, dir)
	require.True(t, c.Embedded())
	require.NoError(t, c.Healthy())
	kv, err := c.JetStream().CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "b"})
	require.NoError(t, err)
	_, err = kv.PutString(t.Context(), "k", "v")
	require.NoError(t, err)
	require.NoError(t, c.Close())

	c = natsdtest.OpenDir(t, dir)
	kv, err = c.JetStream().KeyValue(t.Context(), "b")
	require.NoError(t, err)
	e, err := kv.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(e.Value()))
	require.NoError(t, c.Close())
}

func TestEmbeddedRefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := natsdtest.OpenDir(t, dir)
	_, err := natsd.Embedded(natsd.EmbeddedOptions{Dir: dir, Log: zerolog.Nop()})
	require.ErrorContains(t, err, "another omnirelay uses the data directory")
	require.NoError(t, c.Close())
	require.NoError(t, natsdtest.OpenDir(t, dir).Close())
}

func TestAppendsHaveAConnectionOfTheirOwn(t *testing.T) {
	t.Parallel()
	c := natsdtest.Open(t)
	require.NotSame(t, c.NATS(), c.Appends())
	c.Appends().Close()
	require.ErrorContains(t, c.Healthy(), "CLOSED")
}

func TestEmbeddedRunsInFakeTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := natsdtest.OpenDir(t, dir)
		began := time.Now()
		time.Sleep(72 * time.Hour)
		require.Equal(t, 72*time.Hour, time.Since(began))
		require.NoError(t, c.Healthy())
		require.NoError(t, c.Close())
	})
}
