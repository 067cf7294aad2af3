package crash

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"omnirelay/relay"
	"omnirelay/relay/client"
)

// load sends messages for as long as its context lives. Each conversation belongs to one
// sender, which sends the next message when the one before is accepted: acceptance has an
// order to hold deliveries against.
type load struct {
	relay    atomic.Pointer[client.Client] // of the relay's present life
	channels []int64
	tickets  int // conversations of a channel
	limiter  *rate.Limiter

	mu       sync.Mutex
	accepted map[relay.ID]accepted
	again    int // requests that were repeated because no answer came
	known    int // of these, those that the relay knew already
}

// accepted is a message that the relay answered with a 2xx.
type accepted struct {
	conversation string
	number       int // from 1, in the conversation
}

func newLoad(channels []int64, tickets int, perSecond float64) *load {
	return &load{
		channels: channels, tickets: tickets,
		limiter:  rate.NewLimiter(rate.Limit(perSecond), 64),
		accepted: map[relay.ID]accepted{},
	}
}

// count is how many messages were accepted.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

// run sends until ctx ends. Every message that was begun by then is accepted when it
// returns, unless give ends first.
func (l *load) run(ctx, give context.Context, senders int) error {
	errs := make([]error, senders)
	var all sync.WaitGroup
	for n := range senders {
		all.Go(func() { errs[n] = l.sender(ctx, give, n, senders) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// sender works on every conversation whose number leaves the remainder n.
func (l *load) sender(ctx, give context.Context, n, senders int) error {
	var mine []int
	for c := n; c < len(l.channels)*l.tickets; c += senders {
		mine = append(mine, c)
	}
	for number := 1; ; number++ {
		for _, c := range mine {
			if l.limiter.Wait(ctx) != nil {
				return nil //nolint:nilerr // the load has ended as planned
			}
			if err := l.send(give, c, number); err != nil {
				return err
			}
		}
	}
}

// send sends one message until the relay has accepted it.
func (l *load) send(ctx context.Context, conversation, number int) error {
	ticket := int64(1 + conversation)
	m := client.OutboundMessage{
		ChannelID:      l.channels[conversation/l.tickets],
		TicketID:       ticket,
		Message:        strconv.Itoa(number),
		IdempotencyKey: fmt.Sprintf("%d-%d", ticket, number),
	}
	for try := 1; ; try++ {
		a, err := l.relay.Load().SendOutbound(ctx, m)
		if err == nil {
			l.accept(a, conversation, number, try)
			return nil
		}
		if refusal, ok := errors.AsType[*client.Error](err); ok && refusal.Status < http.StatusInternalServerError {
			return fmt.Errorf("the relay refused a message: %w", err)
		}
		// It is down, or was killed before it answered. The key makes asking again safe.
		select {
		case <-ctx.Done():
			return fmt.Errorf("a message was not accepted: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (l *load) accept(a client.Accepted, conversation, number, try int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[a.MessageID] = accepted{conversation: relay.ConversationOf(int64(1+conversation), "", "", 0), number: number}
	if try > 1 {
		l.again++
	}
	if a.Duplicate {
		l.known++
	}
}
