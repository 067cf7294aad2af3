package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

const (
	loadChannels      = 24
	loadConversations = 4 // of each channel
	// loadPatience is how long one request may take; the relay itself gives up sooner.
	loadPatience = 20 * time.Second
)

// load is the integrators and agents of the cluster test: many conversations at once, each
// sending its next message when the last one was accepted, over all relays in turn.
type load struct {
	relays func() []*client.Client
	pace   time.Duration // between two messages of a conversation

	mu       sync.Mutex
	accepted map[relay.ID]time.Time // by id, when
	refused  []refusal
	broken   []string // what no sender should ever see

	stop context.CancelFunc
	done sync.WaitGroup
}

// refusal is a request that was not accepted.
type refusal struct {
	at, until time.Time
	code      string // the relay's word; empty when the connection broke
}

// startLoad begins to send to the channels.
func startLoad(t *testing.T, channels []int64, pace time.Duration, relays func() []*client.Client) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{relays: relays, pace: pace, accepted: map[relay.ID]time.Time{}, stop: stop}
	for _, id := range channels {
		for c := range loadConversations {
			l.done.Go(func() { l.converse(ctx, client.OutboundMessage{ChannelID: id, ToAddress: fmt.Sprint("customer-", c)}) })
		}
	}
	t.Cleanup(l.end)
	return l
}

// end stops the senders; what they have begun is brought to an end, accepted or not.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// converse sends the numbers from 1 on. A message that was not accepted is sent again, to
// another relay, under the same Idempotency-Key, until it is.
func (l *load) converse(ctx context.Context, m client.OutboundMessage) {
	pace := time.NewTicker(l.pace)
	defer pace.Stop()
	turn := int(m.ChannelID)
	for n := 1; ctx.Err() == nil; n++ {
		m.Message = strconv.Itoa(n)
		m.IdempotencyKey = m.ToAddress + "-" + m.Message
		for turn++; !l.send(m, turn); turn++ {
			<-pace.C
		}
		<-pace.C
	}
}

func (l *load) send(m client.OutboundMessage, turn int) (accepted bool) {
	relays := l.relays()
	// Not the load's own context: a message that was begun is seen through.
	ctx, cancel := context.WithTimeout(context.Background(), loadPatience)
	defer cancel()
	began := time.Now()
	answer, err := relays[turn%len(relays)].SendOutbound(ctx, m)
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := time.Now()
	if err == nil {
		if answer.MessageID == "" {
			l.broken = append(l.broken, fmt.Sprintf("%d %s: accepted without an id: %+v", m.ChannelID, m.IdempotencyKey, answer))
		}
		l.accepted[answer.MessageID] = ended
		return true
	}
	r := refusal{at: began, until: ended}
	if refused, ok := errors.AsType[*client.Error](err); ok {
		r.code = refused.Code
		if refused.Status != http.StatusServiceUnavailable || refused.RetryAfter == 0 {
			l.broken = append(l.broken, fmt.Sprintf("%d %s: %d %s, Retry-After %s", m.ChannelID, m.IdempotencyKey, refused.Status, refused.Code, refused.RetryAfter))
		}
	}
	l.refused = append(l.refused, r)
	return false
}

// acceptedIDs returns when each message was accepted.
func (l *load) acceptedIDs() map[relay.ID]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make(map[relay.ID]time.Time, len(l.accepted))
	maps.Copy(ids, l.accepted)
	return ids
}

// refusals counts the requests that were refused from a moment on, by the relay's word, and
// says how long the slowest took and how long it was from the first word to the last.
func (l *load) refusals(since time.Time) (codes map[string]int, slowest time.Duration, window time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	codes = map[string]int{}
	var from, until time.Time
	for _, r := range l.refused {
		if r.until.Before(since) {
			continue
		}
		slowest = max(slowest, r.until.Sub(r.at))
		if r.code == "" {
			codes["connection"]++
			continue
		}
		codes[r.code]++
		if from.IsZero() {
			from = r.until
		}
		until = r.until
	}
	return codes, slowest, until.Sub(from)
}

func (l *load) wrong() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// createChannels makes the load's channels, all leading to one endpoint.
func createChannels(t *testing.T, c *client.Client, endpoint string) []int64 {
	t.Helper()
	key, retry := secret, relay.Duration(200*time.Millisecond)
	var ids []int64
	for n := range loadChannels {
		name := fmt.Sprint("Channel ", n)
		made, err := c.CreateChannel(t.Context(), client.ChannelFields{Name: &name, Endpoint: &endpoint, Secret: &key, RetryInitial: &retry})
		require.NoError(t, err)
		ids = append(ids, made.ID)
	}
	return ids
}
