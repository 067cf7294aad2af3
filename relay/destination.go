package relay

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// Destination names a place that messages are POSTed to. It is one token of a NATS subject
// (lower-case letters, digits and hyphens), and the unit of isolation: each destination has
// its own lanes, concurrency, breaker and cursor. Where it leads (URL, secret, limits) is
// looked up at each attempt, never stored with the message.
type Destination string

// Helpdesk is the one destination of inbound messages.
const Helpdesk Destination = "helpdesk"

const (
	channelPrefix = "channel-"
	chatPrefix    = "chat-"
	statusPrefix  = "status-"
)

// ChannelDestination is the endpoint of a custom channel.
func ChannelDestination(id int64) Destination {
	return Destination(channelPrefix + strconv.FormatInt(id, 10))
}

// Channel returns the channel's id when d is a custom channel's endpoint.
func (d Destination) Channel() (id int64, ok bool) { return d.numbered(channelPrefix) }

// StatusDestination is the status callback of a custom channel.
func StatusDestination(channelID int64) Destination {
	return Destination(statusPrefix + strconv.FormatInt(channelID, 10))
}

// Status returns the channel's id when d is a custom channel's status callback.
func (d Destination) Status() (channelID int64, ok bool) { return d.numbered(statusPrefix) }

func (d Destination) numbered(prefix string) (id int64, ok bool) {
	tail, ok := strings.CutPrefix(string(d), prefix)
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseInt(tail, 10, 64)
	return id, err == nil && id > 0
}

// ChatDestination is the chat server (chatServer of the chat calls) that the replies of
// its sessions go to: a digest, because a chat server's address is no token of a subject and
// may hold a secret. Where it leads is in the field chatServer of each message.
func ChatDestination(server string) Destination {
	sum := sha256.Sum256([]byte(server))
	return Destination(chatPrefix + hex.EncodeToString(sum[:8]))
}

// Chat reports whether d is a chat server's name.
func (d Destination) Chat() bool {
	digest, ok := strings.CutPrefix(string(d), chatPrefix)
	return ok && len(digest) == 16 && strings.Trim(digest, "0123456789abcdef") == ""
}

// Shard says which of n message logs holds the destination's messages. All messages of a
// destination share one log, so a log's order is the order of every conversation in it.
func (d Destination) Shard(n int) int {
	h := fnv.New32a()
	h.Write([]byte(d))
	return int(h.Sum32() % uint32(n))
}

// ParseDestination checks that s can be a Destination.
func ParseDestination(s string) (Destination, error) {
	if s == "" || len(s) > 64 {
		return "", fmt.Errorf("destination %q must have 1 to 64 characters", clip(s))
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return "", fmt.Errorf("destination %q may hold lower-case letters, digits and hyphens only", clip(s))
		}
	}
	return Destination(s), nil
}
