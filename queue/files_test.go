package queue_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
)

// openFiles opens a file store on a JetStream of its own.
func openFiles(t *testing.T) (*queue.Files, *queue.Log, jetstream.JetStream) {
	t.Helper()
	js := natsdtest.Open(t).JetStream()
	log, err := queue.Open(t.Context(), js, queue.Options{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(log.Close)
	files, err := log.OpenFiles(t.Context())
	require.NoError(t, err)
	return files, log, js
}

// noise gives n bytes that are the same for the same n.
func noise(n int64) io.Reader {
	seed := [32]byte{byte(n), byte(n >> 8), byte(n >> 16)}
	return io.LimitReader(rand.NewChaCha8(seed), n)
}

func parts(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), "OBJ_RELAY_FILES")
	require.NoError(t, err)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	return info.State.Msgs
}

func TestAFileComesBackAsItWasPut(t *testing.T) {
	t.Parallel()
	files, _, js := openFiles(t)
	const chunk = 128 << 10
	for _, size := range []int64{0, 1, chunk - 1, chunk, chunk + 1, 20*chunk + 7} {
		want, err := io.ReadAll(noise(size))
		require.NoError(t, err)
		// A reader that gives little at a time must not make small parts.
		a, err := files.Put(t.Context(), "photo é.jpg", "image/jpeg", iotest.HalfReader(bytes.NewReader(want)), size)
		require.NoError(t, err)
		require.Equal(t, relay.Attachment{File: a.File, Name: "photo é.jpg", ContentType: "image/jpeg", Size: size}, a)

		stat, err := files.Stat(t.Context(), a.File)
		require.NoError(t, err)
		require.Equal(t, a, stat)

		r, n, err := files.Open(t.Context(), a.File)
		require.NoError(t, err)
		require.Equal(t, size, n)
		got, err := io.ReadAll(iotest.OneByteReader(io.LimitReader(r, 3)))
		require.NoError(t, err)
		rest, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, append(got, rest...)))
		require.NoError(t, r.Close())

		require.NoError(t, files.Delete(t.Context(), a.File))
		require.NoError(t, files.Delete(t.Context(), a.File), "deleting twice is no error")
		_, _, err = files.Open(t.Context(), a.File)
		require.ErrorIs(t, err, queue.ErrNotFound)
	}
	require.Zero(t, parts(t, js))
}

func TestTheToolsOfNATSCanReadAFile(t *testing.T) {
	t.Parallel()
	files, _, js := openFiles(t)
	a, err := files.Put(t.Context(), "n", "text/plain", noise(300_000), 1<<20)
	require.NoError(t, err)
	store, err := js.ObjectStore(t.Context(), "RELAY_FILES")
	require.NoError(t, err)
	got, err := store.GetBytes(t.Context(), a.File) // checks the digest as well
	require.NoError(t, err)
	require.Len(t, got, 300_000)
}

func TestOfARefusedFileNothingIsKept(t *testing.T) {
	t.Parallel()
	broken := errors.New("the sender hung up")
	tests := map[string]struct {
		body io.Reader
		want error
	}{
		"one byte too many": {noise(1<<20 + 1), queue.ErrTooLarge},
		"far too large":     {noise(3 << 20), queue.ErrTooLarge},
		"breaks off":        {io.MultiReader(noise(500_000), iotest.ErrReader(broken)), broken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, _, js := openFiles(t)
			_, err := files.Put(t.Context(), "n", "text/plain", test.body, 1<<20)
			require.ErrorIs(t, err, test.want)
			require.Zero(t, parts(t, js))
		})
	}
}

func TestAFullStoreTakesNoFile(t *testing.T) {
	t.Parallel()
	files, log, js := openFiles(t)
	log.SetRoom(0)
	_, err := files.Put(t.Context(), "n", "text/plain", noise(10), 1<<20)
	require.ErrorIs(t, err, queue.ErrFull)
	require.Zero(t, parts(t, js))
}

func TestADamagedFileIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	files, _, js := openFiles(t)
	a, err := files.Put(t.Context(), "n", "text/plain", noise(200_000), 1<<20)
	require.NoError(t, err)
	store, err := js.ObjectStore(t.Context(), "RELAY_FILES")
	require.NoError(t, err)
	info, err := store.GetInfo(t.Context(), a.File)
	require.NoError(t, err)
	// Other bytes of the same number in place of the parts.
	s, err := js.Stream(t.Context(), "OBJ_RELAY_FILES")
	require.NoError(t, err)
	subject := "$O.RELAY_FILES.C." + info.NUID
	require.NoError(t, s.Purge(t.Context(), jetstream.WithPurgeSubject(subject)))
	_, err = js.Publish(t.Context(), subject, make([]byte, 200_000))
	require.NoError(t, err)

	r, _, err := files.Open(t.Context(), a.File)
	require.NoError(t, err)
	defer r.Close()
	_, err = io.ReadAll(r)
	require.ErrorContains(t, err, "damaged")
}

func TestReadingAFileEndsWithItsContext(t *testing.T) {
	t.Parallel()
	files, _, _ := openFiles(t)
	a, err := files.Put(t.Context(), "n", "text/plain", noise(4<<20), 8<<20)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r, _, err := files.Open(ctx, a.File)
	require.NoError(t, err)
	defer r.Close()
	_, err = io.ReadFull(r, make([]byte, 10))
	require.NoError(t, err)
	cancel()
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, context.Canceled)
}

func TestNoSuchFile(t *testing.T) {
	t.Parallel()
	files, _, _ := openFiles(t)
	for _, name := range []string{"", "x", "file_", "file_00000000-0000-7000-8000-000000000000", "file_*", "../../etc/passwd0000000000000000000000000000"} {
		_, _, err := files.Open(t.Context(), name)
		require.ErrorIs(t, err, queue.ErrNotFound, name)
	}
}

func TestSweepKeepsWhatAMessageNeeds(t *testing.T) {
	t.Parallel()
	files, log, js := openFiles(t)
	schedule, err := log.OpenSchedule(t.Context())
	require.NoError(t, err)
	t.Cleanup(schedule.Close)
	put := func() relay.Attachment {
		a, err := files.Put(t.Context(), "n", "text/plain", noise(200_000), 1<<20)
		require.NoError(t, err)
		return a
	}
	with := func(a relay.Attachment) relay.Message {
		return relay.Message{Type: "chat.attachment", Kind: relay.KindAttachment, Direction: relay.Inbound,
			Destination: relay.Helpdesk, Conversation: "session:1", Attachments: []relay.Attachment{a}}
	}
	accepted, buried, scheduled, orphan := put(), put(), put(), put()
	m := with(accepted)
	_, err = log.Append(t.Context(), &m, "")
	require.NoError(t, err)
	m = with(buried)
	m.ID = relay.NewID()
	require.NoError(t, log.Bury(t.Context(), queue.DeadLetter{Message: m, Attempt: relay.Attempt{MessageID: m.ID, Position: 1}}))
	m = with(scheduled)
	m.DueAt = time.Now().Add(time.Hour)
	_, err = schedule.Add(t.Context(), &m, "")
	require.NoError(t, err)
	// What a crash in the middle of an upload leaves.
	_, err = js.Publish(t.Context(), "$O.RELAY_FILES.C.remains", []byte("x"))
	require.NoError(t, err)

	n, err := files.Sweep(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Zero(t, n, "a file younger than an hour stays, whatever Sweep is told")

	n, err = files.SweepAt(t.Context(), time.Now().Add(time.Minute))
	require.NoError(t, err)
	require.Equal(t, 2, n, "the orphan and the remains")
	_, err = files.Stat(t.Context(), orphan.File)
	require.ErrorIs(t, err, queue.ErrNotFound)
	for _, a := range []relay.Attachment{accepted, buried, scheduled} {
		_, err = files.Stat(t.Context(), a.File)
		require.NoError(t, err)
	}
}

// TestAFileIsNeverWholeInMemory is not parallel: it looks at the memory of the process.
func TestAFileIsNeverWholeInMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 96 MiB several times")
	}
	files, _, _ := openFiles(t)
	const size = 96 << 20
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, peak := heap(), uint64(0)
	look := func(n int64) {
		if n%(16<<20) == 0 {
			peak = max(peak, heap())
		}
	}
	sum := sha256.New()
	a, err := files.Put(t.Context(), "n", "video/mp4", io.TeeReader(&watched{r: noise(size), each: look}, sum), size)
	require.NoError(t, err)
	r, _, err := files.Open(t.Context(), a.File)
	require.NoError(t, err)
	defer r.Close()
	again := sha256.New()
	_, err = io.CopyBuffer(again, struct{ io.Reader }{&watched{r: r, each: look}}, make([]byte, 32<<10))
	require.NoError(t, err)
	require.Equal(t, sum.Sum(nil), again.Sum(nil))
	t.Logf("heap before %d KiB, peak %d KiB", before>>10, peak>>10)
	require.Less(t, peak-before, uint64(size/2))
}

// watched calls each after every 128 KiB that are read.
type watched struct {
	r    io.Reader
	n    int64
	each func(total int64)
}

func (w *watched) Read(p []byte) (int, error) {
	left := 128<<10 - w.n%(128<<10)
	n, err := w.r.Read(p[:min(int64(len(p)), left)])
	w.n += int64(n)
	if w.n%(128<<10) == 0 {
		w.each(w.n)
	}
	return n, err
}
