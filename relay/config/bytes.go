package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size in bytes. It reads as a number with or without a unit (1048576, 1MiB,
// 25MB; B, kB, MB, GB, TB count in thousands, KiB, MiB, GiB, TiB in 1024s) and writes with the
// largest binary unit that divides it.
type Bytes int64

type unit struct {
	name string
	size int64
}

// units has the largest binary unit first, then the decimal ones.
func units() []unit {
	return []unit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
	}
}

// String is the form that UnmarshalText reads.
func (b Bytes) String() string {
	for _, u := range units()[:4] {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	s, size := string(text), int64(1)
	for _, u := range units() {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			s, size = strings.TrimRight(number, " "), u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a size such as 4096, 64KiB, 1MiB or 25MB", clip(string(text)))
	}
	if n > math.MaxInt64/size || n < math.MinInt64/size {
		return fmt.Errorf("%q is more than can be counted", clip(string(text)))
	}
	*b = Bytes(n * size)
	return nil
}

// clip keeps what a message quotes of a stranger's text short.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
