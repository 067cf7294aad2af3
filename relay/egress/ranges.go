package egress

import "net/netip"

// reservation is a range of addresses that a stranger's URL must not lead to.
type reservation struct {
	prefix netip.Prefix
	use    string // what the range is for
	source string // where that is laid down
}

// globalUnicast is all that IANA has opened for public IPv6 addresses (RFC 4291 section 2.4,
// "IPv6 Global Unicast Address Assignments" registry). Anything outside is refused.
var globalUnicast = reservation{netip.MustParsePrefix("2000::/3"), "outside the global unicast space", "RFC 4291"}

// mapped holds the IPv4 addresses written as IPv6. Its entry is listed here and not in
// reserved6 because such an address is also looked up as the IPv4 address that it stands for.
var mapped = reservation{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped", "RFC 4291"}

// reserved4 follows the "IANA IPv4 Special-Purpose Address Registry" (RFC 6890) and adds
// multicast and a public address that clouds use inside only. Where ranges overlap, the
// narrower one comes first, so that the error names it.
var reserved4 = []reservation{
	{netip.MustParsePrefix("0.0.0.0/32"), "unspecified", "RFC 1122"},
	{netip.MustParsePrefix("0.0.0.0/8"), "this network", "RFC 791"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private", "RFC 1918"},
	{netip.MustParsePrefix("100.100.100.200/32"), "cloud metadata", "Alibaba Cloud"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by carrier-grade NAT", "RFC 6598"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback", "RFC 1122"},
	{netip.MustParsePrefix("168.63.129.16/32"), "cloud platform", "Microsoft Azure"},
	{netip.MustParsePrefix("169.254.169.254/32"), "cloud metadata", "RFC 3927"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local", "RFC 3927"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private", "RFC 1918"},
	{netip.MustParsePrefix("192.0.0.0/24"), "IETF protocol assignments", "RFC 6890"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation", "RFC 5737"},
	{netip.MustParsePrefix("192.31.196.0/24"), "AS112", "RFC 7535"},
	{netip.MustParsePrefix("192.52.193.0/24"), "AMT", "RFC 7450"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relays", "RFC 7526"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private", "RFC 1918"},
	{netip.MustParsePrefix("192.175.48.0/24"), "AS112", "RFC 7534"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking", "RFC 2544"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation", "RFC 5737"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation", "RFC 5737"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast", "RFC 5771"},
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast", "RFC 919"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved", "RFC 1112"},
}

// reserved6 follows the "IANA IPv6 Special-Purpose Address Registry" (RFC 6890) and adds
// retired ranges. Ranges outside globalUnicast are listed so that the error can name them.
var reserved6 = []reservation{
	{netip.MustParsePrefix("::/128"), "unspecified", "RFC 4291"},
	{netip.MustParsePrefix("::1/128"), "loopback", "RFC 4291"},
	{netip.MustParsePrefix("::/96"), "IPv4-compatible", "RFC 4291"},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "IPv4-translated", "RFC 2765"},
	{netip.MustParsePrefix("64:ff9b::/96"), "translated to IPv4 (NAT64)", "RFC 6052"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "translated to IPv4 (NAT64)", "RFC 8215"},
	{netip.MustParsePrefix("100::/64"), "discard-only", "RFC 6666"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "dummy", "RFC 9780"},
	{netip.MustParsePrefix("2001::/32"), "Teredo", "RFC 4380"},
	{netip.MustParsePrefix("2001:2::/48"), "benchmarking", "RFC 5180"},
	{netip.MustParsePrefix("2001:10::/28"), "ORCHID", "RFC 4843"},
	{netip.MustParsePrefix("2001:20::/28"), "ORCHIDv2", "RFC 7343"},
	{netip.MustParsePrefix("2001::/23"), "IETF protocol assignments", "RFC 2928"},
	{netip.MustParsePrefix("2001:db8::/32"), "documentation", "RFC 3849"},
	{netip.MustParsePrefix("2002::/16"), "6to4", "RFC 3056"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "AS112", "RFC 7534"},
	{netip.MustParsePrefix("3ffe::/16"), "6bone, retired", "RFC 3701"},
	{netip.MustParsePrefix("3fff::/20"), "documentation", "RFC 9637"},
	{netip.MustParsePrefix("5f00::/16"), "segment routing", "RFC 9602"},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "cloud metadata", "Amazon EC2"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "cloud metadata", "Google Cloud"},
	{netip.MustParsePrefix("fc00::/7"), "unique local", "RFC 4193"},
	{netip.MustParsePrefix("fe80::/10"), "link-local", "RFC 4291"},
	{netip.MustParsePrefix("fec0::/10"), "site-local, retired", "RFC 3879"},
	{netip.MustParsePrefix("ff00::/8"), "multicast", "RFC 4291"},
}

// reservationOf returns what the address is reserved for; ok is false for a public one. The
// address has no zone.
func reservationOf(addr netip.Addr) (r reservation, ok bool) {
	table := reserved6
	if addr.Is4In6() {
		if r, ok = reservationOf(addr.Unmap()); !ok {
			r = mapped
		}
		return r, true
	}
	if addr.Is4() {
		table = reserved4
	}
	for _, r := range table {
		if r.prefix.Contains(addr) {
			return r, true
		}
	}
	if addr.Is6() && !globalUnicast.prefix.Contains(addr) {
		return reservation{netip.Prefix{}, globalUnicast.use, globalUnicast.source}, true
	}
	return reservation{}, false
}
