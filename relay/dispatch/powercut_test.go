package dispatch_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A power cut may take the end of the message log and leave what speaks of it. The positions
// that are lost must not come back as new messages, which would count as settled.
func TestLostEndOfTheMessageLogIsNotGivenOutAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		for i := range 5 {
			r.send(1001, "ticket:1", fmt.Sprint("a", i))
		}
		settle(time.Second)
		r.crash()
		old := filepath.Join(t.TempDir(), "old")
		copyDir(t, messages(r), old)
		r.start()
		for i := range 5 {
			r.send(1001, "ticket:1", fmt.Sprint("lost", i))
		}
		settle(time.Minute) // delivered, recorded and in a snapshot
		r.crash()
		require.NoError(t, os.RemoveAll(messages(r)))
		copyDir(t, old, messages(r))
		r.start()
		for i := range 5 {
			r.send(1001, "ticket:1", fmt.Sprint("b", i))
		}
		settle(time.Minute)
		texts := r.inbox.texts()
		require.Equal(t, numbered("b", 5), texts[len(texts)-5:])
		require.Len(t, texts, 15)
	})
}

func messages(r *rig) string {
	return filepath.Join(r.dir, "jetstream", "jetstream", "$G", "streams", "RELAY_MSG_0")
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "cp", "-a", from, to).CombinedOutput()
	require.NoError(t, err, string(out))
}
