package endpoints

import (
	"fmt"
	"strconv"
	"time"

	"omnirelay/relay"
	"omnirelay/signer"
)

// Patch is what Create and Update are given: a nil field keeps what is there, or takes the
// default in a new channel. For the limits, zero means the default too. Create needs Name
// and Endpoint.
type Patch struct {
	Name                   *string
	Icon                   *string // default "chat"
	Endpoint               *string
	Secret                 *signer.Secret // the zero Secret ends signing at once
	IncludeSignature       *bool          // default false
	WarningEN              *string
	WarningNL              *string
	AvailableInQuickTicket *bool // default false
	StatusCallback         *string

	Concurrency  *int            // 1 to 1024, default 16
	Timeout      *relay.Duration // 100ms to 5m, default 15s
	MaxAttempts  *int            // 1 to 100, default 10
	MaxAge       *relay.Duration // 1s to 720h, default 72h
	RetryInitial *relay.Duration // 10ms to RetryMax, default 5s
	RetryMax     *relay.Duration // at most 24h, default 4h
	RateLimit    *float64        // messages a second, 0.001 to 1,000,000; 0, the default, for no limit
	RateBurst    *int            // 1 to 1,000,000, default 1

	// SecretOverlap is how long what Secret replaces stays valid beside it: at most 720h,
	// default 24h. Given explicitly it holds for all older secrets, also without a new one:
	// 0s ends a rotation at once.
	SecretOverlap *relay.Duration
}

// Fields lists the names that Set takes, in the order of the documentation.
func Fields() []string {
	return []string{
		"name", "icon", "custom_channel_endpoint", "custom_channel_secret", "include_signature",
		"custom_channel_warning_en", "custom_channel_warning_nl", "custom_channel_available_in_quick_ticket",
		"concurrency", "timeout", "max_attempts", "max_age", "retry_initial", "retry_max",
		"rate_limit", "rate_burst", "status_callback", "custom_channel_secret_overlap",
	}
}

// Set gives one field the value that text stands for, as forms, command lines and JSON
// strings spell it: "true" or "false", "16", "2.5", "30s". The error is a FieldError; only
// the spelling is checked here, the rest by Create and Update.
func (p *Patch) Set(field, text string) error {
	rule := ""
	switch field {
	case "name":
		p.Name = &text
	case "icon":
		p.Icon = &text
	case "custom_channel_endpoint":
		p.Endpoint = &text
	case "custom_channel_secret":
		p.Secret, rule = parseSecret(text)
	case "include_signature":
		p.IncludeSignature, rule = parseBool(text)
	case "custom_channel_warning_en":
		p.WarningEN = &text
	case "custom_channel_warning_nl":
		p.WarningNL = &text
	case "custom_channel_available_in_quick_ticket":
		p.AvailableInQuickTicket, rule = parseBool(text)
	case "concurrency":
		p.Concurrency, rule = parseInt(text)
	case "timeout":
		p.Timeout, rule = parseDuration(text)
	case "max_attempts":
		p.MaxAttempts, rule = parseInt(text)
	case "max_age":
		p.MaxAge, rule = parseDuration(text)
	case "retry_initial":
		p.RetryInitial, rule = parseDuration(text)
	case "retry_max":
		p.RetryMax, rule = parseDuration(text)
	case "rate_limit":
		p.RateLimit, rule = parseFloat(text)
	case "rate_burst":
		p.RateBurst, rule = parseInt(text)
	case "status_callback":
		p.StatusCallback = &text
	case "custom_channel_secret_overlap":
		p.SecretOverlap, rule = parseDuration(text)
	default:
		rule = "is not a field of a channel"
	}
	if rule != "" {
		return FieldError{Field: field, Rule: rule}
	}
	return nil
}

func parseSecret(text string) (*signer.Secret, string) {
	if text == "" {
		return &signer.Secret{}, ""
	}
	s, err := signer.ParseSecret(text)
	if err != nil {
		return nil, "must be a text, or whsec_ and a key in base64, or empty for none"
	}
	return &s, ""
}

func parseBool(text string) (*bool, string) {
	if text != "true" && text != "false" {
		return nil, "must be true or false"
	}
	v := text == "true"
	return &v, ""
}

func parseInt(text string) (*int, string) {
	v, err := strconv.Atoi(text)
	if err != nil {
		return nil, "must be a whole number"
	}
	return &v, ""
}

func parseFloat(text string) (*float64, string) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, "must be a number"
	}
	return &v, ""
}

func parseDuration(text string) (*relay.Duration, string) {
	var v relay.Duration
	if err := v.UnmarshalText([]byte(text)); err != nil {
		return nil, "must be a duration such as 30s, 5m or 72h"
	}
	return &v, ""
}

// apply is c with p's changes at the given time, checked as a whole.
func (p Patch) apply(c Channel, now time.Time) (Channel, Problems) {
	var problems Problems
	assign(&c.Name, p.Name)
	assign(&c.Icon, p.Icon)
	assign(&c.Endpoint, p.Endpoint)
	assign(&c.IncludeSignature, p.IncludeSignature)
	assign(&c.WarningEN, p.WarningEN)
	assign(&c.WarningNL, p.WarningNL)
	assign(&c.AvailableInQuickTicket, p.AvailableInQuickTicket)
	assign(&c.StatusCallback, p.StatusCallback)
	assign(&c.Overrides.Concurrency, p.Concurrency)
	assign(&c.Overrides.Timeout, p.Timeout)
	assign(&c.Overrides.MaxAttempts, p.MaxAttempts)
	assign(&c.Overrides.MaxAge, p.MaxAge)
	assign(&c.Overrides.Initial, p.RetryInitial)
	assign(&c.Overrides.Max, p.RetryMax)
	assign(&c.Overrides.RateLimit, p.RateLimit)
	assign(&c.Overrides.RateBurst, p.RateBurst)
	if o := p.SecretOverlap; o != nil && (*o < 0 || time.Duration(*o) > maxOverlap) {
		problems.Add("custom_channel_secret_overlap", fmt.Sprintf("must be from 0s to %s", maxOverlap))
	}
	p.rotate(&c, now)
	c.UpdatedAt = now
	c.check(&problems)
	return c, problems
}

// rotate gives c its new secret, and the older ones the time they have left.
func (p Patch) rotate(c *Channel, now time.Time) {
	older := c.Previous
	c.Previous = nil
	if p.Secret != nil && p.Secret.Reveal() != c.Secret.Reveal() {
		if !c.Secret.IsZero() {
			until := now.Add(DefaultSecretOverlap)
			older = append([]PreviousSecret{{Secret: c.Secret, Until: until}}, older...)
		}
		c.Secret = *p.Secret
	}
	if c.Secret.IsZero() {
		return // who ends signing means all of it
	}
	for _, o := range older {
		if !o.Until.After(now) {
			continue
		}
		if p.SecretOverlap != nil {
			o.Until = now.Add(time.Duration(*p.SecretOverlap))
		}
		if o.Until.After(now) && o.Secret.Reveal() != c.Secret.Reveal() && len(c.Previous) < maxPrevious {
			c.Previous = append(c.Previous, o)
		}
	}
}

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
