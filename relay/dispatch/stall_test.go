package dispatch_test

import (
	"time"

	"github.com/stretchr/testify/require"
)

// stalls are the times in which the attempt log took nothing.
type stalls []struct{ from, to time.Time }

func (s *stalls) begin(r *rig) {
	if s.on() {
		return
	}
	r.attemptLogTakes(1)
	*s = append(*s, struct{ from, to time.Time }{from: time.Now()})
}

func (s *stalls) end(r *rig) {
	if s.on() {
		r.attemptLogTakes(-1)
		(*s)[len(*s)-1].to = time.Now()
	}
}

func (s *stalls) on() bool { return len(*s) > 0 && (*s)[len(*s)-1].to.IsZero() }

// cover reports whether something that ended at over may still have waited to be recorded
// at a later time. A journal tries again every two seconds, so what waited in one stall may be
// caught by the next.
func (s *stalls) cover(over, at time.Time) bool {
	const patience = 3 * time.Second
	for i, stall := range *s {
		if over.Before(stall.from.Add(-100 * time.Millisecond)) {
			continue
		}
		to := stall.to
		for _, next := range (*s)[i+1:] {
			if next.from.Before(to.Add(patience)) {
				to = next.to
			}
		}
		if to.IsZero() || at.Before(to.Add(patience)) {
			return true
		}
	}
	return false
}

// attemptLogTakes sets the size of the largest record that the attempt log takes, bytes; -1
// for any. Nothing fits into one byte.
func (r *rig) attemptLogTakes(most int32) {
	stream, err := r.conn.JetStream().Stream(r.t.Context(), "RELAY_ATTEMPT")
	require.NoError(r.t, err)
	c := stream.CachedInfo().Config
	c.MaxMsgSize = most
	_, err = r.conn.JetStream().UpdateStream(r.t.Context(), c)
	require.NoError(r.t, err)
}
