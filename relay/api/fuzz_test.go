package api_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzIntake sends any body to every call that takes fields: each is answered with 200 or
// a refusal of the client's, never with a failure of the relay.
func FuzzIntake(f *testing.F) {
	f.Add("application/json", []byte(`{"channelID":1001,"ticketID":"5","type":"1001","message":"ok","name":"n","permissions":["RELAY_READ"]}`))
	f.Add("application/json", []byte(`{"data":{"message":{"text":"ok"},"to":{"address":"ann"}},"messageID":"a"}`))
	f.Add("application/x-www-form-urlencoded", []byte("channelID=1001&message=ok&sendAt=2030-01-01+00:00:00&forwardedFileIDs[]=1"))
	f.Add("application/x-www-form-urlencoded", []byte("name=n&custom_channel_endpoint=http://a&concurrency=99999999999&rate_limit=1e400&timeout=1h"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nok\r\n--x--\r\n"))
	w := newWorld(f)
	c := w.channel(0, nil)
	calls := [][2]string{
		{"POST", inboundPath}, {"POST", outboundPath}, {"POST", "/hooks/channel/1001/" + c.HookToken.Reveal()},
		{"POST", "/api/v2/channel"}, {"PUT", "/api/v2/channel/1001"}, {"POST", "/relay/v1/keys"},
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		w := *w
		w.t = t
		for _, call := range calls {
			a := w.raw(call[0], call[1], w.admin, contentType, bytes.NewReader(body))
			require.True(t, a.status == 200 || a.status >= 400 && a.status < 500, "%s %s: %d %s", call[0], call[1], a.status, a.text)
			if a.status != 200 {
				require.Equal(t, "error", a.body["type"])
				require.NotEmpty(t, a.body["code"])
			}
		}
	})
}
