package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/config"
)

func TestBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		n    config.Bytes
		form string
	}{
		"0": {0, "0"}, "1": {1, "1"}, "1023": {1023, "1023"}, "1024": {1024, "1KiB"}, "7B": {7, "7"}, "3kB": {3000, "3000"},
		"1MiB": {1 << 20, "1MiB"}, "1 MiB": {1 << 20, "1MiB"}, "1536KiB": {1536 << 10, "1536KiB"}, "25MB": {25_000_000, "25000000"},
		"2GiB": {2 << 30, "2GiB"}, "8388607TiB": {8388607 << 40, "8388607TiB"}, "-1": {-1, "-1"},
	} {
		var b config.Bytes
		require.NoError(t, b.UnmarshalText([]byte(text)), text)
		require.Equal(t, want.n, b)
		require.Equal(t, want.form, b.String())
	}
	for _, bad := range []string{"", "MiB", "1.5MiB", "1 kib", "1K", "0x10", "8388608TiB", "-8388609TiB", "9223372036854775808", "1MiB ", " 1"} {
		var b config.Bytes
		require.Error(t, b.UnmarshalText([]byte(bad)), bad)
		require.Zero(t, b)
	}
}
