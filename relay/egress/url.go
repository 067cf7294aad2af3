package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxURLLen is what common servers and proxies accept.
const maxURLLen = 2048

// InvalidURLError says that a URL cannot be used, whatever its host resolves to.
type InvalidURLError struct {
	Problem string // a sentence without the URL's query, user name and password
}

// Error is the Problem.
func (e *InvalidURLError) Error() string { return e.Problem }

// UnresolvedError says that a URL's host did not resolve now. It may later, so a caller that
// saves a URL may let it pass; the transport decides again at each connection.
type UnresolvedError struct {
	Host string
	Err  error // mostly a *net.DNSError
}

// Error says which host did not resolve and why. It leaves out the name server that was
// asked, which is nothing for the one who named the URL.
func (e *UnresolvedError) Error() string {
	if dns, ok := errors.AsType[*net.DNSError](e.Err); ok {
		return fmt.Sprintf("host %q does not resolve: %s", e.Host, dns.Err)
	}
	return fmt.Sprintf("host %q does not resolve: %v", e.Host, e.Err)
}

// Unwrap returns what the resolver said.
func (e *UnresolvedError) Unwrap() error { return e.Err }

// CheckURL checks a URL that messages will be sent to: http or https, a host, a valid port,
// no user name or password, and every address of the host allowed. It returns an
// *InvalidURLError, a *BlockedError or an *UnresolvedError. Resolving takes at most 10 s.
func (g *Guard) CheckURL(ctx context.Context, rawURL string) error {
	host, err := parseHost(rawURL)
	if err != nil {
		return err
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.Check(addr)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := g.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return &UnresolvedError{Host: host, Err: err}
	}
	if len(addrs) == 0 {
		return &UnresolvedError{Host: host, Err: errors.New("it has no address")}
	}
	for _, addr := range addrs {
		// The resolver gives IPv4 addresses in their mapped form.
		if err := g.Check(addr.Unmap()); err != nil {
			return fmt.Errorf("host %q leads to a refused address: %w", host, err)
		}
	}
	return nil
}

// parseHost returns the host name or address of a URL that can be sent to.
func parseHost(rawURL string) (string, error) {
	invalid := func(format string, args ...any) (string, error) {
		return "", &InvalidURLError{Problem: fmt.Sprintf(format, args...)}
	}
	if len(rawURL) > maxURLLen {
		return invalid("the URL is longer than %d characters", maxURLLen)
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		// The parser's own error repeats the URL, which may hold a token.
		return invalid("this is not a valid URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return invalid("the URL must start with https:// or http://")
	}
	if u.Opaque != "" || u.Hostname() == "" {
		return invalid("the URL names no host")
	}
	if u.User != nil {
		return invalid("the URL must not carry a user name or password")
	}
	if strings.HasSuffix(u.Host, ":") {
		return invalid("the URL's port is empty")
	}
	if text := u.Port(); text != "" {
		if port, err := strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
			return invalid("the URL's port must be 1 to 65535")
		}
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return host, nil
	}
	for _, r := range host {
		if r <= ' ' || r > '~' {
			// Such names are mapped before they are resolved, digits to ASCII digits too.
			return invalid("the URL's host may hold ASCII characters only; write an international name in its xn-- form")
		}
	}
	if endsInNumber(host) {
		return invalid("host %q is not an IPv4 address of four decimal numbers", host)
	}
	return host, nil
}

// endsInNumber reports whether the last label is a number, which makes the host an IPv4
// address to the parsers that accept 127.1, 0x7f.0.0.1, 0177.0.0.1 and 2130706433 (WHATWG URL
// Standard, "ends in a number checker"). No top-level domain is a number, so no name is lost.
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return false
	}
	if strings.Trim(last, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(strings.ToLower(last), "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}
