package queue_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/queue"
	"omnirelay/relay"
)

// TestLoadRunReadsWhatLiesTogether compares what one request brings with what is read one by one.
func TestLoadRunReadsWhatLiesTogether(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	size := 0
	for i := range 100 {
		// Every third message is another channel's; some have a header of their own.
		key := ""
		if i%5 == 0 {
			key = fmt.Sprint("key ", i)
		}
		r, err := s.Append(t.Context(), text(int64(1001+i%3/2), "ticket:1", fmt.Sprint("message ", i)), key)
		require.NoError(t, err)
		if i == 0 {
			e, err := s.Load(t.Context(), 0, r.Position)
			require.NoError(t, err)
			size = e.Size
		}
	}
	var own []relay.Position
	for pos := relay.Position(1); pos <= 100; pos++ {
		if pos%3 != 0 {
			own = append(own, pos)
		}
	}
	for name, c := range map[string]struct {
		positions []relay.Position
		budget    int64
		want      int
	}{
		"all of one channel":        {own, 1 << 20, len(own)},
		"contiguous":                {upTo(100)[10:90], 1 << 20, 80},
		"at the end":                {upTo(100)[90:], 1 << 20, 10},
		"beyond the end":            {upTo(200)[90:], 1 << 20, 10},
		"too few":                   {upTo(3), 1 << 20, 0},
		"too far apart":             {[]relay.Position{1, 10, 20, 30, 40, 50}, 1 << 20, 0},
		"close at the beginning":    {[]relay.Position{1, 2, 3, 4, 50, 100}, 1 << 20, 4},
		"close at the end":          {[]relay.Position{1, 50, 51, 52, 53, 54}, 1 << 20, 0},
		"nothing":                   {nil, 1 << 20, 0},
		"no more than is asked for": {upTo(100), int64(10*size) - 1, -1},
		"without a budget":          {upTo(100), 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := s.LoadRun(t.Context(), 0, c.positions, c.budget)
			if c.want >= 0 {
				require.Len(t, got, c.want)
			} else {
				require.NotEmpty(t, got)
				require.LessOrEqual(t, len(got), 10)
			}
			for i, e := range got {
				want, err := s.Load(t.Context(), 0, c.positions[i])
				require.NoError(t, err)
				require.Equal(t, want, *e)
			}
		})
	}
}

// TestLoadRunTakesNoRecordForAnother has records missing in the middle, and one that is no message.
func TestLoadRunTakesNoRecordForAnother(t *testing.T) {
	t.Parallel()
	s := newStore(t, queue.Options{})
	for i := range 20 {
		s.send(1001, fmt.Sprint(i))
	}
	_, err := s.conn.JetStream().Publish(t.Context(), "relay.msg.0.out.channel-1001", []byte("{"))
	require.NoError(t, err)
	s.send(1001, "21")
	require.NoError(t, s.stream("RELAY_MSG_0").DeleteMsg(t.Context(), 5))

	require.Empty(t, s.LoadRun(t.Context(), 0, upTo(10), 1<<20), "nobody can tell which is which")
	require.Empty(t, s.LoadRun(t.Context(), 0, []relay.Position{5, 6, 7, 8}, 1<<20), "the first is missing")
	require.Len(t, s.LoadRun(t.Context(), 0, upTo(22)[5:], 1<<20), 15, "up to what cannot be decoded")
	require.Len(t, s.LoadRun(t.Context(), 0, upTo(4), 1<<20), 4)
	_, err = s.Pad(t.Context(), 0, 30, 0)
	require.NoError(t, err)
	require.Len(t, s.LoadRun(t.Context(), 0, upTo(30)[21:], 1<<20), 1, "up to what only holds a place")
}
