package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/client"
	"omnirelay/relay/sink"
)

// resident reads a figure of the relay's memory, in KiB, as Linux tells it: VmRSS is what is
// resident, VmHWM the most that ever was.
func (r *program) resident(figure string) int {
	r.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.p.PID()))
	if err != nil {
		r.t.Skip("needs /proc: ", err)
	}
	_, tail, ok := strings.Cut(string(text), figure+":")
	require.True(r.t, ok)
	var kib int
	_, err = fmt.Sscan(tail, &kib)
	require.NoError(r.t, err)
	return kib
}

// randomFile is a file's content, made while it is read, and its digest once it was.
func randomFile(seed byte, size int64) (content io.Reader, digest func() string) {
	sum := sha256.New()
	content = io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{seed}), size), sum)
	return content, func() string { return hex.EncodeToString(sum.Sum(nil)) }
}

// upload streams a file in a multipart body and returns its digest.
func (r *program) upload(seed byte, size int64, path, field string, pairs []string) (string, error) {
	content, digest := randomFile(seed, size)
	pr, pw := io.Pipe()
	form := multipart.NewWriter(pw)
	go func() {
		var err error
		for i := 0; i < len(pairs) && err == nil; i += 2 {
			err = form.WriteField(pairs[i], pairs[i+1])
		}
		var part io.Writer
		if err == nil {
			part, err = form.CreateFormFile(field, "holiday.mp4")
		}
		if err == nil {
			_, err = io.Copy(part, content)
		}
		if err == nil {
			err = form.Close()
		}
		_ = pw.CloseWithError(err) // never fails
	}()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.p.API+path, pr)
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("apiKey", r.key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, resp.StatusCode, text)
	}
	return digest(), err
}

// TestLargeAttachmentsTakeLittleMemory sends files of the largest size that is taken by
// default, several at once, both ways: in, to the store, and out to the helpdesk or to whoever
// fetches them.
func TestLargeAttachmentsTakeLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("moves a gigabyte")
	}
	t.Parallel()
	const size, senders, each = 25 << 20, 8, 2
	helpdesk := sink.NewDesk(sink.DeskOptions{APIKey: deskKey})
	at := listen(t, helpdesk)
	r := start(t, "OMNIRELAY_HELPDESK_KIND=omnidesk", "OMNIRELAY_HELPDESK_BASE_URL=http://"+at.addr, "OMNIRELAY_HELPDESK_API_KEY="+deskKey)
	app := receive(t)
	r.channel(app.url())
	account, err := r.CreateAccount(t.Context(), client.AccountFields{Name: new("Web shop")})
	require.NoError(t, err)
	before := r.resident("VmRSS")

	var mu sync.Mutex
	want := map[string][]string{} // the files' digests, by session or ticket
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for n := range each {
				to, path, field, pairs := fmt.Sprint("session-number-", s), "/api/v2/chat/addAttachment", "file",
					[]string{"chatServer", "http://" + app.addr, "chatSessionID", fmt.Sprint("session-number-", s), "chatAccountToken", account.Token}
				if s%4 == 3 { // an agent's, on a custom channel
					to, path, field = fmt.Sprint("ticket:", 1+s), "/api/v2/message", "attachments[]"
					pairs = []string{"type", "1001", "ticketID", fmt.Sprint(1 + s), "message", "see the file"}
				}
				sum, err := r.upload(byte(1+s*each+n), size, path, field, pairs)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				want[to] = append(want[to], sum)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	const agents = senders / 4 * each
	got := map[string][]string{}
	require.True(t, wait(func() bool { return helpdesk.Stats().Accepted == senders*each-agents }), "%+v", helpdesk.Stats())
	for _, ticket := range helpdesk.Tickets() {
		for _, f := range ticket.Files {
			require.EqualValues(t, size, f.Size)
			got[ticket.Session] = append(got[ticket.Session], f.SHA256)
		}
	}
	for _, call := range hooked(t, app, agents) {
		var m struct {
			Data struct {
				Conversation string
				Attachments  []struct{ URL string }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(call.Body), &m))
		require.Len(t, m.Data.Attachments, 1)
		got[m.Data.Conversation] = append(got[m.Data.Conversation], fetch(t, m.Data.Attachments[0].URL))
	}
	require.Equal(t, want, got)
	peak := r.resident("VmHWM")
	t.Logf("%d files of %d MiB, %d at once: %d MiB resident before, %d MiB at most", senders*each, size>>20, senders, before>>10, peak>>10)
	// Most of it are the store's caches: blocks of 8 MiB, for ten seconds after they were
	// read. What the relay holds itself, tests in relay/api and relay/daemon tell: 1 MiB a file.
	require.Less(t, peak, 600<<10, "%d MiB went in, and out again", senders*each*size>>20)
}

// fetch downloads a file and returns its digest.
func fetch(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	sum := sha256.New()
	_, err = io.Copy(sum, resp.Body)
	require.NoError(t, err)
	return hex.EncodeToString(sum.Sum(nil))
}
