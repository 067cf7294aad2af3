package relay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
)

// FuzzNames reads what strangers put into paths, queries and fields: ids, destinations and
// durations. What is taken reads as the same again.
func FuzzNames(f *testing.F) {
	for _, s := range []string{
		string(relay.NewID()), "msg_", "msg_01a2032e-f99c-794f-aaaf-6d13c53af692", "helpdesk", "channel-1001", "chat-0123456789abcdef",
		"status-7", "channel--1", "30s", "72h", "-1ns", "1e9h", "9223372036854775807ns", "é",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := relay.ParseID(s); err == nil {
			require.Equal(t, s, string(id))
			require.False(t, id.Time().IsZero())
		}
		if d, err := relay.ParseDestination(s); err == nil {
			require.Equal(t, s, string(d))
			require.Less(t, d.Shard(16), 16)
			if id, ok := d.Channel(); ok {
				require.Positive(t, id)
			}
			require.False(t, d.Chat() && d == relay.Helpdesk)
		}
		var d relay.Duration
		if d.UnmarshalText([]byte(s)) == nil {
			var again relay.Duration
			require.NoError(t, again.UnmarshalText([]byte(d.String())))
			require.Equal(t, time.Duration(d), time.Duration(again))
		}
	})
}
