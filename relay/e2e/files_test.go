package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

// Where the process may open few files, endpoints that hang and senders that only connect cost
// the others nothing: neither their connections nor the store's files.
func TestFewOpenFiles(t *testing.T) {
	t.Parallel()
	const files, hung = 240, 150
	limited := filepath.Join(t.TempDir(), "limited")
	script := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec %q \"$@\"\n", files, binary)
	require.NoError(t, os.WriteFile(limited, []byte(script), 0o700))
	r := startBy(t, limited, "OMNIRELAY_INTAKE_READ_HEADER_TIMEOUT=1s")
	require.Contains(t, r.output(), "open few files")

	silent := listen(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
	}))
	fine := receive(t)
	healthy := r.channel(fine.url())
	r.send(healthy.ID, 1, "the first")
	fine.accepts(1)
	var ids []relay.ID
	for range hung {
		ch := r.channel("http://"+silent.addr, func(f *client.ChannelFields) { f.Timeout = new(relay.Duration(2 * time.Second)) })
		for ticket := range int64(3) {
			ids = append(ids, r.send(ch.ID, ticket+1, "m"))
		}
	}
	for i := range 40 {
		r.send(healthy.ID, 1, fmt.Sprint(i))
		fine.accepts(2 + i)
	}

	for range files {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.p.API, "http://"))
		require.NoError(t, err)
		defer c.Close()
	}
	require.True(t, wait(func() bool {
		_, err := r.SendOutbound(t.Context(), client.OutboundMessage{ChannelID: healthy.ID, TicketID: 1, Message: "after", IdempotencyKey: "after"})
		return err == nil
	}))
	fine.accepts(42)
	fine.isClean()
	require.NotContains(t, r.output(), "too many open files")
	for _, id := range ids { // all of them are known, and wait
		m, err := r.Message(t.Context(), id)
		require.NoError(t, err)
		require.Contains(t, []client.State{client.StateQueued, client.StateRetrying}, m.State)
	}
}
