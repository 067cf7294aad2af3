package bench

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/config"
)

// quick is every scenario at its smallest.
func quick(t *testing.T) Options {
	t.Helper()
	return Options{
		Sync: []string{config.SyncInterval}, Connections: []int{8}, Duration: 200 * time.Millisecond, Rounds: 1,
		Channels: 3, ManyChannels: 20, Backlog: 500, Rate: 200, Kills: 2, Dir: t.TempDir(), Progress: t.Output(),
	}
}

// TestMeasurements runs the scenarios in this process and looks at what must hold however
// slow the machine is.
func TestMeasurements(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"throughput", "latency", "channels"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := quick(t)
			o.Scenarios = []string{name}
			r, err := Run(t.Context(), o)
			require.NoError(t, err)
			require.NotEmpty(t, r.Figures)
			for _, f := range r.Figures {
				require.Equal(t, name, f.Scenario)
				switch f.Name {
				case "out of order", "repeated":
					require.Zero(t, f.Relay)
				case "delivered", "accepted":
					require.Positive(t, f.Relay)
					require.Positive(t, f.Reference)
				}
			}
			left, err := os.ReadDir(o.Dir)
			require.NoError(t, err)
			require.Empty(t, left, "directories are removed")
		})
	}
}

func TestIsolation(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("three relays with a thousand channels each")
	}
	o := quick(t)
	o.Scenarios = []string{"isolation"}
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, r.Figures, 2)
	for _, f := range r.Figures {
		require.Positive(t, f.Relay)
		require.Positive(t, f.Reference)
	}
}

// TestProcesses runs the scenarios that need the program itself.
func TestProcesses(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the program")
	}
	o := quick(t)
	o.Binary = filepath.Join(t.TempDir(), "omnirelay")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", o.Binary, "omnirelay/cmd/omnirelay")
	text, err := build.CombinedOutput()
	require.NoError(t, err, string(text))
	o.Scenarios = []string{"memory", "crash"}
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	values := map[string]float64{}
	for _, f := range r.Figures {
		values[f.Name] = f.Relay
	}
	require.Zero(t, values["lost"])
	require.Zero(t, values["out of order"])
	for _, name := range []string{"accepted", "resident after loading", "resident after a kill", "ready after a stop", "ready after a kill"} {
		require.Positive(t, values[name], name)
	}
}

func TestAPipelineThatLosesMessagesIsFoundOut(t *testing.T) {
	t.Parallel()
	r, err := newReceiver(t.Context())
	require.NoError(t, err)
	defer r.close()
	// The receiver answers 200 to what it does not note.
	lossy := direct{r}
	l := newLedger(1, 10, conversationsFor(2, 1))
	s := &sender{to: lossy.intake(), ledger: l, channels: []int64{1}, size: 200}
	require.NoError(t, s.send(t.Context(), pace{connections: 2, messages: 10}))
	require.ErrorIs(t, l.drained(t.Context(), 10*time.Millisecond), context.DeadlineExceeded)
	require.Equal(t, 10, l.lost())
}

func TestRefusedRequestsAreAnError(t *testing.T) {
	t.Parallel()
	r, err := newReceiver(t.Context())
	require.NoError(t, err)
	defer r.close()
	r.failEvery.Store(2)
	l := newLedger(1, 10, conversationsFor(1, 1))
	s := &sender{to: direct{r}.intake(), ledger: l, channels: []int64{1}, size: 200}
	err = s.send(t.Context(), pace{connections: 1, messages: 10})
	require.ErrorContains(t, err, "5 requests failed, the first with")
	require.ErrorContains(t, err, "503")
}

// direct is no pipeline at all: the sender's requests go straight to the receiver.
type direct struct{ r *receiver }

func (d direct) intake() intake {
	in, err := newAdmin("http://" + d.r.address)
	if err != nil {
		return intake{}
	}
	return intake{url: in.base, header: http.Header{}}
}

func (d direct) close() error { return nil }

// BenchmarkDelivery is a message's whole way: from a sender's request over loopback, through
// the store, to the receiver. Sender and receiver are in this process, and "direct" is what
// these two cost by themselves: subtract it.
func BenchmarkDelivery(b *testing.B) {
	o, err := Options{}.withDefaults()
	require.NoError(b, err)
	run := func(b *testing.B, p pipeline, r *receiver, channels []int64) {
		b.Helper()
		const messages = 1000 // one at a time would measure waiting
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for b.Loop() {
			_, err := o.load(b.Context(), p, r, pace{connections: 16, messages: messages}, channels)
			require.NoError(b, err)
		}
		runtime.ReadMemStats(&after)
		all := float64(b.N) * messages
		b.ReportMetric(0, "ns/op") // left out
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/all, "ns/message")
		b.ReportMetric(float64(after.Mallocs-before.Mallocs)/all, "allocs/message")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/all, "B/message")
	}
	r, err := newReceiver(b.Context())
	require.NoError(b, err)
	defer r.close()
	b.Run("direct", func(b *testing.B) { run(b, direct{r}, r, make([]int64, 16)) })
	b.Run("bare", func(b *testing.B) {
		o := o
		o.Dir = b.TempDir()
		p, err := o.startBare(b.Context(), false, r.url())
		require.NoError(b, err)
		defer func() { require.NoError(b, p.close()) }()
		run(b, p, r, make([]int64, 16))
	})
	b.Run("relay", func(b *testing.B) {
		o := o
		o.Dir = b.TempDir()
		p, err := o.startRelay(b.Context(), config.SyncInterval)
		require.NoError(b, err)
		defer func() { require.NoError(b, p.close()) }()
		ids, err := p.admin.channels(b.Context(), 16, leadingTo(r.url()))
		require.NoError(b, err)
		run(b, p, r, ids)
	})
}
