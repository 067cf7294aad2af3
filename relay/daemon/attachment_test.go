package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
	"omnirelay/relay/helpdesk"
	"omnirelay/relay/sink"
)

// sampled looks at the heap after every 8 MiB that are read.
type sampled struct {
	io.ReadCloser
	n    int
	peak *uint64
}

func (s *sampled) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if before := s.n >> 23; (s.n+n)>>23 != before {
		*s.peak = max(*s.peak, heap())
	}
	s.n += n
	return n, err
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestAnAttachmentGoesThroughPieceByPiece is not parallel, as it looks at the memory of the
// process, and not in a bubble, whose clock would stand still while the embedded server waits
// to give up its caches.
func TestAnAttachmentGoesThroughPieceByPiece(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 64 MiB several times")
	}
	const size = 64 << 20
	h := newHalf(t, omnideskAt)
	desk := h.desk()
	var peak uint64
	answered := make(chan struct{})
	h.out.hosts["desk.example.com"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = &sampled{ReadCloser: r.Body, peak: &peak}
		desk.ServeHTTP(w, r)
		answered <- struct{}{}
	})
	before := heap()
	sum := sha256.New()
	body := io.NopCloser(io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), size), sum))
	file, err := h.files.Put(t.Context(), "holiday.jpg", "image/jpeg", &sampled{ReadCloser: body, peak: &peak}, size)
	require.NoError(t, err)
	m := visitor(helpdesk.TypeChatAttachment, "session-number-1", nil)
	m.Kind, m.Attachments = relay.KindAttachment, []relay.Attachment{file}
	h.append(m)
	<-answered
	h.close()
	want := sink.File{Name: "holiday.jpg", ContentType: "image/jpeg", Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}
	require.Equal(t, []sink.File{want}, desk.Tickets()[0].Files)
	t.Logf("heap before %d KiB, peak %d KiB", before>>10, peak>>10)
	// What there is are caches of the embedded server, a few blocks of 8 MiB each: as much for
	// a file of any size.
	require.Less(t, peak-before, uint64(size/2))
}

// TestAFileThatIsGoneIsGivenUp shows that a message is not tried for days without its file.
func TestAFileThatIsGoneIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, omnideskAt)
		h.desk()
		m := visitor(helpdesk.TypeChatAttachment, "session-number-1", nil)
		m.Kind, m.Attachments = relay.KindAttachment, []relay.Attachment{{File: "file_00000000-0000-7000-8000-000000000000", Size: 1}}
		id := h.append(m)
		h.waitFor(time.Second)
		s := h.status(id)
		require.Equal(t, queue.StateDead, s.State)
		require.Equal(t, relay.ReasonUndeliverable, s.Attempts[0].Reason)
		h.close()
	})
}

// TestARepeatedAttachmentIsTheSame shows that a second attempt sends the same bytes.
func TestARepeatedAttachmentIsTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHalf(t, omnideskAt)
		desk := h.desk()
		desk.Misbehave(sink.Fault{Action: sink.CloseAfter, First: 2}, sink.Fault{Action: sink.Answer, Status: 503, First: 1})
		file, err := h.files.Put(t.Context(), "holiday.jpg", "image/jpeg", io.LimitReader(rand.NewChaCha8([32]byte{1}), 1<<20), 1<<20)
		require.NoError(t, err)
		m := visitor(helpdesk.TypeChatAttachment, "session-number-1", nil)
		m.Kind, m.Attachments = relay.KindAttachment, []relay.Attachment{file}
		id := h.append(m)
		h.waitFor(time.Hour)
		require.Equal(t, queue.StateDelivered, h.status(id).State)
		files := desk.Tickets()[0].Files
		require.Len(t, files, 3, "two that were taken without an answer, and the last")
		require.Equal(t, []sink.File{files[0], files[0], files[0]}, files)
		h.close()
	})
}
