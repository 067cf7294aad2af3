package e2e_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

const (
	// soakRounds is how many rounds a run has unless OMNIRELAY_TEST_SOAK says otherwise.
	soakRounds = 30
	// soakMessages is how many messages a round sends.
	soakMessages = 20
	// soakGrowth is what a round may leave behind in the heap, bytes: the record of a deleted
	// channel and what a log keeps in memory of its messages. A lost request or attempt is more.
	soakGrowth = 24 << 10
)

// TestNothingLeaks does everything that a relay does again and again: channels come and go,
// endpoints fail and come back, streams are opened and left. Goroutines and heap after the last
// round are compared with those after a third of the rounds. A long run:
//
//	OMNIRELAY_TEST_SOAK=2000 go test -run TestNothingLeaks -timeout 2h -v ./relay/e2e
func TestNothingLeaks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than five seconds")
	}
	t.Parallel()
	rounds := soakRounds
	if text, set := os.LookupEnv("OMNIRELAY_TEST_SOAK"); set {
		var err error
		rounds, err = strconv.Atoi(text)
		require.NoError(t, err, "OMNIRELAY_TEST_SOAK")
	}
	r := start(t)
	for n := range rounds / 3 {
		soak(t, r, n)
	}
	warm := r.takes()
	t.Logf("after %d rounds: %+v", rounds/3, warm)
	for n := rounds / 3; n < rounds; n++ {
		soak(t, r, n)
	}
	var now taken
	least := func() bool {
		now = r.takes()
		return now.goroutines <= warm.goroutines+8 && now.heap <= warm.heap+uint64(rounds-rounds/3)*soakGrowth
	}
	// Connections and caches that nobody uses go by themselves, and that takes its time.
	if !wait(least) {
		require.Fail(t, "something is left behind by each round", "%+v after a third, %+v at the end", warm, now)
	}
	t.Logf("after %d rounds: %+v", rounds, now)
	r.stop()
}

// soak is one round.
func soak(t *testing.T, r *program, n int) {
	t.Helper()
	ctx := t.Context()
	receiver := receive(t, secret)
	defer receiver.close()
	channel := r.channel(receiver.url(), func(f *client.ChannelFields) { f.Secret = new(secret) })
	tail, err := r.Tail(ctx, client.TailFilter{ChannelID: channel.ID})
	require.NoError(t, err)
	for m := range soakMessages {
		switch m {
		case soakMessages / 4:
			receiver.close() // its breaker opens
		case soakMessages / 2:
			receiver.open()
		}
		r.send(channel.ID, int64(1000*n+m%3+1), fmt.Sprint("message ", m))
	}
	receiver.accepts(soakMessages)
	destination := relay.ChannelDestination(channel.ID)
	_, err = r.Hold(ctx, destination, "soak")
	require.NoError(t, err)
	r.send(channel.ID, int64(1000*n+1), "held")
	require.NoError(t, r.Resume(ctx, destination))
	receiver.accepts(soakMessages + 1)
	_, err = r.Replay(ctx, destination, time.Now().Add(-time.Hour))
	require.NoError(t, err)
	// One that was under way when the receiver was closed has come twice already.
	require.True(t, wait(func() bool { return receiver.sink.Stats().Repeats >= soakMessages+1 }), "the replay comes")
	require.NoError(t, tail.Close())
	require.NoError(t, r.DeleteChannel(ctx, channel.ID))
}

// taken is what a relay takes of its machine.
type taken struct {
	goroutines int
	heap       uint64 // bytes that are in use after a collection
}

// takes collects the relay's garbage and measures it.
func (r *program) takes() (now taken) {
	r.t.Helper()
	get := func(path string, line func(string)) {
		resp, err := http.Get(r.p.Admin + path)
		require.NoError(r.t, err)
		defer resp.Body.Close()
		require.Equal(r.t, http.StatusOK, resp.StatusCode, path)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			line(lines.Text())
		}
	}
	get("/debug/pprof/heap?gc=1&debug=1", func(line string) {
		if text, ok := strings.CutPrefix(line, "# HeapAlloc = "); ok {
			var err error
			now.heap, err = strconv.ParseUint(text, 10, 64)
			require.NoError(r.t, err)
		}
	})
	get("/metrics", func(line string) {
		if text, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			var err error
			now.goroutines, err = strconv.Atoi(text)
			require.NoError(r.t, err)
		}
	})
	require.NotZero(r.t, now.heap)
	require.NotZero(r.t, now.goroutines)
	return now
}
