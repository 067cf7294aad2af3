package deliver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/deliver"
	"omnirelay/relay/egress"
)

// TestClassify is the whole truth table.
func TestClassify(t *testing.T) {
	t.Parallel()
	alone := map[int]relay.Reason{410: relay.ReasonGone, 429: relay.ReasonRateLimited}
	hundreds := []relay.Reason{
		relay.ReasonStatus5xx, // 0..99
		relay.ReasonStatus5xx, // 1xx
		relay.ReasonOK,        // 2xx
		relay.ReasonRedirect,  // 3xx
		relay.ReasonStatus4xx, // 4xx
		relay.ReasonStatus5xx, // 5xx
		relay.ReasonStatus5xx, relay.ReasonStatus5xx, relay.ReasonStatus5xx, relay.ReasonStatus5xx,
	}
	for status := range 1000 {
		want, ok := alone[status]
		if !ok {
			want = hundreds[status/100]
		}
		require.Equal(t, want, deliver.Classify(status), "status %d", status)
	}
	for _, status := range []int{-1, 1000, 1 << 30} {
		require.Equal(t, relay.ReasonStatus5xx, deliver.Classify(status), "status %d", status)
	}
}

func TestClassifyError(t *testing.T) {
	t.Parallel()
	op := func(name string, err error) error {
		return &net.OpError{Op: name, Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, test := range []struct {
		err  error
		want relay.Reason
	}{
		{nil, relay.ReasonOK},
		{&egress.BlockedError{}, relay.ReasonBlockedAddress},
		{&net.OpError{Op: "dial", Err: &egress.BlockedError{}}, relay.ReasonBlockedAddress},
		{&net.DNSError{IsNotFound: true}, relay.ReasonDNS},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, relay.ReasonDNS},
		{op("dial", syscall.ECONNREFUSED), relay.ReasonRefused},
		{op("read", syscall.ECONNRESET), relay.ReasonReset},
		{op("write", syscall.EPIPE), relay.ReasonReset},
		{op("read", syscall.ECONNABORTED), relay.ReasonReset},
		{io.EOF, relay.ReasonReset},
		{io.ErrUnexpectedEOF, relay.ReasonReset},
		{fmt.Errorf("reading: %w", io.EOF), relay.ReasonReset},
		{context.DeadlineExceeded, relay.ReasonTimeout},
		{os.ErrDeadlineExceeded, relay.ReasonTimeout},
		{op("dial", syscall.ETIMEDOUT), relay.ReasonTimeout},
		{&url.Error{Op: "Post", Err: context.DeadlineExceeded}, relay.ReasonTimeout},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, relay.ReasonTLS},
		{x509.UnknownAuthorityError{}, relay.ReasonTLS},
		{x509.HostnameError{Certificate: &x509.Certificate{}}, relay.ReasonTLS},
		{x509.CertificateInvalidError{}, relay.ReasonTLS},
		{x509.SystemRootsError{}, relay.ReasonTLS},
		{tls.RecordHeaderError{}, relay.ReasonTLS},
		{tls.AlertError(40), relay.ReasonTLS},
		{&tls.ECHRejectionError{}, relay.ReasonTLS},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(70)}, relay.ReasonTLS},
		{http.ErrSchemeMismatch, relay.ReasonTLS},
		{op("dial", syscall.EHOSTUNREACH), relay.ReasonNetwork},
		{op("dial", syscall.ENETUNREACH), relay.ReasonNetwork},
		{context.Canceled, relay.ReasonNetwork},
		{errors.New("connection refused by hand"), relay.ReasonNetwork},
		{errors.New("i/o timeout"), relay.ReasonNetwork},
	} {
		require.Equal(t, test.want, deliver.ClassifyError(test.err), "%T %v", test.err, test.err)
	}
}

func FuzzJSON(f *testing.F) {
	f.Add("hello", "a title", "ticket:1", int64(1))
	f.Add("\xff\x00\u2028</script>", "\"\\", "", int64(-1))
	f.Fuzz(func(t *testing.T, text, title, conversation string, ticket int64) {
		e := entry()
		e.Text, e.Title, e.Conversation, e.TicketID = text, title, conversation, ticket
		payload, err := deliver.JSON(e)
		require.NoError(t, err)
		got := decode(t, payload.Bytes)
		require.Equal(t, valid(text), got.Data.Message)
		require.Equal(t, valid(title), got.Data.Title)
		require.Equal(t, valid(conversation), got.Data.Conversation)
		require.Equal(t, ticket, got.Data.TicketID)
	})
}
