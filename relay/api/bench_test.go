package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"omnirelay/relay/api"

	"github.com/rs/zerolog"
)

// BenchmarkIntake is a whole request of a customer's message, in process, up to the
// acknowledgement by a JetStream that does not fsync each message.
func BenchmarkIntake(b *testing.B) {
	quiet := func(o *api.Options) { o.Log = zerolog.New(io.Discard).Level(zerolog.InfoLevel) }
	pairs := []string{"channelID", "1001", "ticketID", "858462", "message", strings.Repeat("text ", 60), "fromAddress", "+31612345678", "userID", "254"}
	for _, encoding := range []string{"json", "urlencoded", "multipart"} {
		b.Run(encoding, func(b *testing.B) {
			w := newWorld(b, quiet)
			w.channel(0, nil)
			contentType, reader := encodings[encoding](b, pairs)
			data, err := io.ReadAll(reader)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				w.post(b, contentType, string(data), http.StatusOK)
			}
		})
	}
	// The same without the store: what the API itself costs.
	b.Run("refused", func(b *testing.B) {
		w := newWorld(b, quiet)
		w.channel(0, nil)
		w.queue.SetRoom(0)
		contentType, reader := encodings["json"](b, pairs)
		data, err := io.ReadAll(reader)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			w.post(b, contentType, string(data), http.StatusServiceUnavailable)
		}
	})
}

func (w *world) post(b *testing.B, contentType, body string, want int) {
	b.Helper()
	r := httptest.NewRequest(http.MethodPost, inboundPath, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("apiKey", w.admin)
	rec := httptest.NewRecorder()
	w.api.ServeHTTP(rec, r)
	if rec.Code != want {
		b.Fatalf("answered %d %s", rec.Code, rec.Body)
	}
}
