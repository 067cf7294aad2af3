package relay

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ID names one message for ever: "msg_" and a UUIDv7 (RFC 9562 section 5.7). It is also
// the message's webhook-id, so it stays the same over retries, replays and repeats after a
// crash; a receiver that remembers ids sees each message once.
type ID string

const idPrefix = "msg_"

// NewID makes an ID that carries the present time in its first 48 bits.
func NewID() ID {
	// uuid.NewV7 fails only when the system has no randomness left, and then nothing
	// that needs a secret can go on either.
	return ID(idPrefix + uuid.Must(uuid.NewV7()).String())
}

// ParseID checks that s has the form of an ID.
func ParseID(s string) (ID, error) {
	tail, ok := strings.CutPrefix(s, idPrefix)
	if !ok {
		return "", fmt.Errorf("message id %q does not start with %q", clip(s), idPrefix)
	}
	u, err := uuid.Parse(tail)
	if err != nil || u.Version() != 7 || u.String() != tail {
		return "", fmt.Errorf("message id %q is not %q and a lower-case UUIDv7", clip(s), idPrefix)
	}
	return ID(s), nil
}

// Time is when the ID was made, to the millisecond. It is the zero time for an ID that
// ParseID would refuse.
func (id ID) Time() time.Time {
	u, err := uuid.Parse(strings.TrimPrefix(string(id), idPrefix))
	if err != nil || u.Version() != 7 {
		return time.Time{}
	}
	ms := int64(u[0])<<40 | int64(u[1])<<32 | int64(u[2])<<24 | int64(u[3])<<16 | int64(u[4])<<8 | int64(u[5])
	return time.UnixMilli(ms).UTC()
}

// clip keeps what an error says of a stranger's input short.
func clip(s string) string {
	const most = 48
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
