package chat

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"omnirelay/relay"
	"omnirelay/signer"
)

// Patch is what Create and Update are given: a nil field keeps what is there, or takes the
// default in a new account. Create needs Name.
type Patch struct {
	Name           *string
	Token          *string   // 10 to 128 letters and digits; made when not given; cannot be changed
	AllowedServers *[]string // default none: any server
	AllowedOrigins *[]string // default none: any origin
	Blacklist      *[]string // addresses and CIDR ranges
	Languages      *[]string
	OpeningHours   *[]string // see ParsePeriod; default none: always open
	TimeZone       *string   // IANA name; default UTC
	MaxQueue       *int      // default 0: no bound
	Secret         *signer.Secret

	// SecretOverlap is how long a secret that Secret replaces stays valid beside it: at most
	// 720h, default 24h. 0s ends it at once, also that of an earlier rotation.
	SecretOverlap *relay.Duration
}

// Fields lists the names that Set takes, in the order of the documentation.
func Fields() []string {
	return []string{
		"name", "token", "allowed_chat_servers", "allowed_origins", "blacklisted_ips", "languages",
		"opening_hours", "time_zone", "max_queue", "secret", "secret_overlap",
	}
}

// Set gives one field the values that the texts stand for, as forms, command lines and JSON
// spell them; a field that is no list takes exactly one. The error is a relay.FieldError;
// only the spelling is checked here, the rest by Create and Update.
func (p *Patch) Set(field string, texts ...string) error {
	list := func(to **[]string) string {
		texts = slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return s == "" })
		*to = &texts
		return ""
	}
	text := ""
	if len(texts) > 0 {
		text = texts[0]
	}
	rule := ""
	switch field {
	case "allowed_chat_servers":
		rule = list(&p.AllowedServers)
	case "allowed_origins":
		rule = list(&p.AllowedOrigins)
	case "blacklisted_ips":
		rule = list(&p.Blacklist)
	case "languages":
		rule = list(&p.Languages)
	case "opening_hours":
		rule = list(&p.OpeningHours)
	case "name":
		p.Name = &text
	case "token":
		p.Token = &text
	case "time_zone":
		p.TimeZone = &text
	case "max_queue":
		n, err := strconv.Atoi(text)
		if err != nil {
			rule = "must be a whole number"
		}
		p.MaxQueue = &n
	case "secret":
		p.Secret = &signer.Secret{}
		if text != "" {
			s, err := signer.ParseSecret(text)
			if err != nil {
				rule = "must be a text, or whsec_ and a key in base64, or empty for none"
			}
			p.Secret = &s
		}
	case "secret_overlap":
		p.SecretOverlap = new(relay.Duration)
		if err := p.SecretOverlap.UnmarshalText([]byte(text)); err != nil {
			rule = "must be a duration such as 30s, 5m or 72h"
		}
	default:
		rule = "is not a field of a chat account"
	}
	if rule != "" {
		return relay.FieldError{Field: field, Rule: rule}
	}
	return nil
}

// Check finds everything that is wrong with the account that p would make of a, without
// storing anything; for a new account a is the zero Account.
func (p Patch) Check(a Account) Problems {
	_, problems := p.apply(a, present())
	return problems
}

// apply is a with p's changes at the given time, checked as a whole. A new account, one
// without an id, gets its token and id.
func (p Patch) apply(a Account, now time.Time) (Account, Problems) {
	var problems Problems
	if a.ID == "" {
		a.CreatedAt = now
		a.Token = newToken()
		if p.Token != nil {
			a.Token = *p.Token
		}
		a.ID = accountID(a.Token)
	} else if p.Token != nil && *p.Token != a.Token {
		problems.Add("token", "cannot be changed: it is what the account's sessions belong to; create another account")
	}
	assign(&a.Name, p.Name)
	assign(&a.AllowedServers, p.AllowedServers)
	assign(&a.AllowedOrigins, p.AllowedOrigins)
	assign(&a.Languages, p.Languages)
	assign(&a.MaxQueue, p.MaxQueue)
	assign(&a.Hours.Zone, p.TimeZone)
	if p.Blacklist != nil {
		a.Blacklist = parseEach(*p.Blacklist, &problems, "blacklisted_ips", func(s string) (netip.Prefix, error) {
			r, ok := parseRange(strings.TrimSpace(s))
			if !ok {
				return r, errors.New("must each be an address or a range such as 192.0.2.7 or 2001:db8::/32")
			}
			return r, nil
		})
	}
	if p.OpeningHours != nil {
		a.Hours.Periods = parseEach(*p.OpeningHours, &problems, "opening_hours", ParsePeriod)
	}
	if o := p.SecretOverlap; o != nil && (*o < 0 || time.Duration(*o) > maxOverlap) {
		problems.Add("secret_overlap", fmt.Sprintf("must be from 0s to %s", maxOverlap))
	}
	p.rotate(&a, now)
	a.UpdatedAt = now
	a.check(&problems)
	return a, problems
}

// rotate gives a its new secret, and the one before the time it has left.
func (p Patch) rotate(a *Account, now time.Time) {
	if p.Secret != nil && p.Secret.Reveal() != a.Secret.Reveal() {
		a.Previous = PreviousSecret{}
		if !a.Secret.IsZero() && !p.Secret.IsZero() {
			a.Previous = PreviousSecret{Secret: a.Secret, Until: now.Add(DefaultSecretOverlap)}
		}
		a.Secret = *p.Secret
	}
	if p.SecretOverlap != nil && !a.Previous.Secret.IsZero() {
		a.Previous.Until = now.Add(time.Duration(*p.SecretOverlap))
	}
	if !a.Previous.Until.After(now) {
		a.Previous = PreviousSecret{}
	}
}

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// parseEach notes the first entry that cannot be read.
func parseEach[T any](texts []string, problems *Problems, field string, parse func(string) (T, error)) []T {
	var parsed []T
	for _, text := range texts {
		v, err := parse(text)
		if err != nil {
			problems.Add(field, err.Error())
			break
		}
		parsed = append(parsed, v)
	}
	return parsed
}
