package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// host is a server that can be stopped and started again at the same address.
type host struct {
	t       *testing.T
	addr    string
	handler http.Handler
	srv     *http.Server
}

// listen opens a server until the test ends.
func listen(t *testing.T, handler http.Handler) *host {
	t.Helper()
	h := &host{t: t, addr: freeAddress(t), handler: handler}
	h.open()
	t.Cleanup(h.close)
	return h
}

// freeAddress is an address of loopback that nobody listens on, and that nobody gets who
// asks for any free port or connects from one: it can be left and taken again.
func freeAddress(t *testing.T) string {
	t.Helper()
	const low, high = 20_000, 32_000 // below the ports that Linux gives out by itself
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", low+rand.IntN(high-low)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	require.Fail(t, "no port is free")
	return ""
}

func (h *host) open() {
	h.t.Helper()
	var l net.Listener
	// A relay that is just being forked holds what its parent has closed, until it runs.
	require.True(h.t, wait(func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", h.addr)
		return err == nil
	}), "cannot listen on %s", h.addr)
	h.srv = &http.Server{Handler: h.handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = h.srv.Serve(l) }() // ends with close
}

// close ends every connection; from then on callers are refused.
func (h *host) close() { _ = h.srv.Close() }
