package endpoints

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDecodeRecord looks for stored bytes that panic, or that change when they are written
// back.
func FuzzDecodeRecord(f *testing.F) {
	f.Add("1001", []byte(`{"channel":{"id":1001,"name":"n","custom_channel_secret":"s","previous_secrets":[{"secret":"p","until":"2026-01-02T03:04:05Z"}],"hook_token":"t","timeout":"30s","rate_limit":1.5}}`))
	f.Add("7", []byte(`{"tombstone":{"id":7,"name":"n","deleted_by":"ann","deleted_at":"2026-01-02T03:04:05Z"}}`))
	f.Add("1", []byte(`{}`))
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		r, err := decodeRecord(key, data)
		if err != nil {
			return
		}
		first, err := encodeRecord(r)
		require.NoError(t, err)
		again, err := decodeRecord(key, first)
		require.NoError(t, err)
		second, err := encodeRecord(again)
		require.NoError(t, err)
		require.Equal(t, string(first), string(second))
	})
}
