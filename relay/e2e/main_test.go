// Package e2e_test runs the real program against real receivers.
package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/crash"
)

// binary is the program, built once for all tests.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "omnirelay-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = crash.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

const (
	// patience is how long a test waits for what must happen.
	patience = time.Minute
	// glance is how often it looks.
	glance = 5 * time.Millisecond
)

// wait looks until something holds, and reports whether it does.
func wait(holds func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if holds() {
			return true
		}
		<-time.After(glance)
	}
	return false
}

// program is a relay with a data directory of its own, over several lives.
type program struct {
	*client.Client
	t   *testing.T
	dir string
	env []string
	run string // the program or what runs it
	key string
	p   *crash.Process
	out string // of the lives before
}

// start runs the relay for the first time.
func start(t *testing.T, env ...string) *program {
	t.Helper()
	return startBy(t, binary, env...)
}

// startBy is start with another program, which runs it.
func startBy(t *testing.T, run string, env ...string) *program {
	t.Helper()
	r := &program{t: t, dir: t.TempDir(), env: env, run: run}
	r.begin()
	t.Cleanup(func() {
		r.p.Kill()
		if t.Failed() {
			t.Logf("the relay said:\n%s", r.output())
		}
	})
	return r
}

// begin starts a life of the relay.
func (r *program) begin() {
	r.t.Helper()
	if r.p != nil {
		r.out += r.p.Output()
	}
	var err error
	r.p, err = crash.Start(r.t.Context(), crash.ProcessOptions{Binary: r.run, Dir: r.dir, Env: r.env})
	require.NoError(r.t, err)
	r.key, err = crash.Key(r.dir)
	require.NoError(r.t, err)
	r.Client, err = client.New(client.Options{BaseURL: r.p.API, Key: r.key})
	require.NoError(r.t, err)
}

// stop ends it in order.
func (r *program) stop() {
	r.t.Helper()
	require.NoError(r.t, r.p.Stop(r.t.Context()))
}

// kill ends it with kill -9.
func (r *program) kill() { r.p.Kill() }

// output is what it has said in all its lives.
func (r *program) output() string { return r.out + r.p.Output() }

// channel makes a channel whose retries are quick.
func (r *program) channel(endpoint string, change ...func(*client.ChannelFields)) client.Channel {
	r.t.Helper()
	f := client.ChannelFields{
		Name:         new("Example channel"),
		Endpoint:     &endpoint,
		RetryInitial: new(relay.Duration(20 * time.Millisecond)),
		RetryMax:     new(relay.Duration(200 * time.Millisecond)),
		MaxAttempts:  new(100),
	}
	for _, c := range change {
		c(&f)
	}
	ch, err := r.CreateChannel(r.t.Context(), f)
	require.NoError(r.t, err)
	return ch
}

// send sends an agent's message and returns its id.
func (r *program) send(channel, ticket int64, text string) relay.ID {
	r.t.Helper()
	a, err := r.SendOutbound(r.t.Context(), client.OutboundMessage{ChannelID: channel, TicketID: ticket, Message: text})
	require.NoError(r.t, err)
	require.NotEmpty(r.t, a.MessageID)
	return a.MessageID
}

// becomes waits until a message is in a state and returns it.
func (r *program) becomes(id relay.ID, state client.State) client.Message {
	r.t.Helper()
	var m client.Message
	var err error
	if !wait(func() bool {
		m, err = r.Message(r.t.Context(), id)
		return err == nil && m.State == state
	}) {
		require.Fail(r.t, "a message does not become "+string(state), "%+v, %v", m, err)
	}
	return m
}

// command runs a command of the program as somebody in the relay's directory would.
func (r *program) command(args ...string) (out string, err error) {
	return r.commandWith(nil, args...)
}

// commandWith is command with more settings in its environment.
func (r *program) commandWith(settings []string, args ...string) (out string, err error) {
	cmd := exec.CommandContext(r.t.Context(), binary, args...)
	cmd.Dir = r.dir
	cmd.Env = append([]string{"OMNIRELAY_API_URL=" + r.p.API, "OMNIRELAY_DATA_DIR=" + r.dir}, settings...)
	var said strings.Builder
	cmd.Stderr = &said
	text, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("omnirelay %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return string(text), err
}
