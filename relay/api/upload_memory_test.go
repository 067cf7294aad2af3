package api_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/api"
)

// pattern gives a file's bytes without ever having them all, and notes how much memory is in
// use while they are read.
type pattern struct {
	left, next int
	peak       uint64
}

func (p *pattern) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	if p.left <= p.next {
		p.next -= 8 << 20
		p.peak = max(p.peak, live())
	}
	n := min(len(b), p.left)
	b[0] = byte(p.left)
	p.left -= n
	return n, nil
}

// live is how much memory is in use once garbage is gone.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestALargeFileIsNeverWholeInMemory is not parallel: it measures the whole process.
func TestALargeFileIsNeverWholeInMemory(t *testing.T) {
	const size = 48 << 20
	w := newWorld(t, func(o *api.Options) { o.AttachmentLimit = size })
	a := w.account(nil)
	w.begun(a)
	server := httptest.NewServer(w.api)
	t.Cleanup(server.Close)
	query := url.Values{"chatServer": {chatServer}, "chatSessionID": {sessionID}, "chatAccountToken": {a.Token}}
	position := relay.Position(1)
	for name, test := range map[string]struct {
		contentType, before, after string
		text                       bool
	}{
		"multipart":  {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n", "\r\n--x--\r\n", false},
		"urlencoded": {"application/x-www-form-urlencoded", "file=", "", true},
		"json":       {"application/json", `{"file":"`, `"}`, true},
	} {
		base := live()
		file := &pattern{left: size, next: size}
		content := io.Reader(file)
		if test.text {
			pr, pw := io.Pipe()
			go func() {
				encoder := base64.NewEncoder(base64.StdEncoding, pw)
				_, err := io.Copy(encoder, file)
				if err == nil {
					err = encoder.Close()
				}
				pw.CloseWithError(err)
			}()
			content = pr
		}
		body := io.MultiReader(bytes.NewBufferString(test.before), content, bytes.NewBufferString(test.after))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+chatPath+"addAttachment?"+query.Encode(), body)
		require.NoError(t, err)
		req.Header.Set("Content-Type", test.contentType)
		req.Header.Set("apiKey", w.admin)
		res, err := server.Client().Do(req)
		require.NoError(t, err)
		answer, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, 200, res.StatusCode, string(answer))
		position++
		require.EqualValues(t, size, w.stored(position).Attachments[0].Size)
		t.Logf("%s: %.1f MiB in use at most, for a file of %d MiB", name, float64(int64(file.peak)-int64(base))/(1<<20), size>>20)
		// The store has two blocks of 8 MiB in memory; what the relay itself holds is 1 MiB.
		require.Less(t, int64(file.peak)-int64(base), int64(size)*2/3, name)
	}
}
