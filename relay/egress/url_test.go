package egress_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/egress"
)

func TestCheckURL(t *testing.T) {
	t.Parallel()
	names := &zone{answers: map[string][]string{
		"public.test.":  {"8.8.8.8"},
		"six.test.":     {"2606:4700:4700::1111"},
		"inside.test.":  {"10.0.0.1"},
		"ula.test.":     {"fd00::1"},
		"nat64.test.":   {"64:ff9b::a00:1"},
		"allowed.test.": {"192.168.7.7"},
	}}
	guard := egress.New(prefixes("192.168.7.0/24"), egress.WithResolver(names.resolver(t)))
	const ok, blocked, invalid, unresolved = "ok", "blocked", "invalid", "unresolved"
	for url, want := range map[string]string{
		"https://public.test/hook?token=sesame":            ok,
		"HTTPS://PUBLIC.test./hook":                        ok,
		"http://public.test:65535":                         ok,
		"https://six.test":                                 ok,
		"https://8.8.8.8/":                                 ok,
		"https://[2606:4700:4700::1111]:8443/":             ok,
		"https://allowed.test":                             ok,
		"http://192.168.7.1:8080":                          ok,
		"https://inside.test/":                             blocked,
		"https://ula.test/":                                blocked,
		"https://nat64.test/":                              blocked,
		"http://127.0.0.1:8080/":                           blocked,
		"http://[::1]/":                                    blocked,
		"http://[::ffff:127.0.0.1]/":                       blocked,
		"http://[::ffff:7f00:1]/":                          blocked,
		"http://[fe80::1%25eth0]/":                         blocked,
		"http://169.254.169.254/latest/meta-data":          blocked,
		"http://0.0.0.0/":                                  blocked,
		"http://localhost:1234/":                           blocked,
		"http://2130706433/":                               invalid,
		"http://127.1/":                                    invalid,
		"http://127.0.0.1./":                               invalid,
		"http://0x7f000001/":                               invalid,
		"http://0x7f.0.0.0x1/":                             invalid,
		"http://0177.0.0.1/":                               invalid,
		"http://127.0.0.0x1./":                             invalid,
		"http://１２７.０.０.１/":                                invalid,
		"http://①②⑦.⓪.⓪.①/":                                invalid,
		"http://%31%32%37.0.0.1/":                          invalid,
		"http://pub lic.test/":                             invalid,
		"https://user@public.test/":                        invalid,
		"https://user:sesame@public.test/":                 invalid,
		"https://public.test@127.0.0.1/":                   invalid,
		"https://public.test:0/":                           invalid,
		"https://public.test:65536/":                       invalid,
		"https://public.test:/":                            invalid,
		"https://public.test:http/?token=sesame":           invalid,
		"ftp://public.test/":                               invalid,
		"file:///etc/passwd":                               invalid,
		"gopher://127.0.0.1/":                              invalid,
		"//public.test/":                                   invalid,
		"public.test":                                      invalid,
		"http:public.test":                                 invalid,
		"http:///hook":                                     invalid,
		"http://":                                          invalid,
		"":                                                 invalid,
		"https://public.test/\x00?token=sesame":            invalid,
		"https://public.test/" + strings.Repeat("a", 2048): invalid,
		"https://nowhere.test/hook?token=sesame":           unresolved,
	} {
		err := guard.CheckURL(t.Context(), url)
		var (
			invalidURL *egress.InvalidURLError
			refused    *egress.BlockedError
			noAnswer   *egress.UnresolvedError
			got        = ok
		)
		switch {
		case errors.As(err, &refused):
			got = blocked
		case errors.As(err, &invalidURL):
			got = invalid
		case errors.As(err, &noAnswer):
			got = unresolved
			var dns *net.DNSError
			require.ErrorAs(t, err, &dns)
			require.True(t, dns.IsNotFound)
		case err != nil:
			got = "another error"
		}
		require.Equal(t, want, got, "%q: %v", url, err)
		if err != nil {
			require.NotContains(t, err.Error(), "sesame", "%q", url)
		}
	}
}

func TestCheckURLRefusesIfAnyAddressIsRefused(t *testing.T) {
	t.Parallel()
	for _, set := range []string{"8.8.8.8 10.0.0.1", "10.0.0.1 8.8.8.8", "8.8.8.8 fd00::1", "2606:4700::1 127.0.0.1"} {
		names := &zone{answers: map[string][]string{"mixed.test.": {set}}}
		guard := egress.New(nil, egress.WithResolver(names.resolver(t)))
		var blocked *egress.BlockedError
		require.ErrorAs(t, guard.CheckURL(t.Context(), "https://mixed.test"), &blocked, set)
		require.Contains(t, set, blocked.Addr.String())
		require.NotEqual(t, "8.8.8.8", blocked.Addr.String())
	}
}

func TestCheckURLStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var unresolved *egress.UnresolvedError
	require.ErrorAs(t, egress.New(nil).CheckURL(ctx, "https://cancelled.test"), &unresolved)
}

// FuzzCheckURL looks for a panic, for a URL that passes without a public address, and for
// a query that shows in an error.
func FuzzCheckURL(f *testing.F) {
	for _, url := range []string{
		"http://127.0.0.1/", "http://0x7f.1", "http://[::1%25a]:80", "https://a:b@8.8.8.8", "http://8.8.8.8:99999", "http://1.1.1.1",
	} {
		f.Add(url)
	}
	offline := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no network here")
	}}
	guard := egress.New(nil, egress.WithResolver(offline))
	f.Fuzz(func(t *testing.T, rawURL string) {
		if err := guard.CheckURL(t.Context(), rawURL+"?token=SESAME"); err != nil {
			require.NotContains(t, err.Error(), "SESAME")
			return
		}
		u, err := url.Parse(rawURL)
		require.NoError(t, err)
		addr, err := netip.ParseAddr(u.Hostname())
		require.NoError(t, err)
		require.NoError(t, guard.Check(addr))
	})
}
