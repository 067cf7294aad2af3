package signer_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/signer"
)

func TestVerifyAcceptsKnownAnswers(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		h := http.Header{}
		signer.SetSignature(h, v.id, time.Unix(v.at, 0), v.signature)
		require.NoError(t, signer.Verify(h, []byte(v.body), time.Unix(v.at, 0), parse(t, v.secret)), v.name)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	body := []byte(`{"type":"message.outbound"}`)
	current, next, other := parse(t, "current"), parse(t, "next"), parse(t, "other")
	good := signer.Sign("msg_1", now, body, current)
	set := func(name, value string) func(http.Header) {
		return func(h http.Header) { h.Set(name, value) }
	}
	sign := func(at time.Time, secrets ...signer.Secret) func(http.Header) {
		return func(h http.Header) { signer.SetHeaders(h, "msg_1", at, body, secrets...) }
	}
	for _, test := range []struct {
		name    string
		change  func(http.Header)
		secrets []signer.Secret // default: current
		body    string          // default: body
		want    error
	}{
		{name: "as sent"},
		{name: "header names in lower case on the wire", change: func(h http.Header) {
			for k, v := range h.Clone() {
				delete(h, k)
				h.Add(strings.ToLower(k), v[0])
			}
		}},
		{name: "rotation: sender has both, receiver the old", change: sign(now, next, current)},
		{name: "rotation: sender has both, receiver the new", change: sign(now, next, current), secrets: []signer.Secret{next}},
		{name: "rotation: sender has one, receiver both", secrets: []signer.Secret{next, current}},
		{name: "zero secrets are passed over", secrets: []signer.Secret{{}, current}},
		{name: "unknown versions are passed over", change: set("webhook-signature", "v1a,AAAA v2,x "+good+" v9")},
		{name: "double space", change: set("webhook-signature", "v1,AAAA  "+good)},
		{name: "at the old edge", change: sign(now.Add(-signer.Tolerance), current)},
		{name: "at the new edge", change: sign(now.Add(signer.Tolerance), current)},

		{name: "too old", change: sign(now.Add(-signer.Tolerance-time.Second), current), want: signer.ErrTooOld},
		{name: "too new", change: sign(now.Add(signer.Tolerance+time.Second), current), want: signer.ErrTooNew},
		{name: "other body", body: `{"type":"message.outbound" }`, want: signer.ErrNoMatch},
		{name: "other id", change: set("webhook-id", "msg_2"), want: signer.ErrNoMatch},
		{name: "other time", change: set("webhook-timestamp", "1700000001"), want: signer.ErrNoMatch},
		{name: "other secret", secrets: []signer.Secret{other, next}, want: signer.ErrNoMatch},
		{name: "v1 signature offered as v1a", change: set("webhook-signature", "v1a"+good[2:]), want: signer.ErrNoSignature},
		{name: "bare base64", change: set("webhook-signature", good[3:]), want: signer.ErrNoSignature},
		{name: "cut signature", change: set("webhook-signature", good[:len(good)-1]), want: signer.ErrNoMatch},
		{name: "only a version", change: set("webhook-signature", "v1,"), want: signer.ErrNoMatch},
		{name: "no secrets", secrets: []signer.Secret{}, want: signer.ErrNoSecret},
		{name: "zero secret alone", secrets: []signer.Secret{{}}, want: signer.ErrNoSecret},
		{name: "no id", change: func(h http.Header) { h.Del("webhook-id") }, want: signer.ErrMissingHeader},
		{name: "no timestamp", change: func(h http.Header) { h.Del("webhook-timestamp") }, want: signer.ErrMissingHeader},
		{name: "no signature", change: func(h http.Header) { h.Del("webhook-signature") }, want: signer.ErrNoSignature},
		{name: "empty signature", change: set("webhook-signature", ""), want: signer.ErrNoSignature},
		{name: "two ids", change: func(h http.Header) { h.Add("webhook-id", "msg_1") }, want: signer.ErrMalformed},
		{name: "two signature headers", change: func(h http.Header) { h.Add("webhook-signature", good) }, want: signer.ErrMalformed},
		{name: "id with a full stop", change: set("webhook-id", "msg.1"), want: signer.ErrMalformed},
		{name: "endless id", change: set("webhook-id", strings.Repeat("m", 257)), want: signer.ErrMalformed},
		{name: "timestamp in words", change: set("webhook-timestamp", "yesterday"), want: signer.ErrMalformed},
		{name: "timestamp with a sign", change: set("webhook-timestamp", "+1700000000"), want: signer.ErrMalformed},
		{name: "timestamp with a zero in front", change: set("webhook-timestamp", "01700000000"), want: signer.ErrMalformed},
		{name: "timestamp before 1970", change: set("webhook-timestamp", "-1"), want: signer.ErrMalformed},
		{name: "timestamp out of range", change: set("webhook-timestamp", "99999999999999999999"), want: signer.ErrMalformed},
		{name: "timestamp far away", change: set("webhook-timestamp", "999999999999"), want: signer.ErrTooNew},
		{name: "17 signatures", change: set("webhook-signature", strings.Repeat("v1,AAAA ", 16)+good), want: signer.ErrMalformed},
		{name: "endless signature", change: set("webhook-signature", "v1,"+strings.Repeat("A", 4096)), want: signer.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			signer.SetHeaders(h, "msg_1", now, body, current)
			if test.change != nil {
				test.change(h)
			}
			secrets, received := test.secrets, body
			if secrets == nil {
				secrets = []signer.Secret{current}
			}
			if test.body != "" {
				received = []byte(test.body)
			}
			err := signer.Verify(h, received, now, secrets...)
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, test.want)
		})
	}
}

// FuzzVerify looks for a panic, for a signature accepted that is not ours, and for a change
// to what was signed that goes unnoticed.
func FuzzVerify(f *testing.F) {
	now := time.Unix(1700000000, 0)
	good := signer.Sign("msg_1", now, []byte("body"), parse(f, "secret"))
	f.Add("msg_1", "1700000000", good, []byte("body"))
	f.Add("msg_1", "1700000000", "v1,AAAA v1a,BBBB "+good, []byte("body"))
	f.Add("msg_1", "+1700000000", good, []byte("body"))
	f.Add("msg_1.1700000000", "1700000000", good, []byte(""))
	f.Add("", "", "", []byte(nil))
	secret := parse(f, "secret")
	f.Fuzz(func(t *testing.T, id, at, signature string, body []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {at}, "Webhook-Signature": {signature}}
		if signer.Verify(h, body, now, secret) == nil {
			// Only the seed signature is known to the fuzzer, so only its content may pass.
			require.Equal(t, "msg_1", id)
			require.Equal(t, "1700000000", at)
			require.Equal(t, "body", string(body))
			require.Contains(t, strings.Split(signature, " "), good)
		}
		// What Sign gives for any id without a full stop, Verify accepts.
		if id == "" || len(id) > 256 || strings.Contains(id, ".") {
			return
		}
		signer.SetHeaders(h, id, now, body, secret)
		require.NoError(t, signer.Verify(h, body, now, secret))
	})
}
