package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const (
	clearPrefix = "ork_"
	hidden      = "<key>"

	// minClear is for keys that people choose; those made here are longer.
	minClear = 16
	maxClear = 512
)

// ClearKey is an API key in clear, as its holder sends it. Formatting, logging and
// marshalling give "<key>"; Reveal is the one way to its text.
type ClearKey struct {
	// A pointer, because fmt calls no methods on unexported fields of other structs: of a
	// ClearKey in one it prints an address.
	text *string
}

// newClearKey makes "ork_" and 52 random letters and digits, 260 bits. The prefix lets
// scanners for leaked secrets find one.
func newClearKey() ClearKey {
	text := clearPrefix + strings.ToLower(rand.Text()+rand.Text())
	return ClearKey{text: &text}
}

// Reveal is the key's text, to show it to its holder once; empty for the zero ClearKey.
func (c ClearKey) Reveal() string {
	if c.text == nil {
		return ""
	}
	return *c.text
}

// String implements fmt.Stringer without giving the key away.
func (c ClearKey) String() string { return hidden }

// Format implements fmt.Formatter for every verb without giving the key away.
func (c ClearKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hidden) }

// MarshalText implements encoding.TextMarshaler, and so serves JSON, without giving the key
// away.
func (c ClearKey) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue implements slog.LogValuer without giving the key away.
func (c ClearKey) LogValue() slog.Value { return slog.StringValue(hidden) }

// digest is what is stored of a key. A plain hash does: salt and a slow function protect
// what can be guessed, and nobody guesses 260 random bits. A key that a person chose has to
// be as good as random.
type digest [sha256.Size]byte

func digestOf(text string) digest { return sha256.Sum256([]byte(text)) }

// bucketKey is the record's name: the first half of the hash. The rest is compared in
// constant time, so how long a look-up takes tells nothing that helps to make a key.
func (d digest) bucketKey() string { return hex.EncodeToString(d[:sha256.Size/2]) }

// checkChosen says whether a key that a person chose can be one.
func checkChosen(text string) error {
	if len(text) < minClear || len(text) > maxClear {
		return fmt.Errorf("an API key must have %d to %d characters", minClear, maxClear)
	}
	for i := range len(text) {
		// What travels in a header must be visible ASCII (RFC 9110 section 5.5).
		if text[i] <= ' ' || text[i] > '~' {
			return errors.New("an API key may hold visible ASCII characters only, no spaces")
		}
	}
	return nil
}
