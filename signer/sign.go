package signer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The headers of a signed request, in the canonical form of net/http.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

const (
	version      = "v1,"
	signatureLen = len(version) + 44 // base64 of a SHA-256 sum
)

// Sign returns the value of webhook-signature for one attempt: one signature for each
// secret, separated by spaces. It is empty when there is no secret. The id must hold no full
// stop, which is what separates it from the timestamp in the signed content.
func Sign(id string, at time.Time, body []byte, secrets ...Secret) string {
	var stack [2 * (signatureLen + 1)]byte // both secrets of a rotation without an allocation
	value := stack[:0]
	for _, s := range secrets {
		if s.IsZero() {
			continue
		}
		m := s.key.begin(id, at)
		m.hash.Write(body)
		value = m.end(value)
	}
	return string(value)
}

// SignReader is Sign for a body that is too large to hold in memory. It reads r to its end,
// once for all secrets; without a secret it reads nothing.
func SignReader(id string, at time.Time, r io.Reader, secrets ...Secret) (string, error) {
	var macs []*mac
	var writers []io.Writer
	for _, s := range secrets {
		if s.IsZero() {
			continue
		}
		m := s.key.begin(id, at)
		macs, writers = append(macs, m), append(writers, m.hash)
	}
	if len(macs) == 0 {
		return "", nil
	}
	var value []byte
	_, err := io.Copy(io.MultiWriter(writers...), r)
	for _, m := range macs {
		value = m.end(value)
	}
	if err != nil {
		return "", fmt.Errorf("reading the body to sign: %w", err)
	}
	return string(value), nil
}

// SetHeaders sets webhook-id, webhook-timestamp and, where there is a secret,
// webhook-signature on a request about to be sent at the given time. Without a secret it
// removes any webhook-signature.
func SetHeaders(h http.Header, id string, at time.Time, body []byte, secrets ...Secret) {
	SetSignature(h, id, at, Sign(id, at, body, secrets...))
}

// SetSignature sets the headers for a signature that Sign or SignReader returned.
func SetSignature(h http.Header, id string, at time.Time, signature string) {
	values := []string{id, strconv.FormatInt(at.Unix(), 10), signature}
	h[HeaderID] = values[0:1:1]
	h[HeaderTimestamp] = values[1:2:2]
	if signature == "" {
		delete(h, HeaderSignature)
		return
	}
	h[HeaderSignature] = values[2:3:3]
}

// key is what a Secret guards. An HMAC that is reset keeps its padded key hashed, so reusing
// one saves half of the work for a short body.
type key struct {
	text *string // see Secret.key: with a wrong verb fmt follows one pointer, but not two
	macs sync.Pool
}

func newKey(text string, raw []byte) *key {
	k := &key{text: &text}
	k.macs.New = func() any { return &mac{key: k, hash: hmac.New(sha256.New, raw)} }
	return k
}

// begin returns an HMAC that has taken in "id.timestamp."; its body is to follow.
func (k *key) begin(id string, at time.Time) *mac {
	m := k.macs.Get().(*mac)
	m.head = append(append(m.head[:0], id...), '.')
	m.head = append(strconv.AppendInt(m.head, at.Unix(), 10), '.')
	m.hash.Write(m.head)
	return m
}

// mac is one HMAC at work, with the scratch space it needs.
type mac struct {
	key  *key
	hash hash.Hash
	head []byte
	sum  [sha256.Size]byte
}

// end appends the finished signature to a list of them and gives the HMAC back.
func (m *mac) end(list []byte) []byte {
	if len(list) > 0 {
		list = append(list, ' ')
	}
	list = append(list, version...)
	list = base64.StdEncoding.AppendEncode(list, m.hash.Sum(m.sum[:0]))
	m.hash.Reset()
	m.key.macs.Put(m)
	return list
}
