package egress

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// Guard decides which addresses may be connected to. It does not change once made and may be
// used by many goroutines at once.
type Guard struct {
	allow    []netip.Prefix
	resolver *net.Resolver
}

// Option changes what New makes.
type Option func(*Guard)

// WithResolver makes the Guard resolve names with r instead of net.DefaultResolver.
func WithResolver(r *net.Resolver) Option { return func(g *Guard) { g.resolver = r } }

// New makes a Guard that allows the public Internet and the given prefixes. An IPv4 prefix
// holds for the IPv4-mapped form of its addresses as well, and the other way round.
func New(allow []netip.Prefix, options ...Option) *Guard {
	g := &Guard{allow: slices.Clone(allow), resolver: net.DefaultResolver}
	for _, option := range options {
		option(g)
	}
	return g
}

// BlockedError says that an address was refused. Nothing was sent to it.
type BlockedError struct {
	Addr   netip.Addr
	Use    string       // what the address is reserved for, e.g. "loopback"
	Prefix netip.Prefix // the reserved range; the zero Prefix when it is all space that is not public
	Source string       // where the reservation is laid down, e.g. "RFC 1122"
}

// Error names the address, the rule and the way to allow it.
func (e *BlockedError) Error() string {
	allow := netip.PrefixFrom(e.Addr, e.Addr.BitLen())
	space := e.Use
	if e.Prefix.IsValid() {
		space += ", " + e.Prefix.String()
	}
	return fmt.Sprintf("address %s is refused (%s, %s); to allow it, add %s or a wider prefix to egress.allow",
		e.Addr, space, e.Source, allow)
}

// Check returns a *BlockedError unless the address may be connected to. A zone ("%eth0") does
// not matter.
func (g *Guard) Check(addr netip.Addr) error {
	addr = addr.WithZone("")
	r, reserved := reservationOf(addr)
	if !reserved && addr.IsValid() {
		return nil
	}
	if slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return covers(p, addr) }) {
		return nil
	}
	return &BlockedError{Addr: addr, Use: r.use, Prefix: r.prefix, Source: r.source}
}

// covers reports whether the prefix holds the address in either of the two forms in which
// an IPv4 address can be written.
func covers(p netip.Prefix, addr netip.Addr) bool {
	if p.Contains(addr) || p.Contains(addr.Unmap()) {
		return true
	}
	return addr.Is4() && p.Addr().Is4In6() && p.Contains(netip.AddrFrom16(addr.As16()))
}
