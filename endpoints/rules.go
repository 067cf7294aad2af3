package endpoints

import (
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"omnirelay/relay"
)

// FieldError says which rule one field of a channel broke.
type FieldError = relay.FieldError

// Problems is everything that is wrong with the input of Create or Update.
type Problems = relay.Problems

// The patterns of Omnidesk's Channel controller; each must match the whole text.
var (
	namePattern     = regexp.MustCompile(`^[a-zA-Z0-9 \.\-\_]+$`)
	iconPattern     = regexp.MustCompile(`^[a-zA-Z0-9\-\_]+$`)
	endpointPattern = regexp.MustCompile(`^[a-zA-Z0-9\.\:\/\-?&=]+$`)
	// À to ȕ on the page is U+00C0 to U+0215.
	warningPattern = regexp.MustCompile(`^[0-9a-zA-Z\-\_\:\;\>\+\(\)\/\!\?\,\.\#\@\$\*\&\x{00C0}-\x{0215}\' ]+$`)
)

// Our own limits where the page has none: characters of texts, and ranges of the
// extensions. Zero stands for the default wherever a range begins above it.
const (
	maxName     = 255
	maxIcon     = 64
	maxEndpoint = 2048
	maxSecret   = 1024
	maxWarning  = 1000

	maxConcurrency  = 1024
	minTimeout      = 100 * time.Millisecond
	maxTimeout      = 5 * time.Minute
	maxMaxAttempts  = 100
	minMaxAge       = time.Second
	maxMaxAge       = 30 * 24 * time.Hour
	minRetryInitial = 10 * time.Millisecond
	maxRetryMax     = 24 * time.Hour
	minRateLimit    = 0.001
	maxRateLimit    = 1_000_000
	maxRateBurst    = 1_000_000
	maxOverlap      = 30 * 24 * time.Hour

	// Requests carry a signature for each secret, so a channel changed over again and
	// again keeps the newest only.
	maxPrevious = 4

	// MaxID is the largest channel id: the largest integer that every JSON reader keeps
	// exactly (RFC 8259 section 6).
	MaxID = 1<<53 - 1

	// liveChatID is what message calls mean by live chat, in the place of a channel's id.
	liveChatID = 8
)

// ParseID reads a channel's id as it stands in a path: digits, from 1 to MaxID.
func ParseID(text string) (int64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id < 1 || id > MaxID {
		return 0, FieldError{Field: "id", Rule: fmt.Sprintf("must be a whole number from 1 to %d", int64(MaxID))}
	}
	return int64(id), nil
}

func checkNewID(id int64, p *Problems) {
	switch {
	case id < 1 || id > MaxID:
		p.Add("id", fmt.Sprintf("must be a whole number from 1 to %d", int64(MaxID)))
	case id == liveChatID:
		p.Add("id", "must not be 8, which means live chat in message calls")
	}
}

// check finds everything that is wrong with a channel.
func (c Channel) check(p *Problems) {
	checkText(p, "name", c.Name, maxName, namePattern, "letters, digits, spaces, dots, hyphens and underscores")
	checkText(p, "icon", c.Icon, maxIcon, iconPattern, "letters, digits, hyphens and underscores")
	checkURL(p, "custom_channel_endpoint", c.Endpoint)
	if len(c.Secret.Reveal()) > maxSecret {
		p.Add("custom_channel_secret", fmt.Sprintf("must have at most %d bytes", maxSecret))
	}
	const warningCharacters = "letters, digits, spaces and - _ : ; > + ( ) / ! ? , . # @ $ * & '"
	if c.WarningEN != "" {
		checkText(p, "custom_channel_warning_en", c.WarningEN, maxWarning, warningPattern, warningCharacters)
	}
	if c.WarningNL != "" {
		checkText(p, "custom_channel_warning_nl", c.WarningNL, maxWarning, warningPattern, warningCharacters)
	}
	if c.StatusCallback != "" {
		checkURL(p, "status_callback", c.StatusCallback)
	}
	c.checkPolicy(p)
}

func (c Channel) checkPolicy(p *Problems) {
	checkInt := func(field string, v, most int) {
		if v < 0 || v > most {
			p.Add(field, fmt.Sprintf("must be from 1 to %d, or 0 for the default", most))
		}
	}
	checkDuration := func(field string, v relay.Duration, least, most time.Duration) {
		if v != 0 && (time.Duration(v) < least || time.Duration(v) > most) {
			p.Add(field, fmt.Sprintf("must be from %s to %s, or 0s for the default", least, most))
		}
	}
	o := c.Overrides
	checkInt("concurrency", o.Concurrency, maxConcurrency)
	checkDuration("timeout", o.Timeout, minTimeout, maxTimeout)
	checkInt("max_attempts", o.MaxAttempts, maxMaxAttempts)
	checkDuration("max_age", o.MaxAge, minMaxAge, maxMaxAge)
	checkDuration("retry_initial", o.Initial, minRetryInitial, maxRetryMax)
	checkDuration("retry_max", o.Max, minRetryInitial, maxRetryMax)
	if effective := c.Policy(); effective.Max < effective.Initial {
		p.Add("retry_max", fmt.Sprintf("must not be shorter than retry_initial: %s is less than %s", effective.Max, effective.Initial))
	}
	if r := o.RateLimit; r != 0 && (math.IsNaN(r) || r < minRateLimit || r > maxRateLimit) {
		p.Add("rate_limit", fmt.Sprintf("must be from %g to %d messages a second, or 0 for no limit", minRateLimit, maxRateLimit))
	}
	checkInt("rate_burst", o.RateBurst, maxRateBurst)
}

// checkText asks for the pattern; characters says in words what it allows.
func checkText(p *Problems, field, text string, most int, pattern *regexp.Regexp, characters string) {
	switch {
	case text == "":
		p.Add(field, "must not be empty")
	case utf8.RuneCountInString(text) > most:
		p.Add(field, fmt.Sprintf("must have at most %d characters", most))
	case !pattern.MatchString(text):
		p.Add(field, fmt.Sprintf("may hold %s only (pattern %s)", characters, pattern))
	}
}

func checkURL(p *Problems, field, text string) {
	before := len(*p)
	checkText(p, field, text, maxEndpoint, endpointPattern, "letters, digits and . : / - ? & =")
	if len(*p) > before {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		p.Add(field, "must be an http or https URL with a host, such as https://api.example.com/message")
		return
	}
	if port := u.Port(); port != "" || u.Host != u.Hostname() {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			p.Add(field, "must have a port from 1 to 65535, or none")
		}
	}
}
