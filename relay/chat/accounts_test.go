package chat_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"omnirelay/queue/natsd"
	"omnirelay/queue/natsd/natsdtest"
	"omnirelay/relay"
	"omnirelay/relay/chat"
	"omnirelay/signer"
)

func TestMain(m *testing.M) { natsdtest.Main(m) }

func openAccounts(t testing.TB, conn *natsd.Conn) *chat.Accounts {
	t.Helper()
	accounts, err := chat.OpenAccounts(context.Background(), conn.JetStream(), chat.AccountOptions{Log: zerolog.Nop()})
	require.NoError(t, err)
	t.Cleanup(accounts.Close)
	return accounts
}

func TestAnAccountKeepsAllItsFields(t *testing.T) {
	t.Parallel()
	conn := natsdtest.Open(t)
	accounts := openAccounts(t, conn)
	var p chat.Patch
	for field, texts := range map[string][]string{
		"name":                 {"Web shop"},
		"token":                {"abcDEF0123456789"},
		"allowed_chat_servers": {"https://chat.example.com/hooks", "chat.example.org"},
		"allowed_origins":      {"shop.example.com", "*.example.org"},
		"blacklisted_ips":      {"192.0.2.7", "2001:db8::1/32", "::ffff:198.51.100.0/120"},
		"languages":            {"nl", "en-GB"},
		"opening_hours":        {"mon-fri 09:00-17:30", "sat 10:00-14:00"},
		"time_zone":            {"Europe/Amsterdam"},
		"max_queue":            {"12"},
		"secret":               {"a shared secret"},
	} {
		require.NoError(t, p.Set(field, texts...), field)
	}
	made, err := accounts.Create(t.Context(), p)
	require.NoError(t, err)

	for name, registry := range map[string]*chat.Accounts{"same": accounts, "another instance": openAccounts(t, conn)} {
		a, err := registry.ByToken(t.Context(), "abcDEF0123456789")
		require.NoError(t, err, name)
		require.Equal(t, made.ID, a.ID)
		require.Equal(t, "Web shop", a.Name)
		require.Equal(t, []string{"https://chat.example.com/hooks", "chat.example.org"}, a.AllowedServers)
		require.Equal(t, []string{"192.0.2.7", "2001:db8::/32", "198.51.100.0/24"}, a.BlacklistedIPs())
		require.Equal(t, []string{"mon-fri 09:00-17:30", "sat 10:00-14:00"}, a.OpeningHours())
		require.Equal(t, "Europe/Amsterdam", a.Hours.Zone)
		require.Equal(t, 12, a.MaxQueue)
		require.Equal(t, "a shared secret", a.Secret.Reveal())
		require.Equal(t, made.HookToken.Reveal(), a.HookToken.Reveal())

		byHook, err := registry.ByHookToken(t.Context(), made.HookToken.Reveal())
		require.NoError(t, err)
		require.Equal(t, made.ID, byHook.ID)
		require.NotContains(t, fmt.Sprintf("%v %+v", a, a), "a shared secret")
		require.NotContains(t, fmt.Sprintf("%v %+v", a, a), made.HookToken.Reveal())
	}
	require.Regexp(t, `^[a-zA-Z0-9\.\:\/\-]+$`, made.HookToken.Reveal(), "the helpdesk has to store it in chatServer")

	for _, wrong := range []string{"", "x", made.ID, made.HookToken.Reveal()[:63], made.HookToken.Reveal() + "x", strings.Repeat("*", 64), made.ID + strings.Repeat("a", 32)} {
		_, err := accounts.ByHookToken(t.Context(), wrong)
		require.ErrorIs(t, err, chat.ErrNoAccount, wrong)
	}
}

func TestTokensAreMadeAndUnique(t *testing.T) {
	t.Parallel()
	accounts := openAccounts(t, natsdtest.Open(t))
	a, err := accounts.Create(t.Context(), chat.Patch{Name: new("A")})
	require.NoError(t, err)
	require.Regexp(t, `^[a-zA-Z0-9]{10,}$`, a.Token)
	_, err = accounts.Create(t.Context(), chat.Patch{Name: new("B"), Token: new(a.Token)})
	require.ErrorIs(t, err, chat.ErrAccountExists)
	_, err = accounts.Update(t.Context(), a.ID, chat.Patch{Token: new("another0token")})
	require.ErrorContains(t, err, "token cannot be changed")
	_, err = accounts.Update(t.Context(), a.ID, chat.Patch{Token: new(a.Token), Name: new("C")})
	require.NoError(t, err)

	require.NoError(t, accounts.Delete(t.Context(), a.ID))
	require.ErrorIs(t, accounts.Delete(t.Context(), a.ID), chat.ErrNoAccount)
	_, err = accounts.ByToken(t.Context(), a.Token)
	require.ErrorIs(t, err, chat.ErrNoAccount)
	_, err = accounts.Create(t.Context(), chat.Patch{Name: new("D"), Token: new(a.Token)})
	require.NoError(t, err)
}

func TestBadAccounts(t *testing.T) {
	t.Parallel()
	accounts := openAccounts(t, natsdtest.Open(t))
	for _, test := range []struct {
		field string
		texts []string
	}{
		{"name", []string{""}},
		{"name", []string{"née"}},
		{"name", []string{strings.Repeat("n", 256)}},
		{"token", []string{"short"}},
		{"token", []string{"with-hyphen-0"}},
		{"token", []string{strings.Repeat("t", 129)}},
		{"allowed_chat_servers", []string{"a.b"}},
		{"allowed_chat_servers", []string{"https://chat.example.com?x=1"}},
		{"allowed_chat_servers", []string{"https:///path"}},
		{"allowed_chat_servers", []string{"ftp://chat.example.com"}},
		{"allowed_chat_servers", []string{"https://chat.example.com/a/../b"}},
		{"allowed_origins", []string{"https://shop.example.com"}},
		{"allowed_origins", []string{"a.*.b"}},
		{"blacklisted_ips", []string{"192.0.2"}},
		{"blacklisted_ips", []string{"192.0.2.0/33"}},
		{"blacklisted_ips", []string{"fe80::1%eth0"}},
		{"blacklisted_ips", []string{"::ffff:0:0/90"}},
		{"languages", []string{"english!"}},
		{"opening_hours", []string{"weekdays 09:00-17:00"}},
		{"opening_hours", []string{"mon 9-17"}},
		{"opening_hours", []string{"mon 09:00-09:00"}},
		{"opening_hours", []string{"mon 24:00-09:00"}},
		{"opening_hours", []string{"mon 09:00-24:30"}},
		{"opening_hours", []string{"mon -9:00-17:00"}},
		{"opening_hours", []string{"mon 09:0x-17:00"}},
		{"time_zone", []string{"Europe/Nowhere"}},
		{"time_zone", []string{"Local"}},
		{"max_queue", []string{"-1"}},
		{"max_queue", []string{"many"}},
		{"secret", []string{strings.Repeat("s", 1025)}},
		{"secret_overlap", []string{"721h"}},
		{"secret_overlap", []string{"soon"}},
		{"colour", []string{"red"}},
	} {
		p := chat.Patch{Name: new("A")}
		err := p.Set(test.field, test.texts...)
		if err == nil {
			_, err = accounts.Create(t.Context(), p)
		}
		require.ErrorContains(t, err, test.field, "%v", test.texts)
	}
	require.Empty(t, accounts.List())
}

func TestASecretIsReplacedWithoutAGap(t *testing.T) {
	t.Parallel()
	accounts := openAccounts(t, natsdtest.Open(t))
	secrets := func(a chat.Account, after time.Duration) (texts []string) {
		for _, s := range a.Secrets(time.Now().Add(after)) {
			texts = append(texts, s.Reveal())
		}
		return texts
	}
	secret := func(text string) *signer.Secret {
		s, err := signer.ParseSecret(text)
		require.NoError(t, err)
		return &s
	}
	a, err := accounts.Create(t.Context(), chat.Patch{Name: new("A"), Secret: secret("one")})
	require.NoError(t, err)
	require.Equal(t, []string{"one"}, secrets(a, 0))
	a, err = accounts.Update(t.Context(), a.ID, chat.Patch{Secret: secret("two")})
	require.NoError(t, err)
	require.Equal(t, []string{"two", "one"}, secrets(a, 23*time.Hour))
	require.Equal(t, []string{"two"}, secrets(a, 25*time.Hour))
	a, err = accounts.Update(t.Context(), a.ID, chat.Patch{SecretOverlap: new(relay.Duration(0))})
	require.NoError(t, err)
	require.Equal(t, []string{"two"}, secrets(a, 0))
	a, err = accounts.Update(t.Context(), a.ID, chat.Patch{Secret: &signer.Secret{}})
	require.NoError(t, err)
	require.Empty(t, secrets(a, 0))
}

func TestWhatAnAccountAllows(t *testing.T) {
	t.Parallel()
	a := chat.Account{
		AllowedServers: []string{"https://chat.example.com/hooks/", "chat.example.org"},
		AllowedOrigins: []string{"Shop.example.com", "*.example.org"},
		Blacklist:      []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
	}
	for server, allowed := range map[string]bool{
		"https://chat.example.com/hooks":       true,
		"https://CHAT.example.com:443/hooks/a": true,
		"chat.example.com/hooks/a/":            true,
		"https://chat.example.com/hooksmore":   false,
		"https://chat.example.com":             false,
		"http://chat.example.com/hooks":        false,
		"https://chat.example.com:8443/hooks":  false,
		"https://chat.example.com/hooks/../x":  false,
		"chat.example.org/any/thing":           true,
		"https://chat.example.org.evil.com":    false,
		"":                                     false,
	} {
		require.Equal(t, allowed, a.AllowsServer(server), server)
		require.Equal(t, allowed, a.VouchesFor(server), server)
	}
	for host, allowed := range map[string]bool{
		"shop.example.com": true, "SHOP.EXAMPLE.COM.": true, "www.shop.example.com": false, "example.com": false,
		"a.example.org": true, "a.b.example.org": true, "example.org": false, "aexample.org": false, "": false,
	} {
		require.Equal(t, allowed, a.AllowsOrigin(host), host)
	}
	for ip, allowed := range map[string]bool{
		"192.0.2.7": false, "192.0.3.7": true, "::ffff:192.0.2.7": false, "2001:db8:1::1": false, "2001:db9::1": true,
	} {
		require.Equal(t, allowed, a.AllowsIP(netip.MustParseAddr(ip)), ip)
	}
	var open chat.Account
	require.True(t, open.AllowsServer("https://anywhere.example.com"))
	require.False(t, open.VouchesFor("https://anywhere.example.com"), "a server that no list names proves nothing")
	require.True(t, open.AllowsOrigin("anywhere.example.com"))
	require.True(t, open.AllowsIP(netip.MustParseAddr("192.0.2.7")))
}

func TestOpeningHours(t *testing.T) {
	t.Parallel()
	hours := func(zone string, lines ...string) (h chat.Hours) {
		h.Zone = zone
		for _, line := range lines {
			p, err := chat.ParsePeriod(line)
			require.NoError(t, err)
			require.Equal(t, line, p.String())
			h.Periods = append(h.Periods, p)
		}
		return h
	}
	office := hours("Europe/Amsterdam", "mon-fri 09:00-17:30", "sat 10:00-14:00")
	night := hours("", "fri-sat 22:00-04:00")
	lunch := hours("", "mon 09:00-12:00", "mon 11:00-13:00", "mon 13:00-17:00")
	always := hours("", "sun-sat 00:00-24:00")
	// 2026-11-23 is a Monday; Amsterdam is an hour ahead of UTC in winter, two in summer.
	for _, test := range []struct {
		hours chat.Hours
		now   string
		open  bool
		until string // "" for never
	}{
		{chat.Hours{}, "2026-11-23T03:00:00Z", true, ""},
		{office, "2026-11-23T07:59:00Z", false, "2026-11-23T08:00:00Z"},
		{office, "2026-11-23T08:00:00Z", true, "2026-11-23T16:30:00Z"},
		{office, "2026-11-23T16:30:00Z", false, "2026-11-24T08:00:00Z"},
		{office, "2026-11-28T13:00:00Z", false, "2026-11-30T08:00:00Z"},
		{office, "2026-07-20T07:00:00Z", true, "2026-07-20T15:30:00Z"},
		{night, "2026-11-27T21:59:00Z", false, "2026-11-27T22:00:00Z"},
		{night, "2026-11-28T03:00:00Z", true, "2026-11-28T04:00:00Z"},
		{night, "2026-11-29T03:59:59Z", true, "2026-11-29T04:00:00Z"},
		{night, "2026-11-29T04:00:00Z", false, "2026-12-04T22:00:00Z"},
		{lunch, "2026-11-23T10:00:00Z", true, "2026-11-23T17:00:00Z"},
		{always, "2026-11-23T10:00:00Z", true, ""},
	} {
		now, err := time.Parse(time.RFC3339, test.now)
		require.NoError(t, err)
		open, until := test.hours.Open(now)
		require.Equal(t, test.open, open, "%v at %s", test.hours, test.now)
		text := ""
		if !until.IsZero() {
			text = until.UTC().Format(time.RFC3339)
		}
		require.Equal(t, test.until, text, "%v at %s", test.hours, test.now)
	}
}

func FuzzParsePeriod(f *testing.F) {
	for _, s := range []string{"mon-fri 09:00-17:30", "sat 10:00-14:00", "sun 22:00-02:00", "mon 00:00-24:00", "x", "mon 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := chat.ParsePeriod(text)
		if err != nil {
			return
		}
		again, err := chat.ParsePeriod(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
		chat.Hours{Periods: []chat.Period{p}}.Open(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	})
}
