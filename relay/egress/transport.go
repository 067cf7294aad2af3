package egress

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	// dialTimeout bounds resolving and connecting together, over all addresses of a name.
	dialTimeout = 10 * time.Second
	// idleConns is how many unused connections are kept in all, so that a thousand busy
	// destinations need not connect again for each message.
	idleConns = 4096
	// idleConnsPerHost is as many as in all, because one messaging app may be behind all
	// channels; net/http keeps only two by itself and would close the others after each
	// request.
	idleConnsPerHost = idleConns
	idleTimeout      = 90 * time.Second
	maxHeaderBytes   = 64 << 10
)

// Transport makes an HTTP/1.1 transport whose every connection passes the Guard: at most 10 s
// to connect, 4,096 idle connections in all, kept for 90 s; 64 KiB of response headers; no
// compression. Proxy settings of the environment are ignored, because a proxy
// would connect on our behalf where no Guard looks. The caller owns the transport, may set
// its TLSClientConfig before first use, and should call CloseIdleConnections at the end.
//
// HTTP/2 is off: it would put all requests to a host on one connection, so that a single
// stalled connection stalls every conversation of a destination at once.
func (g *Guard) Transport() *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            g.DialContext,
		Protocols:              &protocols,
		TLSHandshakeTimeout:    dialTimeout,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idleConnsPerHost,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
	}
}

// DialContext connects to "host:port" as net.Dialer does, and refuses each address that the
// Guard does not allow with a *BlockedError. Of a name with several addresses those that are
// refused are passed over.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	// The dialer turns a literal IPv4-mapped address into an IPv4 one before control sees it.
	if host, _, err := net.SplitHostPort(address); err == nil {
		if addr, err := netip.ParseAddr(host); err == nil {
			if err := g.Check(addr); err != nil {
				return nil, err
			}
		}
	}
	dialer := net.Dialer{Timeout: dialTimeout, Resolver: g.resolver, ControlContext: g.control}
	return dialer.DialContext(ctx, network, address)
}

// control runs after the name is resolved and the socket made, before it connects.
func (g *Guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("network %s is refused: only TCP may be dialled", network)
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q is refused: %w", address, err)
	}
	return g.Check(to.Addr())
}
