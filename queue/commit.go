package queue

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// committer appends to one stream and answers each append once it is stored for good.
//
// Every append is on its way at once. Where the acknowledged bytes still have to be flushed
// to disk, one flush serves all appends that were acknowledged before it began: those that
// come while it is under way share the next. That is group commit; a lone append waits for
// nothing but its own flush.
//
// While a file is flushed the server can hardly write to it. Under load a flush that began as
// soon as it could would find the few appends that got through since the last one, and keep
// the others out: so it waits for those that are on their way, at most twice as long as the
// last flush took.
type committer struct {
	out   *publisher
	flush func() error // nil where an acknowledgement is final

	sending atomic.Int64  // appends that are not acknowledged yet
	took    time.Duration // the last flush

	mu      sync.Mutex
	waiting []unflushed   // acknowledged, not flushed
	wake    chan struct{} // holds a token while waiting may hold something
	stop    chan struct{}
	done    sync.WaitGroup
}

// ackTimeout bounds the wait for JetStream's word on one request.
const ackTimeout = 10 * time.Second

// ackTimeout bounds the wait for JetStream's word on one append. A cluster that answers at all
// does so soon; an append that went to a server that was cut off is never answered.
func (o Options) ackTimeout() time.Duration {
	if o.Replicas > 1 {
		return ackTimeout / 3
	}
	return ackTimeout
}

func newCommitter(out *publisher, flush func() error) *committer {
	c := &committer{out: out, flush: flush, wake: make(chan struct{}, 1), stop: make(chan struct{})}
	if flush != nil {
		c.done.Go(c.run)
	}
	return c
}

func (c *committer) close() {
	close(c.stop)
	c.done.Wait()
}

// append stores one record, and has stored, where it is not nil, called first; see send. After
// an error other than ErrFull the record may be stored nevertheless.
func (c *committer) append(ctx context.Context, msg *nats.Msg, stored func(ack)) (ack, error) {
	group := c
	if c.flush == nil {
		group = nil
	}
	sent, err := c.out.send(msg, stored, group)
	if err != nil {
		return ack{}, err
	}
	return sent.wait(ctx)
}

// add takes what was acknowledged into the next flush.
func (c *committer) add(s unflushed) {
	c.mu.Lock()
	c.waiting = append(c.waiting, s)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *committer) run() {
	var group []unflushed
	for {
		select {
		case <-c.wake:
		case <-c.stop:
			return
		}
		c.gather()
		c.mu.Lock()
		group, c.waiting = c.waiting, group[:0]
		c.mu.Unlock()
		if len(group) == 0 {
			continue
		}
		began := time.Now()
		err := c.flush()
		c.took = time.Since(began)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		c.out.flushed(group, err)
		clear(group)
	}
}

// gatherMost bounds the wait for the appends that are on their way.
const gatherMost = 5 * time.Millisecond

// gather waits for the appends that are on their way. One that is acknowledged wakes it.
func (c *committer) gather() {
	if c.took == 0 || c.sending.Load() == 0 {
		return
	}
	enough := time.NewTimer(min(2*c.took, gatherMost))
	defer enough.Stop()
	for c.sending.Load() > 0 {
		select {
		case <-c.wake:
		case <-enough.C:
			return
		case <-c.stop:
			return
		}
	}
}
