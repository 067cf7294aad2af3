package relay

import (
	"fmt"
	"time"
)

// Duration reads and writes as text ("30s", "72h") in JSON, YAML, forms and environment
// variables alike.
type Duration time.Duration

// String is the form that UnmarshalText reads.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 30s, 5m or 72h", clip(string(text)))
	}
	*d = Duration(v)
	return nil
}
