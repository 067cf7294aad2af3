package e2e_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
	"omnirelay/relay/sink"
)

// do runs a command that must succeed and decodes what it says with -o json into out.
func (r *program) do(out any, args ...string) {
	r.t.Helper()
	text, err := r.command(append(args, "-o", "json")...)
	require.NoError(r.t, err)
	require.NoError(r.t, json.Unmarshal([]byte(text), out), text)
}

// says runs a command that must succeed and returns what it tells people.
func (r *program) says(args ...string) string {
	r.t.Helper()
	text, err := r.command(args...)
	require.NoError(r.t, err)
	return text
}

func TestTheCommandLineOverTheAPI(t *testing.T) {
	t.Parallel()
	receiver := receive(t)
	r := start(t, quickProbes)

	// Channels.
	var made struct {
		client.Channel
		Secret string `json:"custom_channel_secret"`
	}
	r.do(&made, "channel", "create", "--name", "Example channel", "--endpoint", receiver.url(),
		"--generate-secret", "--max-attempts", "2", "--retry-initial", "20ms", "--include-signature")
	require.EqualValues(t, 1001, made.ID)
	require.True(t, strings.HasPrefix(made.Secret, "whsec_"))
	require.Equal(t, 2, made.MaxAttempts)
	require.True(t, made.IncludeSignature)
	require.Contains(t, r.says("channel", "list"), "1001  Example channel  yes     "+receiver.url())
	require.Contains(t, r.says("channel", "update", "1001", "--name", "Another name", "--include-signature=false"), "Another name")
	var shown client.Channel
	r.do(&shown, "channel", "show", "1001")
	require.Equal(t, "Another name", shown.Name)
	require.False(t, shown.IncludeSignature)
	require.True(t, shown.SecretSet, "what no flag names stays")

	// Messages.
	id := strings.TrimSpace(r.says("message", "send", "--channel", "1001", "--ticket", "1", "Hello \x1b[31mthere"))
	r.becomes(relay.ID(id), client.StateDelivered)
	table := r.says("message", "show", id)
	require.Contains(t, table, "delivered")
	require.Contains(t, table, "Hello  [31mthere", "nothing steers the terminal")
	require.Contains(t, r.says("message", "list", "--channel", "1001", "--state", "delivered"), id)
	require.NotContains(t, r.says("message", "list", "--state", "dead"), id)
	var accepted client.Accepted
	r.do(&accepted, "message", "send", "--inbound", "--channel", "1001", "--from", "ann", "--idempotency-key", "k", "Where?")
	r.do(&accepted, "message", "send", "--inbound", "--channel", "1001", "--from", "ann", "--idempotency-key", "k", "Where?")
	require.True(t, accepted.Duplicate)

	// Dead letters, in bulk.
	receiver.sink.Misbehave(sink.Fault{Action: sink.Answer, Status: 422})
	var ids []relay.ID
	for range 3 {
		ids = append(ids, r.send(1001, 7, "to die"))
	}
	for _, id := range ids {
		r.becomes(id, client.StateDead)
	}
	var letters []client.DeadLetter
	r.do(&letters, "dead", "list", "--channel", "1001", "--reason", "status_4xx")
	require.Len(t, letters, 3)
	require.Contains(t, r.says("dead", "show", string(ids[0])), "to die")
	require.Contains(t, r.says("dead", "replay", "--channel", "1001", "--since", "1h", "--dry-run"), string(ids[2]))
	r.do(&letters, "dead", "list")
	require.Len(t, letters, 3, "a dry run does nothing")
	receiver.sink.Misbehave()
	require.Equal(t, "1 dead letter discarded.\n", r.says("dead", "discard", string(ids[0])))
	require.Equal(t, "2 dead letters replayed.\n", r.says("dead", "replay", "--channel", "1001", "--since", "1h", "--rate", "1000"))
	for _, id := range ids[1:] {
		r.becomes(id, client.StateDelivered)
	}
	require.Equal(t, "0 dead letters replayed.\n", r.says("dead", "replay", "--all"))

	// Holds and replays.
	require.Contains(t, r.says("hold", "1001", "--why", "maintenance"), "channel-1001 is on hold since ")
	require.Contains(t, r.says("hold"), "maintenance")
	waiting := r.send(1001, 1, "waits")
	require.Equal(t, "channel-1001 is resumed.\n", r.says("resume", "1001"))
	r.becomes(waiting, client.StateDelivered)
	require.Contains(t, r.says("replay", "1001", "--since", "1h"), "is sent again")
	require.True(t, wait(func() bool { return receiver.sink.Stats().Repeats > 0 }))
	require.Contains(t, r.says("replay"), "DESTINATION")

	// Keys.
	var key client.NewKey
	r.do(&key, "key", "create", "shop", "--permission", "MESSAGE_CREATE", "--channel", "1001")
	require.Equal(t, []int64{1001}, key.Channels)
	require.Contains(t, r.says("key", "list"), key.ID)
	require.NotContains(t, r.says("key", "list"), key.APIKey)
	require.Contains(t, r.says("key", "revoke", key.ID), "is revoked")
	require.Equal(t, "Channel 1001 is deleted.\n", r.says("channel", "delete", "1001"))
}

func TestCommandsThatFail(t *testing.T) {
	t.Parallel()
	r := start(t)
	for line, want := range map[string]struct {
		code int
		said string
	}{
		"channel show 77":                                       {1, "omnirelay: There is no channel 77"},
		"message send --channel 77 --ticket 1 x":                {1, "omnirelay: The field type must be the id of a channel"},
		"message show msg_019aa51e-7d5b-7c83-8b5a-1f3f2d7f8a10": {1, "There is no message"},
		"dead replay msg_019aa51e-7d5b-7c83-8b5a-1f3f2d7f8a10":  {1, "There is no dead letter"},
		"resume 1001":                           {1, "channel-1001 is not on hold."},
		"hold 77":                               {1, "must be the id of a channel"},
		"channel list --api http://127.0.0.1:1": {1, "Is the relay running there?"},
		"channel list --key-file /nowhere":      {1, "reading the API key: open /nowhere"},
		"channel list --api ftp://x":            {2, "--api: the relay's address must be an http or https URL"},
		"channel create --name x":               {1, "custom_channel_endpoint"},
	} {
		out, err := r.command(strings.Fields(line)...)
		require.Empty(t, out, line)
		require.ErrorContains(t, err, want.said, line)
		exit := new(exec.ExitError)
		require.ErrorAs(t, err, &exit, line)
		require.Equal(t, want.code, exit.ExitCode(), line)
		require.NotContains(t, err.Error(), r.key)
	}
}
