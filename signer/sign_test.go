package signer_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/signer"
)

// vectors are known answers; each was computed with "openssl dgst -sha256 -mac HMAC" from
// the key, the id, the time and the body. The first uses the inputs that the Standard
// Webhooks libraries use in their own tests.
var vectors = []struct {
	name, secret, id string
	at               int64
	body, signature  string
}{
	{
		name: "libraries", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		id: "msg_p5jXN8AQM9LWM0D4loKWxJek", at: 1614265330, body: `{"test": 2432232314}`,
		signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
	},
	{
		name: "specification example", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		id: "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", at: 1674087231,
		body:      `{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1f81eb52-5198-4599-803e-771906343485"}}`,
		signature: "v1,ARw42xaAApl/nxRo+iPGYwSaMQaOwMo2eyH5JBRA+bQ=",
	},
	{
		name: "plain secret, empty body", secret: "a plain text secret",
		id: "msg_1", at: 0, body: "", signature: "v1,Tk1XQkcDUQsvzMDpPmxNz//v7v2VWdsXngw0iN5OHac=",
	},
	{
		name: "key longer than a block", secret: "01234567890123456789012345678901234567890123456789012345678901234567890123456789",
		id: "msg_2", at: 1700000000, body: "\x00\xff binary", signature: "v1,c09tm7UQN+jOwhNOai5AG5lqoAgH4lk/QNgqyYlzG40=",
	},
}

func TestSignGivesKnownAnswers(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			secret, at := parse(t, v.secret), time.Unix(v.at, 0)
			// Twice: the second uses an HMAC that was used before.
			for range 2 {
				require.Equal(t, v.signature, signer.Sign(v.id, at, []byte(v.body), secret))
			}
			streamed, err := signer.SignReader(v.id, at, iotest.OneByteReader(strings.NewReader(v.body)), secret)
			require.NoError(t, err)
			require.Equal(t, v.signature, streamed)
		})
	}
}

func TestSignWithSeveralSecretsListsASignatureForEach(t *testing.T) {
	t.Parallel()
	at, body := time.Unix(1700000000, 0), []byte("body")
	a, b, c := parse(t, "a"), parse(t, "b"), parse(t, "c")
	want := strings.Join([]string{
		signer.Sign("m", at, body, a), signer.Sign("m", at, body, b), signer.Sign("m", at, body, c),
	}, " ")
	require.Equal(t, want, signer.Sign("m", at, body, a, signer.Secret{}, b, c))
	streamed, err := signer.SignReader("m", at, strings.NewReader("body"), a, b, signer.Secret{}, c)
	require.NoError(t, err)
	require.Equal(t, want, streamed)
}

func TestSignReaderReportsABrokenBodyAndStaysUsable(t *testing.T) {
	t.Parallel()
	at, secret, broken := time.Unix(1700000000, 0), parse(t, "a"), errors.New("disk gone")
	_, err := signer.SignReader("m", at, iotest.ErrReader(broken), secret)
	require.ErrorIs(t, err, broken)
	// What the broken body left in the HMAC must not show in the next signature.
	again, err := signer.SignReader("m", at, strings.NewReader("body"), secret)
	require.NoError(t, err)
	require.Equal(t, signer.Sign("m", at, []byte("body"), parse(t, "a")), again)
}

func TestSetHeadersWithoutSecretLeavesNoSignature(t *testing.T) {
	t.Parallel()
	at, h := time.Unix(1700000000, 0), http.Header{}
	signer.SetHeaders(h, "m", at, nil, parse(t, "a"))
	require.Equal(t, "m", h.Get("webhook-id"))
	require.Equal(t, "1700000000", h.Get("webhook-timestamp"))
	require.Equal(t, signer.Sign("m", at, nil, parse(t, "a")), h.Get("webhook-signature"))

	signer.SetHeaders(h, "m", at, nil)
	require.NotContains(t, h, "Webhook-Signature")
	require.Equal(t, "m", h.Get("webhook-id"))
}

func TestSecretIsSafeForManyGoroutines(t *testing.T) {
	t.Parallel()
	secret, at := parse(t, "shared"), time.Unix(1700000000, 0)
	bodies := [][]byte{[]byte("one"), []byte("two"), []byte("three")}
	want := make([]string, len(bodies))
	for i, body := range bodies {
		want[i] = signer.Sign("m", at, body, parse(t, "shared"))
	}
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for n := range 50 {
				k := (i + n) % len(bodies)
				if got := signer.Sign("m", at, bodies[k], secret); got != want[k] {
					t.Errorf("body %d signed %q, want %q", k, got, want[k])
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkSetHeaders(b *testing.B) {
	secret, at, body := parse(b, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), time.Unix(1700000000, 0), make([]byte, 512)
	h := make(http.Header, 8)
	b.ReportAllocs()
	for b.Loop() {
		signer.SetHeaders(h, "msg_019aab3c-6b1e-7c3a-9b57-1f0c2d3e4f50", at, body, secret)
	}
}

func BenchmarkVerify(b *testing.B) {
	secret, at, body := parse(b, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), time.Unix(1700000000, 0), make([]byte, 512)
	h := make(http.Header, 8)
	signer.SetHeaders(h, "msg_019aab3c-6b1e-7c3a-9b57-1f0c2d3e4f50", at, body, secret)
	b.ReportAllocs()
	for b.Loop() {
		if err := signer.Verify(h, body, at, secret); err != nil {
			b.Fatal(err)
		}
	}
}
