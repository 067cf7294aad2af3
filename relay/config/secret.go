package config

import (
	"fmt"
	"io"
)

// Secret is a text that does not show itself: every way of printing or encoding it gives
// "<secret>", or nothing when it is the zero Secret. Reveal returns the text.
type Secret struct {
	// A pointer, because fmt calls no method for %p, nor on the unexported fields of a
	// struct around it: what it prints then is an address.
	text *string
}

const hidden = "<secret>"

// NewSecret wraps a text; the empty text makes the zero Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.text == nil }

// Reveal returns the text itself, for the one place that needs it; "" for the zero Secret.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String tells whether there is a secret, not which.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return hidden
}

// Format implements fmt.Formatter, so that no verb and no flag reaches the text.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText implements encoding.TextMarshaler, which JSON, YAML and loggers use.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
