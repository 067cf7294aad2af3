package auth

import (
	"fmt"
	"slices"
	"strings"
)

// Permission is what a key may do. The first four are named as in the helpdesk's API
// (https://docs.omnidesk.io/omnidesk/api-specification); none implies another.
type Permission string

// The permissions.
const (
	APIChat       Permission = "API_CHAT"       // the calls of live chat
	ChannelRead   Permission = "CHANNEL_READ"   // list channels
	ChannelCUD    Permission = "CHANNEL_CUD"    // create, read one, update and delete channels
	MessageCreate Permission = "MESSAGE_CREATE" // hand in messages
	RelayRead     Permission = "RELAY_READ"     // look at messages, attempts, dead letters, statistics
	RelayAdmin    Permission = "RELAY_ADMIN"    // hold, replay and discard; keys
)

// Permissions lists every Permission.
func Permissions() []Permission {
	return []Permission{APIChat, ChannelRead, ChannelCUD, MessageCreate, RelayRead, RelayAdmin}
}

// ParsePermission reads the name of a permission.
func ParsePermission(name string) (Permission, error) {
	if p := Permission(name); slices.Contains(Permissions(), p) {
		return p, nil
	}
	return "", fmt.Errorf("a permission must be one of %s", permissionNames())
}

func permissionNames() string {
	names := make([]string, 0, len(Permissions()))
	for _, p := range Permissions() {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}
