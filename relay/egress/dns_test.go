package egress_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// zone is a DNS server on loopback for one test. A name has one or more sets of addresses,
// each separated by spaces; every query for IPv4 addresses moves on to the next set, and the
// last one stays.
type zone struct {
	mu      sync.Mutex
	answers map[string][]string // "name." → sets
}

// resolver starts the server and returns a resolver that asks it only.
func (z *zone) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	var listen net.ListenConfig
	conn, err := listen.ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := z.reply(buf[:n]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
}

func (z *zone) reply(query []byte) []byte {
	var in dnsmessage.Message
	if in.Unpack(query) != nil || len(in.Questions) != 1 {
		return nil
	}
	q := in.Questions[0]
	out := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: in.ID, Response: true, RecursionAvailable: true},
		Questions: in.Questions,
	}
	name := strings.ToLower(q.Name.String())
	z.mu.Lock()
	defer z.mu.Unlock()
	sets, known := z.answers[name]
	if !known {
		out.RCode = dnsmessage.RCodeNameError
	} else {
		for text := range strings.FieldsSeq(sets[0]) {
			if body := resource(netip.MustParseAddr(text), q.Type); body != nil {
				header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
				out.Answers = append(out.Answers, dnsmessage.Resource{Header: header, Body: body})
			}
		}
		if q.Type == dnsmessage.TypeA && len(sets) > 1 {
			z.answers[name] = sets[1:]
		}
	}
	packed, err := out.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// resource is the record for an address, or nil when the query was for the other family.
func resource(addr netip.Addr, asked dnsmessage.Type) dnsmessage.ResourceBody {
	switch {
	case addr.Is4() && asked == dnsmessage.TypeA:
		return &dnsmessage.AResource{A: addr.As4()}
	case addr.Is6() && asked == dnsmessage.TypeAAAA:
		return &dnsmessage.AAAAResource{AAAA: addr.As16()}
	}
	return nil
}
