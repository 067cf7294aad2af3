package mirror

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A lagging replica may answer single reads with any earlier state, and our own writes may
// come to memory before or after the watcher brings them. Whatever the order, memory never
// shows a state older than one it has shown or the watcher has passed, and ends with the
// last one.
func TestMemoryNeverGoesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &Mirror[int]{slots: make(map[string]*slot[int])}
		// Revision n+1 of the key is a deletion where gone[n] is set.
		gone := rapid.SliceOfN(rapid.Bool(), 1, 12).Draw(t, "gone")
		last := uint64(len(gone))
		state := func(rev uint64) *slot[int] {
			return &slot[int]{value: int(rev), rev: rev, gone: gone[rev-1]}
		}
		watched, shown := uint64(0), uint64(0)
		for watched < last {
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				watched++
				m.apply("k", state(watched), true)
				shown = max(shown, watched)
			case 1: // a read, or our own write's acknowledgement
				rev := rapid.Uint64Range(1, last).Draw(t, "read")
				if s := state(rev); !s.gone { // single reads do not report deletions
					m.apply("k", s, false)
					shown = max(shown, rev)
				}
			case 2: // our own deletion, which succeeds on the latest state only
				if s, err := m.slot("k"); err == nil && s.rev < last && gone[s.rev] {
					m.forget("k", s.rev)
					shown = max(shown, s.rev+1)
				}
			}
			s, err := m.slot("k")
			if shown == 0 || gone[shown-1] {
				require.ErrorIs(t, err, ErrNotFound)
			} else {
				require.NoError(t, err)
				require.Equal(t, int(shown), s.value)
			}
		}
		if gone[last-1] {
			require.Empty(t, m.slots, "deleted keys leave nothing behind")
		}
	})
}
