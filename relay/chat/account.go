package chat

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"time"

	"omnirelay/signer"
)

// DefaultSecretOverlap is how long a replaced secret stays valid beside the new one.
const DefaultSecretOverlap = 24 * time.Hour

// Account is a chat account: a value, shared by all who asked for it. Its slices must not be
// changed.
type Account struct {
	ID    string // 32 hexadecimal digits made of the token; names the account, opens nothing
	Name  string
	Token string // the chatAccountToken of the chat calls; fixed for the account's life

	// AllowedServers are the chat servers that the account's sessions may name; empty means
	// any. An entry stands for everything below its path too.
	AllowedServers []string
	// AllowedOrigins are the hosts of web sites that may show the chat; "*." at the front
	// stands for any host below. Empty means any.
	AllowedOrigins []string
	// Blacklist are the addresses that may not.
	Blacklist []netip.Prefix
	Languages []string // such as en and nl-BE, the preferred first
	Hours     Hours
	MaxQueue  int // chats that may wait for an agent before visitors are told that it is full; 0 for no bound

	Secret   signer.Secret // signs what goes to the account's chat servers; zero for none
	Previous PreviousSecret

	// HookToken is the part of /hooks/chat/{token} that lets the helpdesk in.
	HookToken signer.Secret

	CreatedAt time.Time // UTC, to the millisecond, as UpdatedAt
	UpdatedAt time.Time
}

// PreviousSecret is the one that a newer secret replaced. Requests carry its signature too
// until then, so that a receiver can change over without refusing anything.
type PreviousSecret struct {
	Secret signer.Secret
	Until  time.Time
}

// Secrets are the keys to sign with at the given time, newest first; none when the account
// has no secret.
func (a Account) Secrets(now time.Time) []signer.Secret {
	if a.Secret.IsZero() {
		return nil
	}
	secrets := []signer.Secret{a.Secret}
	if !a.Previous.Secret.IsZero() && now.Before(a.Previous.Until) {
		secrets = append(secrets, a.Previous.Secret)
	}
	return secrets
}

// AllowsServer reports whether a session of the account may name the chat server.
func (a Account) AllowsServer(server string) bool {
	return len(a.AllowedServers) == 0 || a.VouchesFor(server)
}

// VouchesFor reports whether the chat server is among those that the account names itself:
// what a session needs to move to another server.
func (a Account) VouchesFor(server string) bool {
	return slices.ContainsFunc(a.AllowedServers, func(allowed string) bool { return covers(allowed, server) })
}

// AllowsOrigin reports whether a web site on the host may show the chat.
func (a Account) AllowsOrigin(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return len(a.AllowedOrigins) == 0 || slices.ContainsFunc(a.AllowedOrigins, func(allowed string) bool {
		allowed = strings.ToLower(allowed)
		if below, ok := strings.CutPrefix(allowed, "*."); ok {
			return strings.HasSuffix(host, "."+below)
		}
		return host == allowed
	})
}

// AllowsIP reports whether the address is on none of the blacklisted ranges. An IPv4 address
// in IPv6 clothes (::ffff:192.0.2.1) is the same as without.
func (a Account) AllowsIP(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return !slices.ContainsFunc(a.Blacklist, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// HookTokenMatches compares in a time that tells nothing about the token.
func (a Account) HookTokenMatches(token string) bool {
	return !a.HookToken.IsZero() &&
		subtle.ConstantTimeCompare([]byte(a.HookToken.Reveal()), []byte(token)) == 1
}

// idBytes is the length of an account's id before it becomes hexadecimal.
const idBytes = 16

// accountID makes an account's id, which is also its key in the bucket, of its token: so two
// accounts cannot have one token, and no error that names the key gives the token away.
func accountID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:idBytes])
}

// newToken makes 26 random capitals and digits, 130 bits.
func newToken() string { return rand.Text() }

// newHookToken is the account's id, by which it is found, and 32 random characters, 160
// bits. All of it matches the pattern of chatServer, in which the helpdesk has to store it.
func newHookToken(id string) (signer.Secret, error) {
	return signer.ParseSecret(id + strings.ToLower(rand.Text() + rand.Text())[:32])
}
