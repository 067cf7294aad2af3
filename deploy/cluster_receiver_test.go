package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/sink"
	"omnirelay/signer"
)

// receiver is the third-party app behind every channel of the cluster test. The project's own
// sink verifies signatures and order; what it does not tell, which relay brought what and
// when, is kept here.
type receiver struct {
	sink *sink.Sink
	url  string

	mu       sync.Mutex
	arrivals []arrival
	first    map[relay.ID]int // index of a message's first arrival
	latest   map[string]int   // number of the last first sight, by conversation
	disorder []string
}

// arrival is one request, first sight or repeat.
type arrival struct {
	at      time.Time
	id      relay.ID
	channel int64
	from    netip.Addr // the relay
	again   time.Time  // when it was first seen, if it came before
}

// openReceiver listens on an address that the containers reach.
func openReceiver(t *testing.T, address netip.Addr) *receiver {
	t.Helper()
	parsed, err := signer.ParseSecret(secret)
	require.NoError(t, err)
	r := &receiver{
		// A few milliseconds make requests that are under way when something dies.
		sink:   sink.New(sink.Options{Secrets: []signer.Secret{parsed}, Slow: 5 * time.Millisecond}),
		first:  map[relay.ID]int{},
		latest: map[string]int{},
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", netip.AddrPortFrom(address, 0).String())
	require.NoError(t, err, "the containers reach this machine under their network's gateway, which has to be an address of it")
	server := httptest.NewUnstartedServer(r)
	require.NoError(t, server.Listener.Close())
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(req.Body)
	if err == nil {
		r.enter(req, body, at)
	}
	req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	r.sink.ServeHTTP(w, req)
}

// failing repeats to the next reader how reading ended.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

func (r *receiver) enter(req *http.Request, body []byte, at time.Time) {
	var m struct {
		Data struct {
			ChannelID    int64
			Conversation string
			Message      int `json:"message,string"`
		}
	}
	if json.Unmarshal(body, &m) != nil {
		return // the sink counts it as unreadable
	}
	remote, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return
	}
	a := arrival{at: at, id: relay.ID(req.Header.Get(signer.HeaderID)), channel: m.Data.ChannelID, from: remote.Addr()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if i, known := r.first[a.id]; known {
		a.again = r.arrivals[i].at
	} else {
		r.first[a.id] = len(r.arrivals)
		// The messages of a conversation are numbered from 1 without gaps.
		key := fmt.Sprint(a.channel, " ", m.Data.Conversation)
		if n := m.Data.Message; n != r.latest[key]+1 {
			r.disorder = append(r.disorder, fmt.Sprintf("%s: %d (%s from %s) after %d", key, n, a.id, a.from, r.latest[key]))
		}
		r.latest[key] = m.Data.Message
	}
	r.arrivals = append(r.arrivals, a)
}

// since returns the arrivals from a moment on.
func (r *receiver) since(at time.Time) []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := len(r.arrivals)
	for i > 0 && !r.arrivals[i-1].at.Before(at) {
		i--
	}
	return r.arrivals[i:len(r.arrivals):len(r.arrivals)]
}

// missing reports which of the messages did not come.
func (r *receiver) missing(ids map[relay.ID]time.Time) (missing []relay.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range ids {
		if _, came := r.first[id]; !came {
			missing = append(missing, id)
		}
	}
	return missing
}

func (r *receiver) outOfOrder() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.disorder
}

// twoAtOnce reports relays that delivered to a channel when another one had already taken over:
// a relay that is cut off has to stop before that, and a shard that moves twice takes longer.
func (r *receiver) twoAtOnce() (found []string) {
	const moving = 500 * time.Millisecond
	r.mu.Lock()
	defer r.mu.Unlock()
	type turn struct {
		from, before netip.Addr
		since        time.Time
	}
	turns := map[int64]turn{}
	for _, a := range r.arrivals {
		t := turns[a.channel]
		if t.from == a.from {
			continue
		}
		if t.before == a.from && a.at.Sub(t.since) < moving {
			found = append(found, fmt.Sprintf("%s from %s, while %s delivers to channel %d", a.id, a.from, t.from, a.channel))
		}
		turns[a.channel] = turn{from: a.from, before: t.from, since: a.at}
	}
	return found
}

// silence is the longest time between two arrivals of one channel, over all channels that
// had arrivals before the moment.
func silence(arrivals []arrival, at time.Time) time.Duration {
	var longest time.Duration
	last := map[int64]time.Time{}
	for _, a := range arrivals {
		if before, known := last[a.channel]; known && a.at.After(at) {
			longest = max(longest, a.at.Sub(before))
		}
		last[a.channel] = a.at
	}
	return longest
}
