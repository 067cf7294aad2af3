package chat

import (
	"fmt"
	"net/netip"
	"regexp"
	"time"
	"unicode/utf8"

	"omnirelay/relay"
)

// Problems is everything that is wrong with the input of Create or Update.
type Problems = relay.Problems

// The patterns; each must match the whole text. Those of the token and of chat servers are the
// published Chat controller's.
var (
	namePattern     = regexp.MustCompile(`^[a-zA-Z0-9 \.\-\_]+$`)
	tokenPattern    = regexp.MustCompile(`^[a-zA-Z0-9]+$`)
	originPattern   = regexp.MustCompile(`^(\*\.)?[a-zA-Z0-9\.\-]+$`)
	languagePattern = regexp.MustCompile(`^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*$`)
)

// Limits. The least lengths of the token and of chat servers are the published ones.
const (
	maxName     = 255
	minToken    = 10
	maxToken    = 128
	minServer   = 5
	maxServer   = 2048
	maxOrigin   = 255
	maxList     = 1000 // entries of any list
	maxQueueMax = 1_000_000
	maxSecret   = 1024
	maxOverlap  = 30 * 24 * time.Hour
)

// check finds everything that is wrong with an account.
func (a Account) check(p *Problems) {
	checkText(p, "name", a.Name, 1, maxName, namePattern)
	checkText(p, "token", a.Token, minToken, maxToken, tokenPattern)
	checkEach(p, "allowed_chat_servers", a.AllowedServers, func(s string) string {
		if rule := textRule(s, minServer, maxServer, serverPattern); rule != "" {
			return rule
		}
		if _, ok := parseServer(s); !ok {
			return "must each be a host, or an http or https URL, such as https://chat.example.com/hooks"
		}
		return ""
	})
	checkEach(p, "allowed_origins", a.AllowedOrigins, func(s string) string { return textRule(s, 1, maxOrigin, originPattern) })
	checkEach(p, "languages", a.Languages, func(s string) string { return textRule(s, 2, 35, languagePattern) })
	if len(a.Blacklist) > maxList {
		p.Add("blacklisted_ips", fmt.Sprintf("must have at most %d entries", maxList))
	}
	if len(a.Hours.Periods) > 100 {
		p.Add("opening_hours", "must have at most 100 entries")
	}
	if _, err := time.LoadLocation(a.Hours.Zone); err != nil || a.Hours.Zone == "Local" {
		p.Add("time_zone", "must be a time zone's name such as Europe/Amsterdam or UTC")
	}
	if a.MaxQueue < 0 || a.MaxQueue > maxQueueMax {
		p.Add("max_queue", fmt.Sprintf("must be from 1 to %d, or 0 for no bound", maxQueueMax))
	}
	if len(a.Secret.Reveal()) > maxSecret {
		p.Add("secret", fmt.Sprintf("must have at most %d bytes", maxSecret))
	}
}

func checkText(p *Problems, field, text string, least, most int, pattern *regexp.Regexp) {
	if text == "" {
		p.Add(field, "is required")
		return
	}
	if rule := textRule(text, least, most, pattern); rule != "" {
		p.Add(field, rule)
	}
}

func checkEach(p *Problems, field string, list []string, rule func(string) string) {
	if len(list) > maxList {
		p.Add(field, fmt.Sprintf("must have at most %d entries", maxList))
		return
	}
	for _, s := range list {
		if broken := rule(s); broken != "" {
			p.Add(field, broken)
			return
		}
	}
}

func textRule(text string, least, most int, pattern *regexp.Regexp) string {
	switch n := utf8.RuneCountInString(text); {
	case n < least:
		return fmt.Sprintf("must have at least %d characters", least)
	case n > most:
		return fmt.Sprintf("must have at most %d characters", most)
	case !pattern.MatchString(text):
		return "must match " + pattern.String()
	}
	return ""
}

// parseRange reads an address or a range in CIDR notation.
func parseRange(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if p.Addr().Is4In6() { // ::ffff:192.0.2.0/120 would match no unmapped address
			if p.Bits() < 96 {
				return netip.Prefix{}, false
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}

// formatRange is the shortest form that parseRange reads.
func formatRange(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
