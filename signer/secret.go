package signer

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// ErrEmptySecret is returned for a secret without a single byte of key.
var ErrEmptySecret = errors.New("a signing secret must not be empty")

const (
	secretPrefix = "whsec_"
	redacted     = "<secret>"
	newKeyBytes  = 32 // the specification asks for 24 to 64
)

// Secret is a key to sign and verify with. It never prints itself: every way of formatting,
// logging or marshalling it gives "<secret>", or nothing when it is the zero Secret. Reveal
// is the one way to its text. A Secret may be copied and used by many goroutines at once;
// keeping one is cheaper than parsing it for each request.
type Secret struct {
	// A pointer, because fmt calls no methods on the unexported fields of other people's
	// structs: what it prints of a nested Secret is then an address, never the key.
	key *key
}

// ParseSecret reads a secret as it is exchanged with receivers. After "whsec_" comes the key
// in padded standard base64 (Standard Webhooks 1.0.0, "Signature scheme"). Any other text,
// one whose rest is no such base64 included, is itself the key, byte by byte.
func ParseSecret(text string) (Secret, error) {
	raw := []byte(text)
	if encoded, ok := strings.CutPrefix(text, secretPrefix); ok {
		if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			raw = decoded
		}
	}
	if len(raw) == 0 {
		return Secret{}, ErrEmptySecret
	}
	return Secret{key: newKey(text, raw)}, nil
}

// NewSecret makes a secret of 32 random bytes in the form "whsec_<base64>".
func NewSecret() Secret {
	raw := make([]byte, newKeyBytes)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	return Secret{key: newKey(secretPrefix+base64.StdEncoding.EncodeToString(raw), raw)}
}

// Reveal returns the text that ParseSecret reads, for storage and for showing a new secret
// to its owner once.
func (s Secret) Reveal() string {
	if s.key == nil {
		return ""
	}
	return *s.key.text
}

// IsZero reports whether s holds no key.
func (s Secret) IsZero() bool { return s.key == nil }

// String implements fmt.Stringer without giving the secret away.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// GoString implements fmt.GoStringer without giving the secret away.
func (s Secret) GoString() string { return s.String() }

// Format implements fmt.Formatter for every verb without giving the secret away.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, s.String()) }

// MarshalText implements encoding.TextMarshaler without giving the secret away.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements json.Marshaler without giving the secret away.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// LogValue implements slog.LogValuer without giving the secret away.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
