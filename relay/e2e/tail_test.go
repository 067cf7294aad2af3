package e2e_test

import (
	"os/exec"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/client"
)

func TestTailShowsWhatHappensAndEndsWithTheRelay(t *testing.T) {
	t.Parallel()
	receiver := receive(t)
	r := start(t)
	ch := r.channel(receiver.url())
	cmd := exec.CommandContext(t.Context(), binary, "tail", "--channel", "1001")
	cmd.Env = []string{"OMNIRELAY_API_URL=" + r.p.API, "OMNIRELAY_DATA_DIR=" + r.dir}
	var out said
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())

	// The command says nothing when it has begun, so messages are sent until it shows one.
	shows := regexp.MustCompile(`accepted  (msg_\S+) channel-1001 ticket:1 "Hello"\n(?s:.*)delivered \S+ channel-1001 ticket:1 ok 200, took `)
	require.True(t, wait(func() bool {
		r.becomes(r.send(ch.ID, 1, "Hello"), client.StateDelivered)
		return shows.MatchString(out.String())
	}), out.String())

	r.stop() // does not wait for whoever follows
	err := cmd.Wait()
	exit := new(exec.ExitError)
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.Contains(t, out.String(), "omnirelay: the relay ended the stream\n")
}
