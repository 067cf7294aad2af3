package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/sink"
)

const deskKey = "the-key-of-the-helpdesks-account"

// desk is the stand-in for the helpdesk, which holds every call to the documented rules,
// behind eyes of the test's own: what came is read here without the project's decoders.
type desk struct {
	*host
	*sink.Desk

	mu   sync.Mutex
	seen []deskCall
}

// deskCall is a call that the helpdesk got.
type deskCall struct {
	Call   string // method and path, without /api/v2/
	Query  string // without apiKey, encoded
	Fields []string
	File   string // name, content type and SHA-256
	Key    string
	ID     string // webhook-id
	Status int    // of the answer; 0 for none
}

// openDesk opens a helpdesk and returns it with the settings that put it behind a relay.
func openDesk(t *testing.T, settings ...string) (d *desk, env []string) {
	t.Helper()
	d = &desk{Desk: sink.NewDesk(sink.DeskOptions{APIKey: deskKey})}
	d.host = listen(t, d)
	return d, append([]string{
		"OMNIRELAY_HELPDESK_KIND=omnidesk", "OMNIRELAY_HELPDESK_BASE_URL=http://" + d.addr, "OMNIRELAY_HELPDESK_API_KEY=" + deskKey, quickProbes,
	}, settings...)
}

// ServeHTTP implements http.Handler.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/api/v2/") {
		d.Desk.ServeHTTP(w, r)
		return
	}
	c := deskCall{
		Call: r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v2/"), Query: withoutKey(r.URL.Query()),
		Key: r.Header.Get("apiKey"), ID: r.Header.Get("webhook-id"),
	}
	body, err := io.ReadAll(r.Body)
	if err == nil && len(body) > 0 {
		err = c.read(r.Header.Get("Content-Type"), body)
	}
	if err != nil {
		c.Fields = []string{"unreadable: " + err.Error()}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	rec := &statusWriter{ResponseWriter: w}
	d.Desk.ServeHTTP(rec, r)
	c.Status = rec.status
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = append(d.seen, c)
}

func withoutKey(v url.Values) string {
	v.Del("apiKey")
	return v.Encode()
}

// read takes a multipart body apart.
func (c *deskCall) read(contentType string, body []byte) error {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return err
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(p)
		if err != nil {
			return err
		}
		if p.FileName() != "" {
			c.File = fileText(p.FormName()+" "+p.FileName(), p.Header.Get("Content-Type"), data)
			continue
		}
		c.Fields = append(c.Fields, p.FormName()+"="+string(data))
	}
}

// fileText is a file as calls show it.
func fileText(name, contentType string, content []byte) string {
	sum := sha256.Sum256(content)
	return name + ", " + contentType + ", " + hex.EncodeToString(sum[:])
}

// statusWriter notes the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the connection be taken over, as faults do.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// calls are those that were taken so far.
func (d *desk) calls() []deskCall {
	d.mu.Lock()
	defer d.mu.Unlock()
	var taken []deskCall
	for _, c := range d.seen {
		if c.Status == http.StatusOK {
			taken = append(taken, c)
		}
	}
	return taken
}

// count is how many calls came, taken or not.
func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.seen)
}

// takes waits until the helpdesk has taken so many calls, and returns them.
func (d *desk) takes(n int) []deskCall {
	d.host.t.Helper()
	if !wait(func() bool { return len(d.calls()) >= n }) || len(d.calls()) > n {
		require.Fail(d.host.t, "not as many calls as expected", "%d expected, got %+v", n, d.calls())
	}
	return d.calls()
}
