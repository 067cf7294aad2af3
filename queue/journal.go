package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"omnirelay/relay"
)

// Journal appends one shard's attempts to the attempt log, in the order in which they were
// handed over, in group commits. What was handed over is retried until it is stored: an
// attempt that took place cannot be taken back.
type Journal struct {
	log    *Log
	stored func(seq uint64, a relay.Attempt)

	mu      sync.Mutex
	pending []relay.Attempt
	wake    chan struct{}
	hurry   chan struct{} // holds a token when somebody waits in Flush
	idle    sync.Cond     // pending is empty and nothing is under way
	busy    bool
	left    int       // of what is under way, not acknowledged
	since   time.Time // when the last acknowledgement came, or what is under way was sent
	stop    context.CancelCauseFunc
	ctx     context.Context
	done    sync.WaitGroup
}

const (
	// groupMost bounds the attempts that are under way at once.
	groupMost = 500
	// groupWait is how long an attempt waits for others to go with. Nobody waits for it but the
	// next crash, which may repeat this much more; a group costs little more than one attempt.
	groupWait = 2 * time.Millisecond
)

// Journal opens the journal of one shard. stored is called for each attempt after the
// attempt log has acknowledged it, in order, from one goroutine. Only a shard's owner may
// have its journal open.
func (l *Log) Journal(stored func(seq uint64, a relay.Attempt)) *Journal {
	j := &Journal{log: l, stored: stored, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1)}
	j.idle.L = &j.mu
	j.ctx, j.stop = context.WithCancelCause(context.Background())
	j.done.Go(j.run)
	return j
}

// Append hands an attempt over and returns at once.
func (j *Journal) Append(a relay.Attempt) {
	j.mu.Lock()
	j.pending = append(j.pending, a)
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Backlog is how many attempts were handed over and are not stored yet, without those that
// are under way.
func (j *Journal) Backlog() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.pending)
}

// Stuck is for how long attempts have been under way without a further acknowledgement; 0 when
// none are. While it is not 0, there is at least one call of stored to come.
func (j *Journal) Stuck() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.left == 0 {
		return 0
	}
	return time.Since(j.since)
}

func (j *Journal) acknowledged(seq uint64, a relay.Attempt) {
	j.mu.Lock()
	j.left--
	j.since = time.Now()
	j.mu.Unlock()
	j.stored(seq, a)
}

// Flush waits until all that was handed over is stored, or ctx ends.
func (j *Journal) Flush(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.idle.Broadcast()
	})()
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case j.hurry <- struct{}{}:
	default:
	}
	for len(j.pending) > 0 || j.busy {
		if ctx.Err() != nil {
			return fmt.Errorf("%d attempts are not recorded: %w", len(j.pending), context.Cause(ctx))
		}
		j.idle.Wait()
	}
	return nil
}

// Close gives up what is not stored; call Flush first.
func (j *Journal) Close() {
	j.stop(context.Canceled)
	j.done.Wait()
}

func (j *Journal) run() {
	wait := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
	for {
		group := j.take()
		if len(group) == 0 {
			select {
			case <-j.wake:
				j.gather()
				continue
			case <-j.ctx.Done():
				return
			}
		}
		wait.Reset()
		for len(group) > 0 {
			n, err := j.log.appendAttempts(j.ctx, group, j.acknowledged)
			group = group[n:]
			if err == nil {
				continue
			}
			if j.ctx.Err() != nil {
				return
			}
			j.log.o.Log.Error().Err(err).Int("attempts", len(group)).Msg("attempts cannot be recorded yet; trying again, deliveries slow down meanwhile")
			select {
			case <-time.After(wait.NextBackOff()):
			case <-j.ctx.Done():
				return
			}
		}
	}
}

// gather waits for more to be pending.
func (j *Journal) gather() {
	enough := time.NewTimer(groupWait)
	defer enough.Stop()
	select {
	case <-enough.C:
	case <-j.hurry:
	case <-j.ctx.Done():
	}
}

// take returns what is pending and marks it under way, or signals that all is stored.
func (j *Journal) take() []relay.Attempt {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := min(len(j.pending), groupMost)
	group := j.pending[:n:n]
	j.pending = j.pending[n:]
	if len(j.pending) == 0 {
		j.pending = nil
	}
	if j.busy = n > 0; !j.busy {
		j.idle.Broadcast()
	}
	j.left, j.since = n, time.Now()
	return group
}

// appendAttempts stores a group and reports how many of its first are known to be stored.
// After an error the rest may be stored too; storing an attempt twice changes nothing in the
// fold.
func (l *Log) appendAttempts(ctx context.Context, group []relay.Attempt, stored func(uint64, relay.Attempt)) (n int, err error) {
	msgs := make([]*nats.Msg, len(group))
	for i := range group {
		data, err := encodeAttempt(&group[i])
		if err != nil {
			return 0, err
		}
		msgs[i] = &nats.Msg{Subject: attemptSubject(&group[i]), Data: data}
	}
	err = l.publishAttempts(ctx, msgs, func(seq uint64) {
		stored(seq, group[n])
		n++
	})
	return n, err
}

// publishAttempts appends records to the attempt log and hands each one's sequence to stored,
// in order, up to the first that fails. In a store that is ours alone a group costs two
// acknowledgements: answering for each took a good part of what an attempt's record costs.
func (l *Log) publishAttempts(ctx context.Context, msgs []*nats.Msg, stored func(seq uint64)) error {
	if l.o.Sole {
		l.recording.Lock()
		defer l.recording.Unlock()
		if len(msgs) > 2 {
			first, err := l.out.sendRun(ctx, msgs)
			if err == nil {
				for i := range msgs {
					stored(first + uint64(i))
				}
				return nil
			}
			if !errors.Is(err, errTorn) {
				return err
			}
		}
	}
	return l.out.sendAll(ctx, msgs, func(a ack) { stored(a.seq) })
}

// ReadAttempts hands a shard's attempts after a sequence of the attempt log to each, oldest
// first, up to the log's present end, and returns the sequence up to which all was read. All
// that was acknowledged before the call is read, whichever instance wrote it.
func (l *Log) ReadAttempts(ctx context.Context, shard int, after uint64, each func(seq uint64, a relay.Attempt)) (upTo uint64, err error) {
	filter := attemptFilter(shard, "")
	last, err := l.lastAttempt(ctx, filter)
	if err != nil {
		return 0, fmt.Errorf("looking at the attempt log: %w", err)
	}
	upTo = after
	if last <= after {
		return upTo, nil
	}
	err = scan(ctx, l.attempts, scanRange{filter: filter, after: after, upTo: last}, func(m jetstream.Msg, meta *jetstream.MsgMetadata) (bool, error) {
		a, err := decodeAttempt(m.Data())
		if err != nil {
			return false, fmt.Errorf("decoding attempt %d: %w", meta.Sequence.Stream, err)
		}
		each(meta.Sequence.Stream, a)
		upTo = meta.Sequence.Stream
		return true, nil
	})
	return upTo, err
}
