package endpoints_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/endpoints"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
	"omnirelay/signer"
)

func TestMain(m *testing.M) { natsdtest.Main(m) }

func js(t testing.TB) jetstream.JetStream { return natsdtest.Open(t).JetStream() }

func open(t testing.TB, js jetstream.JetStream) *endpoints.Registry {
	t.Helper()
	r, err := endpoints.Open(t.Context(), js, endpoints.Options{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

// patch is a Patch of field and value pairs.
func patch(t testing.TB, pairs ...string) endpoints.Patch {
	t.Helper()
	var p endpoints.Patch
	for pair := range slices.Chunk(pairs, 2) {
		require.NoError(t, p.Set(pair[0], pair[1]))
	}
	return p
}

func minimal(t testing.TB) endpoints.Patch {
	t.Helper()
	return patch(t, "name", "Example channel", "custom_channel_endpoint", "https://api.example.com/message")
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func reveal(secrets []signer.Secret) []string {
	var texts []string
	for _, s := range secrets {
		texts = append(texts, s.Reveal())
	}
	return texts
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	r := open(t, js(t))
	c, err := r.Create(t.Context(), 0, minimal(t))
	require.NoError(t, err)
	require.EqualValues(t, 1001, c.ID)
	require.Equal(t, "chat", c.Icon)
	require.False(t, c.IncludeSignature)
	require.False(t, c.AvailableInQuickTicket)
	require.Equal(t, relay.DefaultPolicy(), c.Policy())
	require.Zero(t, c.Overrides, "a default that changes later must reach the channel")
	require.Empty(t, c.Secrets(time.Now()))
	require.False(t, c.CreatedAt.IsZero())
	require.Equal(t, c.CreatedAt, c.UpdatedAt)
	require.Regexp(t, `^[a-z0-9]{32,}$`, c.HookToken.Reveal())
	require.True(t, c.HookTokenMatches(c.HookToken.Reveal()))
	require.False(t, c.HookTokenMatches(c.HookToken.Reveal()+"x"))
	require.False(t, c.HookTokenMatches(""))
	require.False(t, endpoints.Channel{}.HookTokenMatches(""))

	other, err := r.Create(t.Context(), 0, minimal(t))
	require.NoError(t, err)
	require.NotEqual(t, c.HookToken.Reveal(), other.HookToken.Reveal())
}

func TestEveryFieldIsStoredAndShown(t *testing.T) {
	t.Parallel()
	conn := natsdtest.Open(t)
	r := open(t, conn.JetStream())
	p := patch(t,
		"name", "All", "icon", "note", "custom_channel_endpoint", "https://a.example/m", "custom_channel_secret", "s3cr3t",
		"include_signature", "true", "custom_channel_warning_en", "Slow", "custom_channel_warning_nl", "Traag",
		"custom_channel_available_in_quick_ticket", "true", "status_callback", "https://a.example/s",
		"concurrency", "3", "timeout", "30s", "max_attempts", "7", "max_age", "48h", "retry_initial", "1s", "retry_max", "1h",
		"rate_limit", "2.5", "rate_burst", "9")
	c, err := r.Create(t.Context(), 4711, p)
	require.NoError(t, err)
	want := map[string]any{
		"id": 4711.0, "name": "All", "icon": "note", "custom_channel_endpoint": "https://a.example/m", "custom_channel_secret_set": true,
		"include_signature": true, "custom_channel_warning_en": "Slow", "custom_channel_warning_nl": "Traag",
		"custom_channel_available_in_quick_ticket": true, "status_callback": "https://a.example/s",
		"concurrency": 3.0, "timeout": "30s", "max_attempts": 7.0, "max_age": "48h0m0s", "retry_initial": "1s", "retry_max": "1h0m0s",
		"rate_limit": 2.5, "rate_burst": 9.0,
		"created_at": c.CreatedAt.Format(time.RFC3339Nano), "updated_at": c.UpdatedAt.Format(time.RFC3339Nano),
	}
	// A second registry reads what is stored, not what the first remembers.
	got, err := open(t, conn.JetStream()).Get(t.Context(), 4711)
	require.NoError(t, err)
	require.Equal(t, want, decoded(t, got.View(false)))
	want["hook_token"] = c.HookToken.Reveal()
	require.Equal(t, want, decoded(t, got.View(true)))
	require.Equal(t, []string{"s3cr3t"}, reveal(got.Secrets(time.Now())))

	// Zero brings a default back; what is absent stays.
	got, err = r.Update(t.Context(), 4711, patch(t, "concurrency", "0", "retry_max", "0s"))
	require.NoError(t, err)
	require.Equal(t, 16, got.Policy().Concurrency)
	require.Equal(t, relay.Duration(4*time.Hour), got.Policy().Max)
	require.Equal(t, 7, got.Policy().MaxAttempts)
	require.Equal(t, "All", got.Name)
}

func decoded(t *testing.T, v any) map[string]any {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(data, &m))
	return m
}

func TestRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		conn := natsdtest.OpenDir(t, dir)
		r, err := endpoints.Open(t.Context(), conn.JetStream(), endpoints.Options{Log: zerolog.Nop()})
		require.NoError(t, err)
		c, err := r.Create(t.Context(), 0, minimal(t))
		require.NoError(t, err)
		update := func(pairs ...string) {
			t.Helper()
			_, err := r.Update(t.Context(), c.ID, patch(t, pairs...))
			require.NoError(t, err)
		}
		signsAfter := func(d time.Duration, want ...string) {
			t.Helper()
			c, err := r.Get(t.Context(), c.ID)
			require.NoError(t, err)
			require.Equal(t, want, reveal(c.Secrets(time.Now().Add(d))))
		}
		signsWith := func(want ...string) {
			t.Helper()
			signsAfter(0, want...)
		}
		signsWith()
		update("custom_channel_secret", "one")
		signsWith("one")

		update("custom_channel_secret", "two")
		signsWith("two", "one")
		update("custom_channel_secret", "two", "name", "Same secret again")
		signsAfter(endpoints.DefaultSecretOverlap-time.Second, "two", "one")
		signsAfter(endpoints.DefaultSecretOverlap, "two")
		update("custom_channel_secret_overlap", "1m") // also shortens a rotation under way
		time.Sleep(59 * time.Second)
		signsWith("two", "one")
		time.Sleep(time.Second)
		signsWith("two")

		// Here "one" is over for good, so a longer overlap does not bring it back.
		update("custom_channel_secret", "three", "custom_channel_secret_overlap", "2m")
		signsWith("three", "two")
		time.Sleep(time.Minute)
		update("custom_channel_secret", "four") // two keeps its two minutes
		signsWith("four", "three", "two")
		time.Sleep(time.Minute)
		signsWith("four", "three")

		update("custom_channel_secret", "three") // back again
		signsWith("three", "four")
		update("custom_channel_secret_overlap", "0s")
		signsWith("three")
		update("custom_channel_secret", "five", "custom_channel_secret_overlap", "0s")
		signsWith("five")

		for s := range strings.FieldsSeq("a b c d e f g") {
			update("custom_channel_secret", s)
		}
		signsWith("g", "f", "e", "d", "c")

		got, err := r.Get(t.Context(), c.ID)
		require.NoError(t, err)
		require.Equal(t, time.Now().Add(endpoints.DefaultSecretOverlap).UTC(), got.View(false).PreviousSecretsUntil)
		update("custom_channel_secret", "")
		signsWith()
		update("custom_channel_secret", "h")
		signsWith("h")
		r.Close()
		require.NoError(t, conn.Close())
	})
}

func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	r := open(t, js(t))
	p := minimal(t)
	require.NoError(t, p.Set("custom_channel_secret", "first-hush"))
	c, err := r.Create(t.Context(), 0, p)
	require.NoError(t, err)
	p = patch(t, "custom_channel_secret", "second-hush")
	c, err = r.Update(t.Context(), c.ID, p)
	require.NoError(t, err)

	var out bytes.Buffer
	log := zerolog.New(&out)
	for _, v := range []any{c, &c, []endpoints.Channel{c}, struct{ c endpoints.Channel }{c}, p, &p, c.View(false)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		require.NoError(t, json.NewEncoder(&out).Encode(v))
		log.Info().Interface("v", v).Any("w", v).Msgf("%v", v)
	}
	// Errors about a bad secret must not quote it.
	_, err = r.Update(t.Context(), c.ID, patch(t, "custom_channel_secret", strings.Repeat("third-hush", 200), "name", "<>"))
	require.Error(t, err)
	fmt.Fprintf(&out, "%+v", err)
	fmt.Fprint(&out, new(endpoints.Patch).Set("custom_channel_secret", "whsec_"))

	for _, text := range []string{"hush", fmt.Sprintf("%x", "hush"), c.HookToken.Reveal(), fmt.Sprintf("%x", c.HookToken.Reveal())} {
		before, after, leaked := strings.Cut(out.String(), text)
		require.False(t, leaked, "…%s>>>%s<<<%.100s", before[max(0, len(before)-300):], text, after)
	}
	require.Contains(t, out.String(), "Example channel")
}
