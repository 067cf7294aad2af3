package signer

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Tolerance is how far a request's timestamp may lie from the verifier's clock, either way.
// It bounds how long a recorded request can be replayed.
const Tolerance = 5 * time.Minute

// Why a request does not verify; use errors.Is.
var (
	ErrNoSecret      = errors.New("there is no secret to verify with")
	ErrMissingHeader = errors.New("a webhook header is missing")
	ErrMalformed     = errors.New("a webhook header is malformed")
	ErrNoSignature   = errors.New("the request carries no v1 signature")
	ErrTooOld        = errors.New("the request is older than the tolerance")
	ErrTooNew        = errors.New("the request is from the future by more than the tolerance")
	ErrNoMatch       = errors.New("no signature matches")
)

// What a stranger's headers may cost us. Anything larger is ErrMalformed.
const (
	maxIDLen        = 256
	maxTimestampLen = 12 // ten digits until the year 2286
	maxSignatures   = 16
	maxSignatureLen = 4096 // of the whole header; a v1a signature has 92 characters
)

// Verify returns nil when the request was signed with one of the secrets and its timestamp
// lies within Tolerance of now. The body must be the bytes as received, not decoded and
// encoded again. Signatures of unknown versions are ignored; comparisons take constant time.
//
// Verify cannot know whether the message came before: keep its webhook-id for at least twice
// Tolerance, and as long as the sender may retry, to handle each message once.
func Verify(header http.Header, body []byte, now time.Time, secrets ...Secret) error {
	id, err := single(header, HeaderID, maxIDLen)
	if err != nil {
		return err
	}
	if strings.Contains(id, ".") {
		// With a full stop in it, parts of the id, the timestamp and the body could trade
		// places under one signature.
		return fmt.Errorf("%w: webhook-id holds a full stop", ErrMalformed)
	}
	stamp, err := single(header, HeaderTimestamp, maxTimestampLen)
	if err != nil {
		return err
	}
	at, err := parseTimestamp(stamp)
	if err != nil {
		return err
	}
	list, err := single(header, HeaderSignature, maxSignatureLen)
	if err != nil {
		return err
	}
	if age := now.Sub(at); age > Tolerance {
		return fmt.Errorf("%w of %s", ErrTooOld, Tolerance)
	} else if age < -Tolerance {
		return fmt.Errorf("%w of %s", ErrTooNew, Tolerance)
	}
	return match(list, id, at, body, secrets)
}

// match compares each v1 signature of the list with what each secret gives.
func match(list, id string, at time.Time, body []byte, secrets []Secret) error {
	var stack [4][]byte
	candidates, count := stack[:0], 0
	for signature := range strings.SplitSeq(list, " ") {
		if count++; count > maxSignatures {
			return fmt.Errorf("%w: webhook-signature holds more than %d signatures", ErrMalformed, maxSignatures)
		}
		if strings.HasPrefix(signature, version) {
			candidates = append(candidates, []byte(signature))
		}
	}
	if len(candidates) == 0 {
		return ErrNoSignature
	}
	tried, matched := 0, 0
	for _, s := range secrets {
		if s.IsZero() {
			continue
		}
		tried++
		var buffer [signatureLen]byte
		m := s.key.begin(id, at)
		m.hash.Write(body)
		expected := m.end(buffer[:0])
		for _, candidate := range candidates {
			matched |= subtle.ConstantTimeCompare(candidate, expected)
		}
	}
	switch {
	case tried == 0:
		return ErrNoSecret
	case matched == 0:
		return ErrNoMatch
	}
	return nil
}

// single returns the one value of a header. A header that comes twice is refused: what we
// verify must be what everybody else reads.
func single(header http.Header, name string, most int) (string, error) {
	values := header[name]
	switch {
	case len(values) == 0 || values[0] == "":
		if name == HeaderSignature {
			return "", ErrNoSignature
		}
		return "", fmt.Errorf("%w: %s", ErrMissingHeader, strings.ToLower(name))
	case len(values) > 1:
		return "", fmt.Errorf("%w: %s comes more than once", ErrMalformed, strings.ToLower(name))
	case len(values[0]) > most:
		return "", fmt.Errorf("%w: %s is longer than %d characters", ErrMalformed, strings.ToLower(name), most)
	}
	return values[0], nil
}

// parseTimestamp takes the one spelling of a whole number of seconds that Sign produces, so
// that the number can stand for its text in the signed content.
func parseTimestamp(s string) (time.Time, error) {
	seconds, err := strconv.ParseInt(s, 10, 64)
	if err != nil || seconds < 0 || strconv.FormatInt(seconds, 10) != s {
		return time.Time{}, fmt.Errorf("%w: webhook-timestamp is not a number of Unix seconds", ErrMalformed)
	}
	return time.Unix(seconds, 0), nil
}
