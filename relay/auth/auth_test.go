package auth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
	"omnirelay/relay/auth"
)

func js(t testing.TB) jetstream.JetStream { return natsdtest.Open(t).JetStream() }

func open(t testing.TB, js jetstream.JetStream) *auth.Registry {
	t.Helper()
	r, err := auth.Open(t.Context(), js, auth.Options{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

func create(t testing.TB, r *auth.Registry) (auth.ClearKey, auth.Key) {
	t.Helper()
	fresh, key, err := r.Create(t.Context(), auth.CreateRequest{Name: "ann", Permissions: []auth.Permission{auth.MessageCreate}})
	require.NoError(t, err)
	return fresh, key
}

func TestAKeyOpensWhatItPermits(t *testing.T) {
	t.Parallel()
	r := open(t, js(t))
	require.True(t, r.Empty())
	fresh, key, err := r.Create(t.Context(), auth.CreateRequest{
		Name:        "Integration of Ann",
		Permissions: []auth.Permission{auth.MessageCreate, auth.ChannelRead, auth.MessageCreate},
		Channels:    []int64{1002, 13, 1002},
	})
	require.NoError(t, err)
	require.False(t, r.Empty())
	require.Regexp(t, `^ork_[a-z2-7]{52}$`, fresh.Reveal())
	require.Regexp(t, `^key_[a-z2-7]{26}$`, key.ID)
	require.Equal(t, []auth.Permission{auth.ChannelRead, auth.MessageCreate}, key.Permissions)
	require.Equal(t, []int64{13, 1002}, key.Channels)

	got, err := r.Authenticate(t.Context(), fresh.Reveal())
	require.NoError(t, err)
	require.Equal(t, key, got)
	for _, p := range auth.Permissions() {
		require.Equal(t, p == auth.ChannelRead || p == auth.MessageCreate, got.Can(p), p)
	}
	for id, want := range map[int64]bool{13: true, 1002: true, 1001: false, 0: false} {
		require.Equal(t, want, got.CanChannel(id), id)
	}
	require.False(t, got.Can(""))
	require.True(t, auth.Key{}.CanChannel(7), "no list means all channels")

	same, err := r.Get(key.ID)
	require.NoError(t, err)
	require.Equal(t, key, same)
	_, err = r.Get("key_x")
	require.ErrorIs(t, err, auth.ErrNotFound)
}

func TestRelayAdminImpliesNothingElse(t *testing.T) {
	t.Parallel()
	k := auth.Key{Permissions: []auth.Permission{auth.RelayAdmin}}
	for _, p := range auth.Permissions() {
		require.Equal(t, p == auth.RelayAdmin, k.Can(p), p)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	r := open(t, js(t))
	fresh, _ := create(t, r)
	other, _ := create(t, r)
	require.NotEqual(t, fresh.Reveal(), other.Reveal())
	text := fresh.Reveal()
	for _, wrong := range []string{
		"", "ork_", text[:len(text)-1], text + "x", strings.ToUpper(text), " " + text, text + "\n", text[:len(text)-1] + "!",
		strings.Repeat("x", 1<<20), strings.Repeat("\x00", 20),
	} {
		_, err := r.Authenticate(t.Context(), wrong)
		require.ErrorIs(t, err, auth.ErrUnknownKey, "%.80q", wrong)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	r := open(t, js(t))
	some := []auth.Permission{auth.RelayRead}
	for _, tt := range []struct {
		field string
		req   auth.CreateRequest
	}{
		{"name", auth.CreateRequest{Permissions: some}},
		{"name", auth.CreateRequest{Name: strings.Repeat("é", 256), Permissions: some}},
		{"name", auth.CreateRequest{Name: "a\nb", Permissions: some}},
		{"name", auth.CreateRequest{Name: "a\xff", Permissions: some}},
		{"permissions", auth.CreateRequest{Name: "n"}},
		{"permissions", auth.CreateRequest{Name: "n", Permissions: []auth.Permission{"relay_read"}}},
		{"permissions", auth.CreateRequest{Name: "n", Permissions: []auth.Permission{auth.RelayRead, "ROOT"}}},
		{"channels", auth.CreateRequest{Name: "n", Permissions: some, Channels: []int64{5, 0}}},
		{"channels", auth.CreateRequest{Name: "n", Permissions: some, Channels: make([]int64, 1001)}},
	} {
		_, _, err := r.Create(t.Context(), tt.req)
		var problems relay.Problems
		require.ErrorAs(t, err, &problems, "%+v", tt)
		require.Equal(t, tt.field, problems[0].Field, "%+v", tt)
	}
	_, _, err := r.Create(t.Context(), auth.CreateRequest{Channels: []int64{-1}})
	require.ErrorContains(t, err, "name")
	require.ErrorContains(t, err, "permissions")
	require.ErrorContains(t, err, "channels")
	require.True(t, r.Empty())

	_, err = auth.ParsePermission("API_CHAT")
	require.NoError(t, err)
	_, err = auth.ParsePermission("api_chat")
	require.ErrorContains(t, err, "RELAY_ADMIN")
}

func TestARevocationReachesEveryInstance(t *testing.T) {
	t.Parallel()
	conn := js(t)
	a, b := open(t, conn), open(t, conn)
	fresh, key := create(t, a)
	// The other instance knows the key at once, though its watch may not have told it yet.
	got, err := b.Authenticate(t.Context(), fresh.Reveal())
	require.NoError(t, err)
	require.Equal(t, key, got)

	revoked, err := b.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	require.True(t, revoked.Revoked())
	_, err = b.Authenticate(t.Context(), fresh.Reveal())
	require.ErrorIs(t, err, auth.ErrRevoked)
	got = waitRevoked(t, a, fresh)
	require.Equal(t, revoked, got)
	for _, p := range auth.Permissions() {
		require.False(t, got.Can(p))
	}

	again, err := a.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	require.Equal(t, revoked, again, "the first revocation counts")
	_, err = a.Revoke(t.Context(), "key_nobody")
	require.ErrorIs(t, err, auth.ErrNotFound)
	require.False(t, a.Empty())
	require.Equal(t, []auth.Key{revoked}, a.List())
}

// waitRevoked returns the key as r sees it once the revocation has arrived.
func waitRevoked(t *testing.T, r *auth.Registry, fresh auth.ClearKey) (key auth.Key) {
	t.Helper()
	for t.Context().Err() == nil {
		var err error
		if key, err = r.Authenticate(t.Context(), fresh.Reveal()); errors.Is(err, auth.ErrRevoked) {
			return key
		}
		require.NoError(t, err)
	}
	return key
}

func TestRevokeKnowsKeysOfOtherInstances(t *testing.T) {
	t.Parallel()
	conn := js(t)
	a, b := open(t, conn), open(t, conn)
	b.Close() // its watch will never tell
	_, key := create(t, a)
	_, err := b.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
}

func TestOnlyAHashIsStored(t *testing.T) {
	t.Parallel()
	conn := js(t)
	r := open(t, conn)
	fresh, _ := create(t, r)
	const chosen = "bootstrap-key-of-ann"
	_, err := r.Ensure(t.Context(), chosen, "bootstrap", auth.Permissions())
	require.NoError(t, err)

	s, err := conn.Stream(t.Context(), "KV_"+auth.Bucket)
	require.NoError(t, err)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, info.State.LastSeq)
	for n, text := range []string{fresh.Reveal(), chosen} {
		m, err := s.GetMsg(t.Context(), uint64(n)+1)
		require.NoError(t, err)
		raw := fmt.Sprintf("%s %v %s", m.Subject, m.Header, m.Data)
		require.NotContains(t, raw, text)
		require.NotContains(t, raw, strings.TrimPrefix(text, "ork_")[:12])
		sum := sha256.Sum256([]byte(text))
		require.Contains(t, string(m.Data), hex.EncodeToString(sum[:]))
	}
}

func TestEnsure(t *testing.T) {
	t.Parallel()
	conn := js(t)
	r := open(t, conn)
	const text = "0123456789abcdef"
	ensure := func(r *auth.Registry, text string, permissions ...auth.Permission) (auth.Key, error) {
		return r.Ensure(t.Context(), text, "bootstrap", permissions)
	}
	for _, bad := range []string{"", "0123456789abcde", "0123456789abcde f", "0123456789abcdeé", strings.Repeat("x", 513)} {
		_, err := ensure(r, bad, auth.RelayAdmin)
		require.Error(t, err, bad)
		if bad != "" {
			require.NotContains(t, err.Error(), bad)
		}
	}
	_, err := ensure(r, text)
	require.ErrorAs(t, err, new(relay.Problems))
	require.True(t, r.Empty())

	first, err := ensure(r, text, auth.RelayAdmin, auth.RelayRead)
	require.NoError(t, err)
	for _, r := range []*auth.Registry{r, open(t, conn)} {
		same, err := ensure(r, text, auth.RelayRead, auth.RelayAdmin)
		require.NoError(t, err)
		require.Equal(t, first, same)
		require.Len(t, r.List(), 1)
	}
	more, err := ensure(r, text, auth.Permissions()...)
	require.NoError(t, err)
	require.Equal(t, first.ID, more.ID)
	require.True(t, more.Can(auth.APIChat))
	got, err := r.Authenticate(t.Context(), text)
	require.NoError(t, err)
	require.Equal(t, more, got)

	_, err = r.Revoke(t.Context(), first.ID)
	require.NoError(t, err)
	for _, r := range []*auth.Registry{r, open(t, conn)} {
		_, err = ensure(r, text, auth.Permissions()...)
		require.ErrorIs(t, err, auth.ErrRevoked)
		_, err = ensure(r, text, auth.RelayRead)
		require.ErrorIs(t, err, auth.ErrRevoked)
	}
}

func TestInstancesEnsuringAtOnceMakeOneKey(t *testing.T) {
	t.Parallel()
	conn := js(t)
	a, b := open(t, conn), open(t, conn)
	keys := make(chan auth.Key, 2)
	errs := make(chan error, 2)
	for _, r := range []*auth.Registry{a, b} {
		go func() {
			k, err := r.Ensure(context.Background(), "0123456789abcdef", "bootstrap", auth.Permissions())
			keys <- k
			errs <- err
		}()
	}
	one, other := <-keys, <-keys
	require.Equal(t, one, other)
	require.NoError(t, errors.Join(<-errs, <-errs))
}

func TestListIsOldestFirstAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conn := natsdtest.OpenDir(t, dir)
	r, err := auth.Open(t.Context(), conn.JetStream(), auth.Options{})
	require.NoError(t, err)
	var fresh auth.ClearKey
	for range 20 {
		fresh, _ = create(t, r)
	}
	before := r.List()
	require.Len(t, before, 20)
	for n := range before[1:] {
		require.False(t, before[n+1].CreatedAt.Before(before[n].CreatedAt))
	}
	r.Close()
	require.NoError(t, conn.Close())

	conn = natsdtest.OpenDir(t, dir)
	r, err = auth.Open(t.Context(), conn.JetStream(), auth.Options{})
	require.NoError(t, err)
	require.Equal(t, before, r.List())
	_, err = r.Authenticate(t.Context(), fresh.Reveal())
	require.NoError(t, err)
	r.Close()
	require.NoError(t, conn.Close())
}

func TestARecordThatLiesOpensNothing(t *testing.T) {
	t.Parallel()
	conn := js(t)
	open(t, conn)
	kv, err := conn.KeyValue(t.Context(), auth.Bucket)
	require.NoError(t, err)
	sum := sha256.Sum256([]byte("0123456789abcdef"))
	good := hex.EncodeToString(sum[:])
	for name, data := range map[string]string{
		"not JSON":           `no`,
		"no hash":            `{"id":"key_1"}`,
		"a short hash":       `{"id":"key_1","sha256":"` + good[:32] + `"}`,
		"a long hash":        `{"id":"key_1","sha256":"` + good + `00"}`,
		"another key's hash": `{"id":"key_1","sha256":"` + strings.Repeat("00", 32) + `"}`,
		"no id":              `{"sha256":"` + good + `"}`,
	} {
		_, err = kv.PutString(t.Context(), good[:32], data)
		require.NoError(t, err)
		_, err := open(t, conn).Authenticate(t.Context(), "0123456789abcdef")
		require.Error(t, err, name)
		require.NotErrorIs(t, err, auth.ErrUnknownKey, name)
	}
	// The first half of the hash is not enough.
	_, err = kv.PutString(t.Context(), good[:32], `{"id":"key_1","sha256":"`+good[:32]+strings.Repeat("00", 16)+`"}`)
	require.NoError(t, err)
	_, err = open(t, conn).Authenticate(t.Context(), "0123456789abcdef")
	require.ErrorIs(t, err, auth.ErrUnknownKey)
}

func TestAClearKeyDoesNotPrint(t *testing.T) {
	t.Parallel()
	fresh, _ := create(t, open(t, js(t)))
	var out bytes.Buffer
	log, slogger := zerolog.New(&out), slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{fresh, &fresh, []auth.ClearKey{fresh}, struct{ K auth.ClearKey }{fresh}, struct{ k auth.ClearKey }{fresh}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		require.NoError(t, json.NewEncoder(&out).Encode(v))
		log.Info().Interface("v", v).Any("w", v).Send()
		slogger.Info("v", "v", v)
	}
	text := strings.TrimPrefix(fresh.Reveal(), "ork_")
	require.NotContains(t, out.String(), text)
	require.NotContains(t, out.String(), hex.EncodeToString([]byte(text)))
	require.Contains(t, out.String(), "<key>")
	require.Empty(t, auth.ClearKey{}.Reveal())
	require.Equal(t, "<key>", fresh.String())
}

func BenchmarkAuthenticate(b *testing.B) {
	r := open(b, js(b))
	var fresh auth.ClearKey
	for range 100 {
		fresh, _ = create(b, r)
	}
	text := fresh.Reveal()
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.Authenticate(b.Context(), text); err != nil {
				b.Error(err)
			}
		}
	})
}
