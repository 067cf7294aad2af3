package crash_test

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/crash"
)

// fromEnv is a number that the environment may set.
func fromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

// TestCrashes kills the relay under load. A run of a hundred crashes takes some minutes:
//
//	OMNIRELAY_TEST_CRASHES=100 go test -run TestCrashes -timeout 30m -v ./relay/crash
//
// OMNIRELAY_TEST_SEED repeats the load, the faults and the moments of an earlier run, as far
// as two processes can be made to do the same again.
func TestCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than five seconds")
	}
	t.Parallel()
	crashes := int(fromEnv(t, "OMNIRELAY_TEST_CRASHES", 5))
	seed := fromEnv(t, "OMNIRELAY_TEST_SEED", uint64(time.Now().UnixNano()))
	for _, sync := range []string{"always", "interval"} {
		t.Run(sync, func(t *testing.T) {
			t.Logf("OMNIRELAY_TEST_SEED=%d", seed)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+time.Duration(crashes)*10*time.Second)
			defer cancel()
			report, err := crash.Run(ctx, crash.Options{
				Binary: binary, Dir: t.TempDir(), Seed: seed, Log: t.Logf,
				Crashes: crashes, Stops: crashes / 4, Env: []string{"OMNIRELAY_SYNC=" + sync},
			})
			require.NoError(t, err)
			t.Logf("%s", report)
			require.NoError(t, report.Err(), "%s", report)
			require.Positive(t, report.Accepted)
			require.Equal(t, crashes, report.Crashes)
		})
	}
}

// TestStops ends the relay in order, again and again: nothing at all may come twice.
func TestStops(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than five seconds")
	}
	t.Parallel()
	report, err := crash.Run(t.Context(), crash.Options{
		Binary: binary, Dir: t.TempDir(), Stops: 4, Seed: fromEnv(t, "OMNIRELAY_TEST_SEED", 7), Log: t.Logf,
	})
	require.NoError(t, err)
	t.Logf("%s", report)
	require.NoError(t, report.Err(), "%s", report)
	require.Zero(t, report.Repeated)
	require.Positive(t, report.Accepted)
}
