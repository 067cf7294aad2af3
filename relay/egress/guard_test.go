package egress_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"omnirelay/relay/egress"
)

func TestCheckRefusesWhatIsNotPublic(t *testing.T) {
	t.Parallel()
	guard := egress.New(nil)
	// First and last addresses of every range, so that a wrong prefix length shows.
	for use, addrs := range map[string][]string{
		"unspecified":                      {"0.0.0.0", "::", "::ffff:0.0.0.0"},
		"this network":                     {"0.0.0.1", "0.255.255.255"},
		"private":                          {"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255", "::ffff:10.1.2.3", "::ffff:c0a8:1"},
		"shared by carrier-grade NAT":      {"100.64.0.0", "100.127.255.255"},
		"loopback":                         {"127.0.0.0", "127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"},
		"link-local":                       {"169.254.0.0", "169.254.255.255", "fe80::", "fe80::1%eth0", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"cloud metadata":                   {"169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254"},
		"cloud platform":                   {"168.63.129.16"},
		"IETF protocol assignments":        {"192.0.0.0", "192.0.0.192", "192.0.0.255", "2001:1::1", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"documentation":                    {"192.0.2.0", "192.0.2.255", "198.51.100.7", "203.0.113.255", "2001:db8::", "2001:db8:ffff:ffff::1", "3fff::", "3fff:fff:ffff::1"},
		"AS112":                            {"192.31.196.1", "192.175.48.1", "2620:4f:8000::1"},
		"AMT":                              {"192.52.193.1"},
		"6to4 relays":                      {"192.88.99.1"},
		"benchmarking":                     {"198.18.0.0", "198.19.255.255", "2001:2::", "2001:2:0:ffff::1"},
		"multicast":                        {"224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"reserved":                         {"240.0.0.0", "255.255.255.254"},
		"broadcast":                        {"255.255.255.255"},
		"IPv4-mapped":                      {"::ffff:8.8.8.8", "::ffff:1.1.1.1"},
		"IPv4-compatible":                  {"::2", "::127.0.0.1", "::8.8.8.8"},
		"IPv4-translated":                  {"::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"},
		"translated to IPv4 (NAT64)":       {"64:ff9b::a00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"},
		"discard-only":                     {"100::1"},
		"dummy":                            {"100:0:0:1::1"},
		"Teredo":                           {"2001::", "2001:0:ffff::1"},
		"ORCHID":                           {"2001:10::1", "2001:1f:ffff::1"},
		"ORCHIDv2":                         {"2001:20::1", "2001:2f:ffff::1"},
		"6to4":                             {"2002::", "2002:7f00:1::1", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"6bone, retired":                   {"3ffe::1", "3ffe:ffff::1"},
		"segment routing":                  {"5f00::1"},
		"unique local":                     {"fc00::", "fd12:3456:789a::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		"site-local, retired":              {"fec0::", "feff:ffff::1"},
		"outside the global unicast space": {"64:ff9b:2::1", "200::1", "1fff:ffff::1", "4000::", "5f01::1", "8000::1", "fb00::1", "fe00::1"},
	} {
		for _, text := range addrs {
			err := guard.Check(netip.MustParseAddr(text))
			var blocked *egress.BlockedError
			require.ErrorAs(t, err, &blocked, text)
			require.Equal(t, use, blocked.Use, text)
			require.NotEmpty(t, blocked.Source, text)
			require.Contains(t, err.Error(), "egress.allow", text)
		}
	}
	var blocked *egress.BlockedError
	require.ErrorAs(t, guard.Check(netip.Addr{}), &blocked, "no address at all")
}

func TestCheckAllowsThePublicInternet(t *testing.T) {
	t.Parallel()
	guard := egress.New(nil)
	// The neighbours of every refused range, among others.
	for _, text := range []string{
		"1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
		"128.0.0.0", "168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
		"191.255.255.255", "192.0.1.0", "192.0.3.0", "192.31.195.255", "192.31.197.0", "192.52.192.255", "192.52.194.0",
		"192.88.98.255", "192.88.100.0", "192.167.255.255", "192.169.0.0", "192.175.47.255", "192.175.49.0",
		"198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
		"2000::", "2001:200::", "2001:db7:ffff::1", "2001:db9::", "2003::", "2606:4700:4700::1111", "2620:4f:7fff::1",
		"2620:4f:8001::", "3ffd:ffff::1", "3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	} {
		require.NoError(t, guard.Check(netip.MustParseAddr(text)), text)
	}
}

func TestCheckAllowsWhatTheOperatorNames(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		allow, addr string
		ok          bool
	}{
		{"127.0.0.0/8", "127.0.0.1", true},
		{"127.0.0.0/8", "::ffff:127.0.0.1", true},
		{"127.0.0.0/8", "::1", false},
		{"127.0.0.0/8", "10.0.0.1", false},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "::ffff:10.1.2.3", true},
		{"::ffff:10.0.0.0/104", "11.0.0.1", true}, // public anyway
		{"::ffff:10.0.0.0/104", "192.168.0.1", false},
		{"8.8.8.8/32", "::ffff:8.8.8.8", true},
		{"8.8.8.8/32", "::ffff:8.8.4.4", false},
		{"10.0.0.5/32", "10.0.0.6", false},
		{"0.0.0.0/0", "169.254.169.254", true},
		{"0.0.0.0/0", "fe80::1", false},
		{"::/0", "fe80::1%eth0", true},
		{"fe80::/10", "fe80::1%eth0", true},
		{"::/0", "fd00::1", true},
		{"10.0.0.0/8", "64:ff9b::10.0.0.1", false},
		{"64:ff9b::/96", "64:ff9b::8.8.8.8", true},
	} {
		err := egress.New([]netip.Prefix{netip.MustParsePrefix(test.allow)}).Check(netip.MustParseAddr(test.addr))
		require.Equal(t, test.ok, err == nil, "allow %s, address %s: %v", test.allow, test.addr, err)
	}
}

func TestBlockedErrorSaysHowToAllow(t *testing.T) {
	t.Parallel()
	err := egress.New(nil).Check(netip.MustParseAddr("127.0.0.1"))
	require.EqualError(t, err,
		"address 127.0.0.1 is refused (loopback, 127.0.0.0/8, RFC 1122); to allow it, add 127.0.0.1/32 or a wider prefix to egress.allow")
	var blocked *egress.BlockedError
	require.ErrorAs(t, err, &blocked)
	require.Equal(t, netip.MustParseAddr("127.0.0.1"), blocked.Addr)
}

func TestGuardKeepsItsOwnCopyOfThePrefixes(t *testing.T) {
	t.Parallel()
	allow := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	guard := egress.New(allow)
	allow[0] = netip.MustParsePrefix("192.168.0.0/16")
	require.NoError(t, guard.Check(netip.MustParseAddr("10.0.0.1")))
	require.Error(t, guard.Check(netip.MustParseAddr("192.168.0.1")))
}

// FuzzCheck compares the tables with what the standard library knows of addresses.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{"8.8.8.8", "127.0.0.1", "::1", "::ffff:8.8.8.8", "2001:db8::1", "fe80::1"} {
		f.Add(netip.MustParseAddr(text).AsSlice())
	}
	guard := egress.New(nil)
	all := egress.New([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")})
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		require.NoError(t, all.Check(addr))
		plain := addr.Unmap()
		if addr.Is4In6() || !plain.IsGlobalUnicast() || plain.IsPrivate() || plain.IsLinkLocalUnicast() {
			require.Error(t, guard.Check(addr), "%s", addr)
		}
		if guard.Check(plain) != nil {
			require.Error(t, guard.Check(netip.AddrFrom16(addr.As16())), "the mapped form of %s must not be a way round", addr)
		}
	})
}
