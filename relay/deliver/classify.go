package deliver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"

	"omnirelay/relay"
	"omnirelay/relay/egress"
)

// Classify says what an answer's status means. A number that is no final status of HTTP (RFC
// 9110 section 15) counts as the receiver's trouble, like a 5xx.
func Classify(status int) relay.Reason {
	switch {
	case status >= 200 && status <= 299:
		return relay.ReasonOK
	case status >= 300 && status <= 399:
		return relay.ReasonRedirect
	case status == http.StatusGone:
		return relay.ReasonGone
	case status == http.StatusTooManyRequests:
		return relay.ReasonRateLimited
	case status >= 400 && status <= 499:
		return relay.ReasonStatus4xx
	}
	return relay.ReasonStatus5xx
}

// ClassifyError says why no answer came, by the types of the errors in the chain and never by
// their text. Where several apply, the one that says more to an operator wins: a name that
// did not resolve in time is dns, not timeout.
func ClassifyError(err error) relay.Reason {
	var (
		blocked *egress.BlockedError
		dns     *net.DNSError
	)
	switch {
	case err == nil:
		return relay.ReasonOK
	case errors.As(err, &blocked):
		return relay.ReasonBlockedAddress
	case errors.As(err, &dns):
		return relay.ReasonDNS
	case isTLS(err):
		return relay.ReasonTLS
	case isTimeout(err):
		return relay.ReasonTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return relay.ReasonRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return relay.ReasonReset
	}
	return relay.ReasonNetwork
}

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		return true
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		ech          *tls.ECHRejectionError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		roots        x509.SystemRootsError
		op           *net.OpError
	)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch),
		errors.As(err, &verification), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &ech),
		errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &roots):
		return true
	}
	// The alerts of crypto/tls have no exported type, but come as an operation of their own.
	return errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}
