package queue_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
)

func purgeBelow(seq uint64) jetstream.StreamPurgeOpt { return jetstream.WithPurgeSequence(seq) }

func bytesOf(t *testing.T, n int64) []byte {
	t.Helper()
	data, err := io.ReadAll(noise(n))
	require.NoError(t, err)
	return data
}

func TestSnapshotsOfAnySize(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{Shards: 2})
	none, err := s.LoadSnapshot(t.Context(), 0)
	require.NoError(t, err)
	require.Nil(t, none)
	const part = 512 << 10
	for _, size := range []int64{1, part - 1, part, part + 1, 5*part + 3, 10} {
		want := bytesOf(t, size)
		require.NoError(t, s.SaveSnapshot(t.Context(), 0, want))
		got, err := s.LoadSnapshot(t.Context(), 0)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%d bytes", size)
	}
	other, err := s.LoadSnapshot(t.Context(), 1)
	require.NoError(t, err)
	require.Nil(t, other, "each shard has its own")
}

// TestAnUnfinishedSnapshotIsNotInForce stores the parts of one without its head, as a crash
// does.
func TestAnUnfinishedSnapshotIsNotInForce(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	require.NoError(t, s.SaveSnapshot(t.Context(), 0, []byte("first")))
	require.NoError(t, s.SaveSnapshot(t.Context(), 0, []byte("second")))
	cut, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, s.SaveSnapshot(cut, 0, []byte("third")))
	kv, err := s.conn.JetStream().KeyValue(t.Context(), "RELAY_SNAPSHOT")
	require.NoError(t, err)
	spoiled := 0
	for key, slot := range s.parts(kv) {
		if slot == "0" { // second is in slot 1: its two are first and third
			_, err := kv.Put(t.Context(), key, []byte("half"))
			require.NoError(t, err)
			spoiled++
		}
	}
	require.Equal(t, 1, spoiled)
	got, err := s.LoadSnapshot(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, "second", string(got))
}

// parts are the keys of shard 0's parts and the slots that they are in.
func (s *store) parts(kv jetstream.KeyValue) map[string]string {
	s.t.Helper()
	keys, err := kv.Keys(context.Background())
	require.NoError(s.t, err)
	list := map[string]string{}
	for _, key := range keys {
		if tokens := bytes.Split([]byte(key), []byte(".")); len(tokens) == 5 {
			list[key] = string(tokens[3])
		}
	}
	return list
}

func TestADamagedSnapshotIsRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	require.NoError(t, s.SaveSnapshot(t.Context(), 0, []byte("first")))
	kv, err := s.conn.JetStream().KeyValue(t.Context(), "RELAY_SNAPSHOT")
	require.NoError(t, err)
	for key := range s.parts(kv) {
		_, err := kv.Put(t.Context(), key, []byte("firsT"))
		require.NoError(t, err)
	}
	_, err = s.LoadSnapshot(t.Context(), 0)
	require.ErrorContains(t, err, "damaged")
}

// TestASupersededOwnerCannotSave is the fence between an owner that has lost its shard without
// noticing and its successor.
func TestASupersededOwnerCannotSave(t *testing.T) {
	t.Parallel()
	first := newStore(t, queue.Options{})
	_, err := first.LoadSnapshot(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, first.SaveSnapshot(t.Context(), 0, []byte("by the first")))

	second, err := queue.Open(t.Context(), first.conn.JetStream(), queue.Options{Log: zerolog.Nop()})
	require.NoError(t, err)
	defer second.Close()
	got, err := second.LoadSnapshot(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, "by the first", string(got))
	require.ErrorIs(t, first.SaveSnapshot(t.Context(), 0, []byte("too late")), queue.ErrConflict)
	require.ErrorIs(t, first.SaveSnapshot(t.Context(), 0, []byte("later still")), queue.ErrConflict)
	require.NoError(t, second.SaveSnapshot(t.Context(), 0, []byte("by the second")))
	require.NoError(t, second.SaveSnapshot(t.Context(), 0, []byte("again")))
	require.ErrorIs(t, first.SaveSnapshot(t.Context(), 0, []byte("even now")), queue.ErrConflict)

	got, err = first.LoadSnapshot(t.Context(), 0) // and back
	require.NoError(t, err)
	require.Equal(t, "again", string(got))
	require.ErrorIs(t, second.SaveSnapshot(t.Context(), 0, []byte("x")), queue.ErrConflict)
	require.NoError(t, first.SaveSnapshot(t.Context(), 0, []byte("back")))

	kv, err := first.conn.JetStream().KeyValue(t.Context(), "RELAY_SNAPSHOT")
	require.NoError(t, err)
	require.LessOrEqual(t, len(first.parts(kv)), 4, "what earlier owners wrote is cleared away")
}
