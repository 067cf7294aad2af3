package auth

import (
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"omnirelay/relay"
)

// Key is what is known of an API key; the key itself is not among it. Its slices must not
// be changed.
type Key struct {
	ID          string       `json:"id"` // "key_" and 26 letters and digits; names the key, opens nothing
	Name        string       `json:"name"`
	Permissions []Permission `json:"permissions"`
	Channels    []int64      `json:"channels,omitempty"` // the only channels it is good for; empty for all
	CreatedAt   time.Time    `json:"created_at"`
	RevokedAt   time.Time    `json:"revoked_at,omitzero"` // zero for a key that is good
}

// Can reports whether the key has the permission. A revoked key has none.
func (k Key) Can(p Permission) bool {
	return !k.Revoked() && slices.Contains(k.Permissions, p)
}

// CanChannel reports whether the key is good for a channel; what it may do there is said by
// Can.
func (k Key) CanChannel(id int64) bool {
	return len(k.Channels) == 0 || slices.Contains(k.Channels, id)
}

// Revoked reports whether the key was taken back.
func (k Key) Revoked() bool { return !k.RevokedAt.IsZero() }

// CreateRequest says what a new key is for.
type CreateRequest struct {
	Name        string       // 1 to 255 printable characters, for people
	Permissions []Permission // at least one
	Channels    []int64      // at most 1000; empty for all channels
}

const (
	maxName     = 255
	maxChannels = 1000
)

// check finds everything that is wrong with r; its lists come back sorted and without
// repeats.
func (r CreateRequest) check() (CreateRequest, error) {
	var problems relay.Problems
	switch {
	case r.Name == "":
		problems.Add("name", "must not be empty")
	case utf8.RuneCountInString(r.Name) > maxName:
		problems.Add("name", "must have at most "+strconv.Itoa(maxName)+" characters")
	case !printable(r.Name):
		problems.Add("name", "may hold printable characters and spaces only")
	}
	if len(r.Permissions) == 0 {
		problems.Add("permissions", "must name at least one of "+permissionNames())
	}
	for _, p := range r.Permissions {
		if _, err := ParsePermission(string(p)); err != nil {
			problems.Add("permissions", "must each be one of "+permissionNames())
			break
		}
	}
	if len(r.Channels) > maxChannels {
		problems.Add("channels", fmt.Sprintf("must name at most %d channels", maxChannels))
	}
	if len(r.Channels) > 0 && slices.Min(r.Channels) < 1 {
		problems.Add("channels", "must be ids of channels, from 1")
	}
	r.Permissions = slices.Compact(slices.Sorted(slices.Values(r.Permissions)))
	r.Channels = slices.Compact(slices.Sorted(slices.Values(r.Channels)))
	return r, problems.Err()
}

func printable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
