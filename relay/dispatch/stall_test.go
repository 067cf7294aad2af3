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
// at a later time. A journal tries again every two seconds.
func (s *stalls) cover(over, at time.Time) bool {
	for _, stall := range *s {
		if over.After(stall.from.Add(-100*time.Millisecond)) && (stall.to.IsZero() || at.Before(stall.to.Add(3*time.Second))) {
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
