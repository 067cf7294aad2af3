package bench

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMarkerIsFoundInsideAnything(t *testing.T) {
	t.Parallel()
	m := marker{run: 0xbeef, number: 1<<40 + 7, conversation: 1<<31 - 1}
	got, ok := findMarker(append(m.append([]byte(`{"data":{"message":"`)), ` and more"}}`...))
	require.True(t, ok)
	require.Equal(t, m, got)
}

func TestMarkerIsNotFoundWhereThereIsNone(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "bench-", "bench-beef-000000000001-0000000", "bench-beefx000000000001-00000000",
		"bench-beef-00000000000g-00000000", "bench-beef-000000000000-00000000", "bench-beef--00000000001-00000000",
		"bench-beef-000000000001-ffffffff", "bench-beef-000000000001x00000000",
	} {
		_, ok := findMarker([]byte(body))
		require.False(t, ok, body)
	}
}

func FuzzFindMarker(f *testing.F) {
	f.Add([]byte("bench-beef-000000000001-00000000"))
	f.Add([]byte("x bench-bench-beef-000000000001-00000000"))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, ok := findMarker(body)
		if !ok {
			return
		}
		again, ok := findMarker(m.append(nil))
		require.True(t, ok)
		require.Equal(t, m, again)
	})
}

func TestLedgerTellsLossRepeatsAndDisorder(t *testing.T) {
	t.Parallel()
	l := newLedger(7, 5, 2)
	for n := range int64(5) {
		require.Equal(t, n+1, l.take())
		l.request(n+1, time.Now())
		if n != 4 {
			l.accept(n + 1)
		}
	}
	require.Zero(t, l.take(), "it is full")
	require.Equal(t, 4, l.lost())

	l.see(marker{7, 3, 0})
	l.see(marker{7, 2, 1}) // another conversation: no disorder
	l.see(marker{7, 1, 0}) // after the third
	l.see(marker{7, 3, 0}) // again
	l.see(marker{8, 4, 0}) // of another run
	l.see(marker{7, 6, 0}) // was never sent
	l.see(marker{7, 4, 9}) // no such conversation
	o := l.outcome()
	require.EqualValues(t, 4, o.accepted)
	require.EqualValues(t, 1, o.repeats)
	require.EqualValues(t, 1, o.disorder)
	require.Equal(t, 1, l.lost())
	require.Len(t, o.fromRequest, 3)
	require.ErrorContains(t, l.drained(t.Context(), time.Millisecond), "1 of 4 accepted messages did not reach the receiver")
	l.see(marker{7, 4, 1})
	require.NoError(t, l.drained(t.Context(), time.Minute))
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(1, 4, 1)
		for n := int64(1); n <= 4; n++ {
			l.take()
			l.request(n, time.Now())
			time.Sleep(100 * time.Millisecond)
			l.accept(n)
		}
		time.Sleep(600 * time.Millisecond)
		for n := int64(1); n <= 4; n++ {
			l.see(marker{1, n, 0})
		}
		o := l.outcome()
		require.InDelta(t, 10, o.acceptedRate, 0.01)
		require.InDelta(t, 4, o.deliveredRate, 0.01)
		require.Equal(t, []time.Duration{700e6, 800e6, 900e6, 1000e6}, roundedTo(o.fromRequest, time.Millisecond))
		require.Equal(t, []time.Duration{600e6, 700e6, 800e6, 900e6}, roundedTo(o.fromAccept, time.Millisecond))

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, l.drained(ctx, time.Minute), "nothing is left to wait for")
	})
}

func roundedTo(values []time.Duration, unit time.Duration) []time.Duration {
	var out []time.Duration
	for _, v := range values {
		out = append(out, v.Round(unit))
	}
	return out
}

func TestQuantileAndMedian(t *testing.T) {
	t.Parallel()
	values := make([]int, 100)
	for i := range values {
		values[i] = i + 1
	}
	require.Equal(t, 51, quantile(values, 0.5))
	require.Equal(t, 100, quantile(values, 0.99))
	require.Equal(t, 100, quantile(values, 1))
	require.Equal(t, 1, quantile(values, 0))
	require.Zero(t, quantile([]int(nil), 0.5))

	require.Zero(t, median(nil))
	require.InDelta(t, 2, median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 2.5, median([]float64{3, 9, 1, 2}), 0)
}
