package endpoints

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"strings"
	"time"

	"omnirelay/relay"
	"omnirelay/signer"
)

// Defaults of what a new channel does not set.
const (
	DefaultIcon          = "chat"
	DefaultSecretOverlap = 24 * time.Hour
)

// Channel is a custom channel: a value, shared by all who asked for it. Its slices must not
// be changed. Printing one, or encoding it as JSON, shows no secret; View is the form for
// API answers.
type Channel struct {
	ID                     int64
	Name                   string
	Icon                   string
	Endpoint               string        // URL that agents' messages are POSTed to
	Secret                 signer.Secret // signs those requests; zero for none
	Previous               []PreviousSecret
	IncludeSignature       bool // carry the agent's text signature; no HMAC is meant
	WarningEN, WarningNL   string
	AvailableInQuickTicket bool
	StatusCallback         string // URL that is told what became of messages; empty for none

	// Overrides are the channel's own limits. A zero field means the default, whatever it
	// is when a message is sent; Policy has the values that count.
	Overrides relay.Policy
	defaults  *relay.Policy // of the registry; nil means relay.DefaultPolicy

	// HookToken is the last part of /hooks/channel/{id}/{token}: who knows it may hand in
	// messages.
	HookToken signer.Secret

	CreatedAt time.Time // UTC, to the millisecond, as UpdatedAt
	UpdatedAt time.Time
}

// PreviousSecret is one that a newer secret replaced. Requests carry its signature too
// until then, so that a receiver can change over without refusing anything.
type PreviousSecret struct {
	Secret signer.Secret
	Until  time.Time
}

// Policy is how messages are delivered to the channel: its own limits, else the registry's
// defaults.
func (c Channel) Policy() relay.Policy {
	d, o := relay.DefaultPolicy(), c.Overrides
	if c.defaults != nil {
		d = *c.defaults
	}
	return relay.Policy{
		Concurrency: cmp.Or(o.Concurrency, d.Concurrency),
		Timeout:     cmp.Or(o.Timeout, d.Timeout),
		RateLimit:   cmp.Or(o.RateLimit, d.RateLimit),
		RateBurst:   cmp.Or(o.RateBurst, d.RateBurst),
		RetryPolicy: relay.RetryPolicy{
			MaxAttempts: cmp.Or(o.MaxAttempts, d.MaxAttempts),
			MaxAge:      cmp.Or(o.MaxAge, d.MaxAge),
			Initial:     cmp.Or(o.Initial, d.Initial),
			Max:         cmp.Or(o.Max, d.Max),
		},
	}
}

// Secrets are the keys to sign with at the given time, newest first; none when the channel
// has no secret.
func (c Channel) Secrets(now time.Time) []signer.Secret {
	if c.Secret.IsZero() {
		return nil
	}
	secrets := []signer.Secret{c.Secret}
	for _, p := range c.Previous {
		if now.Before(p.Until) {
			secrets = append(secrets, p.Secret)
		}
	}
	return secrets
}

// HookTokenMatches compares in a time that tells nothing about the token.
func (c Channel) HookTokenMatches(token string) bool {
	return !c.HookToken.IsZero() &&
		subtle.ConstantTimeCompare([]byte(c.HookToken.Reveal()), []byte(token)) == 1
}

// newHookToken makes 40 random lower-case letters and digits, 200 bits. Nothing in them
// breaks the pattern of custom_channel_endpoint, in which the helpdesk has to store them.
func newHookToken() (signer.Secret, error) {
	return signer.ParseSecret(strings.ToLower(rand.Text() + rand.Text())[:40])
}
