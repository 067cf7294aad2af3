package signer_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/signer"
)

func parse(t testing.TB, text string) signer.Secret {
	t.Helper()
	s, err := signer.ParseSecret(text)
	require.NoError(t, err)
	return s
}

func TestParseSecretDecodesThePrefixedForm(t *testing.T) {
	t.Parallel()
	at, body := time.Unix(1700000000, 0), []byte("x")
	// The same eight bytes of key, written both ways.
	plain := parse(t, "8 bytes!")
	coded := parse(t, "whsec_"+base64.StdEncoding.EncodeToString([]byte("8 bytes!")))
	require.Equal(t, signer.Sign("m", at, body, plain), signer.Sign("m", at, body, coded))

	// No base64 behind the prefix: the whole text is the key.
	odd := parse(t, "whsec_not base64")
	require.NotEqual(t, signer.Sign("m", at, body, odd), signer.Sign("m", at, body, parse(t, "not base64")))
}

func TestParseSecretRefusesAnEmptyKey(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "whsec_"} {
		_, err := signer.ParseSecret(text)
		require.ErrorIs(t, err, signer.ErrEmptySecret, "%q", text)
	}
}

func TestNewSecretSurvivesStorage(t *testing.T) {
	t.Parallel()
	made := signer.NewSecret()
	encoded, ok := strings.CutPrefix(made.Reveal(), "whsec_")
	require.True(t, ok)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	require.Len(t, raw, 32)
	require.NotEqual(t, made.Reveal(), signer.NewSecret().Reveal())

	at := time.Unix(1700000000, 0)
	stored := parse(t, made.Reveal())
	require.Equal(t, signer.Sign("m", at, nil, made), signer.Sign("m", at, nil, stored))
}

// hidden has the secret in unexported fields, where fmt calls no methods.
type hidden struct {
	one  signer.Secret
	many []signer.Secret
	byID map[string]signer.Secret
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	const encoded = "c3VwZXJzZWNyZXRrZXlieXRlcw==" // of "supersecretkeybytes"
	secret := parse(t, "whsec_"+encoded)
	open := struct {
		Secret  signer.Secret
		Pointer *signer.Secret
		List    []signer.Secret
		Map     map[string]signer.Secret
	}{secret, &secret, []signer.Secret{secret}, map[string]signer.Secret{"a": secret}}
	closed := hidden{secret, []signer.Secret{secret}, map[string]signer.Secret{"a": secret}}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%t", "%10.3s"} {
		for _, value := range []any{secret, &secret, open, closed, &closed, []any{secret}} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	fmt.Fprintln(&out, secret, fmt.Errorf("wrapped: %v", secret))
	for _, value := range []any{secret, open, closed} {
		text, err := json.Marshal(value)
		require.NoError(t, err)
		out.Write(text)
		zl := zerolog.New(&out)
		zl.Info().Interface("secret", value).Any("any", value).Send()
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "secret", value)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "secret", value)
	}
	zl := zerolog.New(&out)
	zl.Info().Stringer("stringer", secret).Fields(map[string]any{"field": secret}).Send()

	printed := out.String()
	require.Contains(t, printed, "<secret>")
	for _, leak := range []string{
		encoded, "supersecretkeybytes",
		fmt.Sprintf("%x", "supersecretkeybytes"), fmt.Sprintf("%X", "supersecretkeybytes"),
		fmt.Sprintf("%x", encoded), fmt.Sprint([]byte("supersecret"))[1:20],
	} {
		require.NotContains(t, printed, leak)
	}
}

func TestZeroSecretIsEmpty(t *testing.T) {
	t.Parallel()
	var zero signer.Secret
	require.True(t, zero.IsZero())
	require.Empty(t, zero.Reveal())
	require.Empty(t, fmt.Sprint(zero))
	text, err := json.Marshal(zero)
	require.NoError(t, err)
	require.JSONEq(t, `""`, string(text))
	require.False(t, parse(t, "x").IsZero())
}
