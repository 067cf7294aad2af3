package e2e_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The two published pages of the helpdesk's API, Channel and Chat, written out once more, so
// that a slip in the relay's own tables shows.

// page is one call of a page.
type page struct {
	method, path string // under /api/v2/
	fields       []field
}

// field is a parameter with a good value, in which {server}, {session}, {token}, {channel}
// and {endpoint} stand for those of the test.
type field struct {
	name, good string
	required   bool
	pattern    string
	min, max   int // characters
	low, high  int // of a number; high 0 is no bound
	number     bool
	boolean    bool
	email      bool
	enum       []string
}

func published() map[string]page {
	const (
		required = true
		server   = `^[a-zA-Z0-9\.\:\/\-]+$`
		token    = `^[a-zA-Z0-9]+$`
		plus     = `^\+?[a-zA-Z0-9\-]+$` // a session's id in calls with a token
		noPlus   = `^[a-zA-Z0-9\-]+$`    // and in those without
		digits   = `^[0-9]+$`
		warning  = `^[0-9a-zA-Z\-\_\:\;\>\+\(\)\/\!\?\,\.\#\@\$\*\&À-ȕ\' ]+$`
	)
	chatServer := field{name: "chatServer", good: "{server}", required: required, min: 5, pattern: server}
	chatToken := field{name: "chatAccountToken", good: "{token}", required: required, min: 10, pattern: token}
	session := field{name: "chatSessionID", good: "{session}", required: required, min: 10, pattern: plus}
	bounded := session
	bounded.max = 65
	event := session
	event.pattern = noPlus
	channel := []field{
		{name: "name", good: "Example channel 1.0_-", required: required, pattern: `^[a-zA-Z0-9 \.\-\_]+$`},
		{name: "icon", good: "note-1_a", pattern: `^[a-zA-Z0-9\-\_]+$`},
		{name: "custom_channel_endpoint", good: "{endpoint}", required: required, pattern: `^[a-zA-Z0-9\.\:\/\-?&=]+$`},
		{name: "custom_channel_secret", good: "any text: é%+"},
		{name: "include_signature", good: "true", boolean: true},
	}
	change := append(slices.Clone(channel),
		field{name: "custom_channel_warning_en", good: "Mind! (a) #1 @b $c *d &e 'f' g>h;i:j_k-l/m, n. o?", pattern: warning},
		field{name: "custom_channel_warning_nl", good: "Ça va? À tout à l'heure, ȕ", pattern: warning},
		field{name: "custom_channel_available_in_quick_ticket", good: "true", boolean: true},
	)
	for i := range change {
		change[i].required = false // what is not given stays
	}
	return map[string]page{
		"channel create": {"POST", "channel", channel},
		"channel change": {"PUT", "channel/{channel}", change},
		"customChannelMessage": {"POST", "channel/customChannelMessage", []field{
			{name: "ticketID", good: "858462", pattern: digits},
			{name: "channelID", good: "{channel}", pattern: digits},
			{name: "message", good: "Where is my parcel? <é> & \"more\"\nline 2", required: required},
			{name: "title", good: "Parcel"},
			{name: "toAddress", good: "shop"},
			{name: "fromAddress", good: "+31612345678"},
			{name: "userID", good: "254", pattern: digits},
		}},
		"requestChatConfig": {"POST", "chat/requestChatConfig", []field{chatServer, chatToken}},
		"notifyUserNewChatMessage": {"POST", "chat/notifyUserNewChatMessage", []field{
			chatServer, bounded, chatToken,
			{name: "channelID", good: "8", number: true, low: 1},
			{name: "message", good: "Hello: é, 世界", required: required, min: 1},
			{name: "url", good: "https://shop.example.com/a?b=c&d", min: 1},
			{name: "messageNumber", good: "50", number: true, low: 1, high: 50},
			{name: "usedPredefinedUserInput", good: "true", min: 1},
			{name: "additionalData", good: `{"a":[1]}`, min: 1},
			{name: "externalAddressOverwrite", good: "ann", min: 1},
			{name: "customerName", good: "Ann 2", pattern: `^[a-zA-Z 0-9]+$`},
			{name: "emailAddress", good: "ann@example.org", email: true},
			{name: "phoneNumber", good: "+31612345678", pattern: `^\+[0-9]+$`},
		}},
		"notifyUserNewChatEvent": {"POST", "chat/notifyUserNewChatEvent", []field{
			chatServer, event,
			{name: "event", good: "startedtyping", required: required, enum: []string{"startedtyping", "stoppedtyping", "expandedchat", "minimizedchat"}},
		}},
		"notifyUserVisited": {"POST", "chat/notifyUserVisited", []field{
			chatServer, event, {name: "url", good: "https://shop.example.com/?q=é", required: required, min: 4},
		}},
		"notifyUserEndChat": {"POST", "chat/notifyUserEndChat", []field{chatServer, event}},
		"addAttachment": {"POST", "chat/addAttachment", []field{
			chatServer, session, chatToken,
			{name: "phoneNumber", good: "31612345678", pattern: `^\+?[0-9]+$`},
			{name: "messageNumber", good: "7", number: true},
		}},
		"checkOriginAndIP": {"POST", "chat/checkOriginAndIP", []field{
			chatServer, chatToken,
			{name: "origin", good: "shop.example.com", required: required, min: 1, pattern: `^[a-zA-Z0-9\.\-]+$`},
			{name: "ip", good: "192.0.2.7", required: required, min: 5},
		}},
		"requestChatQueue": {"POST", "chat/requestChatQueue", []field{chatToken}},
	}
}

// good are the call's good values, as names and values.
func (p page) good(in *strings.Replacer) []string {
	var pairs []string
	for _, f := range p.fields {
		pairs = append(pairs, f.name, in.Replace(f.good))
	}
	return pairs
}

// strange are characters that some pattern forbids: all that can be typed, and a few beyond.
func strange() []string {
	list := []string{"\n", "\t", "\u00a0", "ƕ", "ȗ", "€", "世", "\u202e"}
	for c := ' '; c <= '~'; c++ {
		list = append(list, string(c))
	}
	return list
}

// bad are values that break the field's rules, made from the rules alone.
func (f field) bad(t *testing.T, good string) []string {
	t.Helper()
	var values []string
	if f.required {
		values = append(values, "")
	}
	if f.min > 1 {
		values = append(values, strings.Repeat("1", f.min-1))
	}
	if f.max > 0 {
		values = append(values, strings.Repeat("1", f.max+1))
	}
	if f.pattern != "" {
		pattern := regexp.MustCompile(f.pattern)
		require.Regexp(t, pattern, good, "%s: the good value is none", f.name)
		for _, c := range strange() {
			for _, v := range []string{good + c, c + good, good[:1] + c + good[1:]} {
				if !pattern.MatchString(v) {
					values = append(values, v)
					break
				}
			}
		}
	}
	if f.number {
		values = append(values, "x", "0x1f", "seven", "1 2", "१")
		if f.low > 0 {
			values = append(values, fmt.Sprint(f.low-1), "-1")
		}
		if f.high > 0 {
			values = append(values, fmt.Sprint(f.high+1), "4294967297")
		}
	}
	if f.boolean {
		values = append(values, "yes", "TRUE", "tru", "2", "-1")
	}
	if f.email {
		values = append(values, "ann", "@example.org", "ann@", "a@b@c", "a b@example.org", "ann@-x.org", "ann@example.org ", "ann@exa mple.org")
	}
	for _, v := range f.enum {
		values = append(values, v+"X", "X"+v, strings.ToUpper(v), v[1:])
	}
	return values
}
